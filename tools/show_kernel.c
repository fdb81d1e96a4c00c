/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/show_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/text.h"
#include "tools/show.h"
#include "tools/table.h"

enum { MIB_SECTORS = 2048 };

static const enum terminal_colour colours[] = {
	[STATUS_FINE] = TERMINAL_GREEN,
	[STATUS_DEGRADED] = TERMINAL_YELLOW,
	[STATUS_DOWN] = TERMINAL_RED,
};

static bool is_in_sync(const struct kernel_disk *d)
{
	return d->role >= 0 && strstr(d->state, "in_sync");
}

/* "[U_]" */
static const char *letters(const struct kernel_array *a, char to[STATUS_MAX_DISKS + 3])
{
	uint32_t roles = (uint32_t)min_u64(a->raid_disks, STATUS_MAX_DISKS);

	to[0] = '[';
	memset(to + 1, '_', roles);
	to[roles + 1] = ']';
	to[roles + 2] = '\0';
	for (size_t i = 0; i < a->disk_count; i++)
		if (is_in_sync(&a->disks[i]) && (uint32_t)a->disks[i].role < roles)
			to[a->disks[i].role + 1] = 'U';
	return to;
}

/* --- an array ------------------------------------------------------------------------------- */

static void show_head(const struct kernel_view_array *v, struct terminal *t)
{
	const struct kernel_array *a = v->array;
	char size[TEXT_SIZE_BYTES], disks[STATUS_MAX_DISKS + 3];

	terminal_begin(t, 0);
	terminal_word(t, TERMINAL_BOLD, "%s", a->name);
	terminal_word(t, TERMINAL_PLAIN, "%s", a->level);
	terminal_word(t, colours[kernel_view_health(v)], "%s", a->state);
	terminal_word(t, TERMINAL_PLAIN, "%s", text_size(a->size_bytes, size));
	terminal_word(t, a->degraded ? TERMINAL_YELLOW : TERMINAL_PLAIN, "[%u/%u] %s",
		      a->raid_disks, a->raid_disks - (uint32_t)min_u64(a->degraded, a->raid_disks),
		      letters(a, disks));
	terminal_word(t, TERMINAL_PLAIN, "run by the kernel");
	terminal_end(t);
}

static void show_names(const struct kernel_view *view, const struct kernel_view_array *v,
		       struct terminal *t)
{
	char uuid[TEXT_UUID_BYTES];

	terminal_begin(t, 2);
	if (v->has_superblock)
		terminal_word(t, TERMINAL_PLAIN, "name %s", v->name);
	if (v->cluster[0])
		terminal_word(t, TERMINAL_PLAIN, "cluster %s", v->cluster);
	if (v->array->has_uuid)
		terminal_word(t, TERMINAL_PLAIN, "%s", text_uuid(v->array->uuid, uuid));
	terminal_end(t);
	if (!v->has_nodes)
		return;
	terminal_begin(t, 2);
	terminal_word(t, TERMINAL_PLAIN, "in use on %zu node%s:", v->node_count,
		      v->node_count == 1 ? "" : "s");
	for (size_t i = 0; i < v->node_count; i++)
		terminal_word(t, TERMINAL_PLAIN, "%u%s", v->nodes[i],
			      v->nodes[i] == view->node ? "*" : "");
	terminal_end(t);
}

static void show_activity(const struct kernel_array *a, struct terminal *t)
{
	char bar[TERMINAL_BAR_BYTES];
	unsigned int per_mille = terminal_per_mille(a->done_sectors, a->total_sectors);

	if (!a->total_sectors || a->holdup[0])
		return;
	terminal_begin(t, 2);
	terminal_word(t, TERMINAL_YELLOW, "%s",
		      terminal_bar(a->done_sectors, a->total_sectors, bar));
	terminal_word(t, TERMINAL_YELLOW, "%s = %u.%u%% (%" PRIu64 "/%" PRIu64 " MiB)",
		      a->activity, per_mille / 10, per_mille % 10,
		      a->done_sectors / MIB_SECTORS, a->total_sectors / MIB_SECTORS);
	if (a->speed_bytes)
		terminal_word(t, TERMINAL_PLAIN, "speed=%.1fMiB/s",
			      (double)a->speed_bytes / (1 << 20));
	terminal_end(t);
}

static void show_line(struct terminal *t, enum terminal_colour colour, const char *text)
{
	terminal_begin(t, 2);
	terminal_sentence(t, colour, text);
	terminal_end(t);
}

static void show_trouble(const struct kernel_view *view, const struct kernel_view_array *v,
			 struct terminal *t)
{
	const struct kernel_array *a = v->array;
	char text[MSG_TEXT_BYTES + KERNEL_VIEW_TEXT + 64], size[TEXT_SIZE_BYTES], roles[KERNEL_VIEW_TEXT];

