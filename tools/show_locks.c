/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of `locks`. A row is a lock; what a resource says stands in its first. */
#include "tools/show_locks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"

enum { MAX_BLOCKERS = 4, LIST_BYTES = 2048 };

enum column {
	COL_RESOURCE, COL_NODE, COL_SLOT, COL_HELD, COL_WANTS, COL_QUEUE, COL_WAITS_FOR,
	COL_VALUE, COL_FLAGS,
};

/* --- the head --------------------------------------------------------------------------- */

static void show_members(const struct show_locks *show, FILE *to)
{
	char name[SHOW_NAME_BYTES];

	fprintf(to, "  members:");
	for (size_t i = 0; i < show->space->member_count; i++) {
		const struct lockspace_member_look *m = &show->space->members[i];

		fprintf(to, "%s %s (slot %d%s)", i ? "," : "",
			show_node(show, m->node, name), m->slot,
			m->is_missing ? ", missing" : "");
	}
	fprintf(to, "%s\n", show->space->member_count ? "" : " none");
}

static void show_head(const struct show_locks *show, FILE *to)
{
	const struct lock_dump_space *space = show->space;
	char name[SHOW_NAME_BYTES], text[SHOW_WHY_BYTES];

	fprintf(to, "lockspace %s: generation %u, epoch n%u.%" PRIu64
		", %" PRIu64 " operations\n",
		text_escape(space->name, space->name_length, name, sizeof(name)),
		space->generation, space->epoch.rep, space->epoch.seq,
		space->operations);
	if (space->freeze != LOCKSPACE_RUNS) {
		fprintf(to, "  FROZEN, nothing is granted: %s\n",
			show_frozen_why(show, text));
		fprintf(to, "  goes on: %s\n", show_frozen_until(show, text));
	}
	show_members(show, to);
}

/* --- locks ------------------------------------------------------------------------------ */

/* What is left out unless all is asked for: it is in nobody's way, and wants nothing. */
static bool is_idle(const struct lock_view *lock)
{
	return lock->granted == LOCK_NL && lock->wanted == LOCK_NONE;
}

static void append(char list[LIST_BYTES], const char *word)
{
	size_t at = strlen(list);

	snprintf(list + at, LIST_BYTES - at, "%s%s", at ? ", " : "", word);
}

/* "node1, node3", "node1, node2, node3, node4 and 12 more", "behind node2". */
static void waits_for(const struct show_locks *show, const struct lock_dump_resource *r,
		      const struct lock_view *lock, char list[LIST_BYTES])
{
	const struct lock_view *ahead = show_ahead(r, lock);
	char name[SHOW_NAME_BYTES], more[32];
	size_t count = 0;

	list[0] = '\0';
	for (size_t i = 0; i < r->lock_count; i++)
		if (lock_view_is_blocked_by(lock, &r->locks[i]) && ++count <= MAX_BLOCKERS)
			append(list, show_node(show, r->locks[i].key.node, name));
	snprintf(more, sizeof(more), " and %zu more", count - MAX_BLOCKERS);
	if (count > MAX_BLOCKERS)
		strcat(list, more);
	if (count == 0 && ahead)
		snprintf(list, LIST_BYTES, "behind %s",
			 show_node(show, ahead->key.node, name));
}

static void flags_text(const struct lock_view *lock, char list[LIST_BYTES])
{
	unsigned int at = 0;
	const char *name;

	list[0] = '\0';
	while ((name = lock_flag_next(lock->flags, &at)) != NULL)
		append(list, name);
}

static const char *node_text(const struct show_locks *show, const struct lock_view *lock,
			     char to[LIST_BYTES])
{
	const struct lockspace_member_look *m = lock_dump_member(show->space, lock->key.node);
	char name[SHOW_NAME_BYTES];

	snprintf(to, LIST_BYTES, "%s%s%s", show_node(show, lock->key.node, name),
		 m && m->is_missing ? " (missing)" : "",
		 lock->is_orphan ? " (orphan)" : "");
	return to;
}

static const char *mode_text(enum lock_mode mode)
{
	return mode == LOCK_NONE ? "-" : lock_mode_name(mode);
}

static int fill_lock(struct libscols_line *line, const struct show_locks *show,
		     const struct lock_dump_resource *r, const struct lock_view *lock)
{
	const struct lockspace_member_look *m = lock_dump_member(show->space, lock->key.node);
	char text[LIST_BYTES];
	int failed = 0;

	failed |= scols_line_set_data(line, COL_NODE, node_text(show, lock, text));
	snprintf(text, sizeof(text), "%d", m ? m->slot : 0);
	failed |= scols_line_set_data(line, COL_SLOT, m ? text : "-");
	failed |= scols_line_set_data(line, COL_HELD, mode_text(lock->granted));
	failed |= scols_line_set_data(line, COL_WANTS, mode_text(lock->wanted));
	failed |= scols_line_set_data(line, COL_QUEUE,
				      lock_place_name(lock_view_place(lock)));
	waits_for(show, r, lock, text);
	failed |= scols_line_set_data(line, COL_WAITS_FOR, text);
	flags_text(lock, text);
	if (show->is_all)
		failed |= scols_line_set_data(line, COL_FLAGS, text);
	return failed;
}

/* One row; of a resource that nobody has more of than NL, one without a lock. */
static int add_row(struct libscols_table *table, const struct show_locks *show,
		   const struct lock_dump_resource *r, const struct lock_view *lock,
		   bool is_first)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char name[SHOW_NAME_BYTES], value[SHOW_VALUE_BYTES];
	int failed;

	if (!line)
		return -ENOMEM;
	if (lock && lock->wanted != LOCK_NONE)
		scols_line_set_color(line, "yellow");
	failed = scols_line_set_data(line, COL_RESOURCE, show_resource(r, name));
	if (is_first)
		failed |= scols_line_set_data(line, COL_VALUE, show_value(show, r, value));
	if (lock)
		failed |= fill_lock(line, show, r, lock);
	else
		failed |= scols_line_set_data(line, COL_NODE, "-");
	return failed ? -ENOMEM : 0;
}

struct left_out {
	size_t calm; /* resources that nobody waits for, where only the others count */
	size_t locks, resources;
};

static int add_resource(struct libscols_table *table, const struct show_locks *show,
			const struct lock_dump_resource *r, struct left_out *left_out)
{
	char value[SHOW_VALUE_BYTES];
	bool is_first = true;
	int error = 0;

	if (show->is_waiting && !show_is_waited_for(r)) {
		left_out->calm++;
		return 0;
	}
	for (size_t i = 0; error == 0 && i < r->lock_count; i++) {
		if (is_idle(&r->locks[i]) && !show->is_all) {
			left_out->locks++;
			continue;
		}
		error = add_row(table, show, r, &r->locks[i], is_first);
		is_first = false;
	}
	if (error < 0 || !is_first)
		return error;
	if (show->is_all || show_value(show, r, value)[0])
		return add_row(table, show, r, NULL, true);
	left_out->resources++;
	return 0;
}

static struct libscols_table *new_table(const char *const *columns, const int *flags)
{
	struct libscols_table *table = scols_new_table();

	if (table)
		scols_table_enable_noencoding(table, 1); /* all of it is printable */
	for (; table && *columns; columns++, flags++)
		if (!scols_table_new_column(table, *columns, 0, *flags)) {
			scols_unref_table(table);
			table = NULL;
		}
	return table;
}

static void show_left_out(const struct left_out *n, FILE *to)
{
	if (n->calm)
		fprintf(to, "left out: %zu resource%s that nobody waits for\n", n->calm,
			n->calm == 1 ? "" : "s");
	if (n->locks + n->resources == 0)
		return;
	fprintf(to, "left out: %zu lock%s that hold%s NL and want%s no more", n->locks,
		n->locks == 1 ? "" : "s", n->locks == 1 ? "s" : "",
		n->locks == 1 ? "s" : "");
	if (n->resources)
		fprintf(to, ", %zu resource%s with none but these", n->resources,
			n->resources == 1 ? "" : "s");
	fprintf(to, " (--all shows all)\n");
}

static int print_table(struct libscols_table *table, FILE *to, struct err *err)
{
	const char *no_colour = getenv("NO_COLOR");
	int r;

	if (isatty(fileno(to)) && !(no_colour && *no_colour))
		scols_table_enable_colors(table, 1);
	scols_table_set_stream(table, to);
	r = scols_print_table(table);
	return r < 0 ? err_set(err, r, "cannot print the table: %s", strerror(-r)) : 0;
}