	for (size_t i = 0; i < a->disk_count; i++)
		if (!is_in_sync(&a->disks[i]) && strcmp(a->disks[i].state, "spare") != 0) {
			terminal_begin(t, 2);
			terminal_word(t, TERMINAL_RED, "disk %s", a->disks[i].state);
			terminal_word(t, TERMINAL_PLAIN, "/dev/%s", a->disks[i].name);
			terminal_end(t);
		}
	if (v->unused_roles) {
		snprintf(text, sizeof(text), "it runs without what the superblocks have in role %s, and other nodes may not know: what this one writes is not there",
			 kernel_view_roles(v->unused_roles, roles));
		show_line(t, TERMINAL_RED, text);
	}
	if (a->holdup[0]) {
		snprintf(text, sizeof(text), "%s waits: %s", a->activity,
			 strcmp(a->holdup, "DELAYED") == 0 ? "another array of these disks has its turn" :
							     "another node has its turn");
		show_line(t, TERMINAL_YELLOW, text);
	}
	if (v->resyncer && v->resyncer != view->node) {
		snprintf(text, sizeof(text), "node %u resyncs", v->resyncer);
		show_line(t, TERMINAL_YELLOW, text);
	}
	if (v->speaker && v->has_message) {
		int n = snprintf(text, sizeof(text), "node %u tells the others: ", v->speaker);

		kernel_message_text(&v->message, text + n);
		show_line(t, TERMINAL_PLAIN, text);
	}
	if (kernel_view_orphaned_bytes(v)) {
		snprintf(text, sizeof(text), "%s are dirty in slots of nodes that are gone: they wait for a recovery",
			 text_size(kernel_view_orphaned_bytes(v), size));
		show_line(t, TERMINAL_YELLOW, text);
	}
}

/* --- its slots ------------------------------------------------------------------------------ */

enum { SLOT_NUMBER, SLOT_NODE, SLOT_STATE, SLOT_WINDOW, SLOT_DIRTY };

static const char *slot_state(const struct kernel_slot *s)
{
	if (s->has_window && s->high > s->low)
		return "resyncs";
	if (s->use == KERNEL_SLOT_HELD)
		return "active";
	return s->use == KERNEL_SLOT_VACANT ? "vacant" : "not shown here";
}

/* Slots of which there is nothing to say are left out. */
static bool is_worth_a_row(const struct kernel_slot *s)
{
	return s->use == KERNEL_SLOT_HELD || s->dirty_chunks || s->high > s->low || !s->has_bits;
}

static int add_slot(struct libscols_table *table, uint32_t number, const struct kernel_slot *s)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[64], size[TEXT_SIZE_BYTES];
	int failed = 0;

	if (!line)
		return -ENOMEM;
	if (s->high > s->low || (s->use == KERNEL_SLOT_VACANT && s->dirty_chunks))
		scols_line_set_color(line, "yellow");
	failed |= table_number(line, SLOT_NUMBER, number);
	if (s->node || s->is_self) {
		snprintf(text, sizeof(text), "%u%s", s->node, s->is_self ? "*" : "");
		failed |= scols_line_set_data(line, SLOT_NODE, text);
	}
	failed |= scols_line_set_data(line, SLOT_STATE, slot_state(s));
	if (s->high > s->low) {
		snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64 " MiB", s->low / MIB_SECTORS,
			 div_round_up(s->high, MIB_SECTORS));
		failed |= scols_line_set_data(line, SLOT_WINDOW, text);
	}
	if (s->has_bits)
		failed |= scols_line_set_data(line, SLOT_DIRTY,
					      s->is_stale ? "all" :
							    text_size(s->dirty_bytes, size));
	return failed ? -ENOMEM : 0;
}

static int show_slots(const struct kernel_view_array *v, struct terminal *t, struct err *err)
{
	static const struct table_column columns[] = {
		{ "SLOT", SCOLS_FL_RIGHT, false }, { "NODE", SCOLS_FL_RIGHT, false },
		{ "STATE", 0, false }, { "RESYNCS", SCOLS_FL_RIGHT, true },
		{ "DIRTY", SCOLS_FL_RIGHT, true }, { NULL, 0, false },
	};
	uint32_t slots = v->slot_count ? v->slot_count : BITMAP_MAX_NODES, rows = 0;
	struct libscols_table *table = table_new(columns, t);
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < slots; i++)
		if (v->slot_count ? is_worth_a_row(&v->slots[i]) :
				    v->slots[i].use == KERNEL_SLOT_HELD) {
			rows++;
			r = add_slot(table, i, &v->slots[i]);
		}
	if (r < 0)
		err_nomem(err, "a table");
	else if (rows)
		r = table_print(table, columns, t, err);
	scols_unref_table(table);
	if (r == 0 && v->slot_count > rows)
		fprintf(t->to, "  %u %sslot%s clean\n", v->slot_count - rows, rows ? "more " : "",
			v->slot_count - rows == 1 ? " is" : "s are");
	return r;
}

int show_kernel(const struct kernel_view *view, const struct kernel_view_array *only,
		struct terminal *t, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->count; i++) {
		const struct kernel_view_array *v = &view->arrays[i];
		char text[KERNEL_VIEW_TEXT + 16];

		if (only && only != v)
			continue;
		if (i > 0 && !only)
			fputc('\n', t->to);
		show_head(v, t);
		show_names(view, v, t);
		show_activity(v->array, t);
		show_trouble(view, v, t);
		r = show_slots(v, t, err);
		for (size_t u = 0; u < v->unseen_count; u++) {
			snprintf(text, sizeof(text), "not seen: %s", v->unseen[u]);
			show_line(t, TERMINAL_PLAIN, text);
		}
	}
	if (view->count == 0)
		fprintf(t->to, "the kernel of this host runs no clustered array\n");
	return r;
}

enum status_health show_kernel_health(const struct kernel_view *view,
				      const struct kernel_view_array *only)
{
	enum status_health worst = STATUS_FINE;

	for (size_t i = 0; i < view->count; i++) {
		enum status_health one = kernel_view_health(&view->arrays[i]);

		if ((!only || only == &view->arrays[i]) && one > worst)
			worst = one;
	}
	return worst;
}