int show_locks(const struct show_locks *show, FILE *to, struct err *err)
{
	static const char *const columns[] = { "RESOURCE", "NODE", "SLOT", "HELD", "WANTS",
					       "QUEUE", "WAITS FOR", "VALUE", "FLAGS", NULL };
	static const int flags[] = { 0, 0, SCOLS_FL_RIGHT, 0, 0, 0, 0, 0, 0 };
	const char *const brief[] = { columns[0], columns[1], columns[2], columns[3],
				      columns[4], columns[5], columns[6], columns[7], NULL };
	struct libscols_table *table = new_table(show->is_all ? columns : brief, flags);
	struct left_out left_out = { 0 };
	int r = table ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < show->space->resource_count; i++)
		r = add_resource(table, show, &show->space->resources[i], &left_out);
	if (r < 0) {
		scols_unref_table(table);
		return err_nomem(err, "the table of locks");
	}
	show_head(show, to);
	if (!scols_table_is_empty(table))
		r = print_table(table, to, err);
	scols_unref_table(table);
	if (r == 0 && !show->is_quiet)
		show_left_out(&left_out, to);
	return r;
}

/* --- history ---------------------------------------------------------------------------- */

struct step {
	const struct lock_dump_resource *resource;
	const struct lock_history_entry *entry;
	size_t number; /* in the dump: what came at one time stays in order */
};

static int by_time(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	if (x->entry->at_ns != y->entry->at_ns)
		return x->entry->at_ns < y->entry->at_ns ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static struct step *collect(const struct lock_dump_space *space, size_t *count)
{
	struct step *steps;
	size_t room = 1;

	for (size_t i = 0; i < space->resource_count; i++)
		room += space->resources[i].history_count;
	steps = calloc(room, sizeof(*steps));
	*count = 0;
	for (size_t i = 0; steps && i < space->resource_count; i++) {
		const struct lock_dump_resource *r = &space->resources[i];

		for (size_t k = 0; k < r->history_count; k++, (*count)++)
			steps[*count] = (struct step){ r, &r->history[k], *count };
	}
	if (steps)
		qsort(steps, *count, sizeof(*steps), by_time);
	return steps;
}

enum history_column {
	HISTORY_AGO, HISTORY_RESOURCE, HISTORY_NODE, HISTORY_LOCK, HISTORY_STEP,
	HISTORY_FROM, HISTORY_TO, HISTORY_RESULT,
};

/* What is later than the dump is so by clocks that do not agree: a dump by hand. */
static const char *ago_text(const struct show_locks *show, uint64_t at_ns, char to[32])
{
	uint64_t now_ns = show->dump->clock_ns;
	uint64_t ago_us = (now_ns > at_ns ? now_ns - at_ns : 0) / 1000;

	snprintf(to, 32, "%" PRIu64 ".%06" PRIu64 " s", ago_us / 1000000,
		 ago_us % 1000000);
	return to;
}

static int add_step(struct libscols_table *table, const struct show_locks *show,
		    const struct step *step)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const struct lock_history_entry *e = step->entry;
	const char *why = e->status ? strerrorname_np(-e->status) : "";
	char text[SHOW_NAME_BYTES];
	int failed = 0;

	if (!line)
		return -ENOMEM;
	failed |= scols_line_set_data(line, HISTORY_AGO, ago_text(show, e->at_ns, text));
	failed |= scols_line_set_data(line, HISTORY_RESOURCE,
				      show_resource(step->resource, text));
	failed |= scols_line_set_data(line, HISTORY_NODE, show_node(show, e->key.node, text));
	snprintf(text, sizeof(text), "%u", e->key.number);
	failed |= scols_line_set_data(line, HISTORY_LOCK, text);
	failed |= scols_line_set_data(line, HISTORY_STEP, lock_step_name(e->step));
	failed |= scols_line_set_data(line, HISTORY_FROM, mode_text(e->from));
	failed |= scols_line_set_data(line, HISTORY_TO, mode_text(e->to));
	failed |= scols_line_set_data(line, HISTORY_RESULT, why ? why : "?");
	return failed ? -ENOMEM : 0;
}

int show_lock_history(const struct show_locks *show, FILE *to, struct err *err)
{
	static const char *const columns[] = { "AGO", "RESOURCE", "NODE", "LOCK", "STEP",
					       "FROM", "TO", "RESULT", NULL };
	static const int flags[] = { SCOLS_FL_RIGHT, 0, 0, SCOLS_FL_RIGHT, 0, 0, 0, 0 };
	struct libscols_table *table = new_table(columns, flags);
	size_t count = 0;
	CLEANUP_FREE struct step *steps = collect(show->space, &count);
	int r = table && steps ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_step(table, show, &steps[i]);
	if (r < 0)
		err_nomem(err, "the history of locks");
	else if (count == 0)
		fprintf(to, "no history\n");
	else
		r = print_table(table, to, err);
	scols_unref_table(table);
	return r;
}
