/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked of locks by hand, and what is told of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "lockres/dump.h"
#include "tests/cat/locks_private.h"

enum { MAX_WORDS = 16 };

static const char help[] =
	"-- /open SPACE, /close SPACE\n"
	"-- /lock SPACE NAME MODE [FLAG | timeout=MS | value=TEXT | waiter=N]...\n"
	"-- /convert SPACE NAME MODE [the same]..., /unlock SPACE NAME [FLAG]...\n"
	"-- /dead NODE [process]: it is, and its locks are free, or PERSISTENT ones orphans\n"
	"-- /orphans SPACE NODE: these go\n"
	"-- /locks [FILE]: what this node knows, for mdcluster locks --file=FILE\n";

/* --- what is told ----------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	struct cat_space *s = owner;

	(void)space;
	printf("-- space %s: frozen\n", s->name);
	fflush(stdout);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct cat_space *s = owner;

	(void)space;
	printf("-- space %s: node %u is dead, slot %d\n", s->name, node, slot);
	fflush(stdout);
}

static void on_recovered(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t count, int our_slot,
			 uint32_t generation)
{
	struct cat_space *s = owner;

	(void)space;
	printf("-- space %s: runs, generation %u, our slot %d, members:", s->name, generation,
	       our_slot);
	for (size_t i = 0; i < count; i++)
		printf(" %u/%d", members[i].node, members[i].slot);
	putchar('\n');
	fflush(stdout);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct cat_space *s = owner;

	(void)space;
	printf("-- space %s: lost: %s\n", s->name, why->text);
	fflush(stdout);
}

static void on_closed(void *owner)
{
	struct cat_space *s = owner;
	struct cat_lock *k, *next;

	printf("-- space %s: closed\n", s->name);
	fflush(stdout);
	qb_list_for_each_entry_safe(k, next, &s->all, link) {
		lockres_fini(&k->lock);
		free(k);
	}
	qb_list_del(&s->link);
	free(s);
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct cat_lock *k = owner;
	unsigned int at = 0;
	char value[CAT_NAME_TEXT];
	const char *mark;

	printf("-- lock %s %s: %s, holds %s", k->space->name, k->name,
	       result->status ? strerrorname_np(-result->status) : "done",
	       lock_mode_name(result->mode));
	while ((mark = lock_mark_next(result->marks, &at)) != NULL)
		printf(", %s", mark);
	if (lock->value[0])
		printf(", value %s",
		       text_printable(lock->value, LOCK_MAX_LVB, value, sizeof(value)));
	putchar('\n');
	fflush(stdout);
}

static void on_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct cat_lock *k = owner;

	printf("-- lock %s %s: %s is in the way of %s\n", k->space->name, k->name,
	       lock_mode_name(lock->mode), lock_mode_name(wanted));
	fflush(stdout);
}

/* --- words -------------------------------------------------------------------------------- */

static uint32_t flag_of(const char *word)
{
	for (uint32_t bit = 1; bit; bit <<= 1) {
		unsigned int at = 0;
		const char *name = lock_flag_next(bit, &at);

		if (name && strcasecmp(name, word) == 0)
			return bit;
	}
	return 0;
}

struct wish {
	enum lock_mode mode;
	uint32_t flags;
	uint64_t timeout_ns, waiter;
	const char *value;
};

static int parse_wish(char *const *words, int count, struct wish *wish, struct err *err)
{
	uint64_t ms = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < count; i++) {
		const char *word = words[i];
		uint32_t flag = flag_of(word);

		wish->flags |= flag;
		if (strncmp(word, "timeout=", 8) == 0)
			r = text_parse_u64(word + 8, "timeout", 1, 1000000, &ms, err);
		else if (strncmp(word, "waiter=", 7) == 0)
			r = text_parse_u64(word + 7, "waiter", 1, UINT32_MAX, &wish->waiter,
					   err);
		else if (strncmp(word, "value=", 6) == 0)
			wish->value = word + 6;
		else if (!flag)
			r = err_set(err, -EINVAL, "'%s' is no flag", word);
	}
	wish->timeout_ns = ms * 1000000;
	if (wish->value)
		wish->flags |= LOCK_VALBLK;
	return r;
}

static struct cat_space *find_space(struct cat_locks *l, const char *name)
{
	struct cat_space *s;

	qb_list_for_each_entry(s, &l->spaces, link)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct cat_lock *find_lock(struct cat_space *s, const char *name)
{
	struct cat_lock *k;

	qb_list_for_each_entry(k, &s->all, link)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static struct cat_lock *make_lock(struct cat_space *s, const char *name, struct err *err)
{
	static const struct lockres_handlers handlers = { on_done, on_blocked };
	struct cat_lock *k = calloc(1, sizeof(*k));
	char bytes[LOCK_MAX_NAME];
	int n = text_unescape(name, bytes, sizeof(bytes));
	int r = !k ? -ENOMEM : n < 0 ? n : 0;

	if (r == 0)
		r = lockres_init(&k->lock, s->space, bytes, (size_t)n, &handlers, k);
	if (r < 0) {
		err_set(err, r, "%s: %s", name, strerror(-r));
		free(k);
		return NULL;
	}
	k->space = s;
	snprintf(k->name, sizeof(k->name), "%s", name);
	qb_list_add_tail(&k->link, &s->all);
	return k;
}

/* --- commands --------------------------------------------------------------------------- */

static int do_open(struct cat_locks *l, char **words, int count, struct err *err)
{
	static const struct lockspace_handlers handlers = {
		on_prep, on_slot, on_recovered, on_lost, on_closed,
	};
	struct cat_space *s = calloc(1, sizeof(*s));
	char name[LOCKSPACE_MAX_NAME];
	int n = text_unescape(words[0], name, sizeof(name));
	struct lockspace_config c = { .name = name, .name_length = n > 0 ? (size_t)n : 0,
				      .lvb_bytes = LOCK_LARGE_LVB, .wanted_slot = -1 };
	int r;

	(void)count;
	if (!s)
		return err_nomem(err, "a lockspace");
	s->locks = l;
	qb_list_init(&s->all);
	snprintf(s->name, sizeof(s->name), "%s", words[0]);
	r = lockspace_open(lock_manager_engine(l->manager), &c, &handlers, s, &s->space, err);
	if (r < 0)
		free(s);
	else
		qb_list_add_tail(&s->link, &l->spaces);
	return r;
}

static int do_close(struct cat_locks *l, char **words, int count, struct err *err)
{
	struct cat_space *s = find_space(l, words[0]);

	(void)count;
	if (!s)
		return err_set(err, -ENOENT, "%s: is not open", words[0]);
	lockspace_close(s->space);
	return 0;
}

static int do_lock(struct cat_locks *l, char **words, int count, struct err *err)
{
	struct cat_space *s = find_space(l, words[0]);
	struct cat_lock *k = s ? find_lock(s, words[1]) : NULL;
	struct wish wish = { 0 };
	const char *fault;
	int r;

	if (!s)
		return err_set(err, -ENOENT, "%s: is not open", words[0]);
	if (!lock_mode_parse(words[2], &wish.mode))
		return err_set(err, -EINVAL, "'%s' is no mode", words[2]);
	if (parse_wish(words + 3, count - 3, &wish, err) < 0)
		return err->code;
	if (!k)
		k = make_lock(s, words[1], err);
	if (!k)
		return err->code;
	if (wish.value)
		snprintf((char *)k->lock.value, sizeof(k->lock.value), "%s", wish.value);
	if (wish.waiter)
		k->lock.waiter = (uint32_t)wish.waiter;
	if (k->lock.mode != LOCK_NONE)
		wish.flags |= LOCK_CONVERT;
	fault = lock_fault(k->lock.mode, wish.mode, wish.flags);
	r = lockres_lock(&k->lock, wish.mode, wish.flags, wish.timeout_ns);
	if (r == -EINVAL && fault)
		return err_set(err, r, "%s: %s", words[1], fault);
	return r < 0 ? err_set(err, r, "%s: %s", words[1], strerror(-r)) : 0;
}

static int do_unlock(struct cat_locks *l, char **words, int count, struct err *err)
{
	struct cat_space *s = find_space(l, words[0]);
	struct cat_lock *k = s ? find_lock(s, words[1]) : NULL;
	struct wish wish = { 0 };
	int r;

	if (!k)
		return err_set(err, -ENOENT, "%s %s: there is no such lock", words[0],
			       words[1]);
	if (parse_wish(words + 2, count - 2, &wish, err) < 0)
		return err->code;
	if (wish.value)
		snprintf((char *)k->lock.value, sizeof(k->lock.value), "%s", wish.value);
	r = lockres_unlock(&k->lock, wish.flags);
	return r < 0 ? err_set(err, r, "%s: %s", words[1], strerror(-r)) : 0;
}

static int do_dead(struct cat_locks *l, char **words, int count, struct err *err)
{
	enum lock_death death = LOCK_DEATH_NODE;
	uint64_t node;

	if (text_parse_u64(words[0], "node", 1, UINT32_MAX, &node, err) < 0)
		return err->code;
	if (count == 2 && strcmp(words[1], "process") == 0)
		death = LOCK_DEATH_PROCESS;
	else if (count == 2)
		return err_set(err, -EINVAL, "'%s': 'process', or nothing", words[1]);
	return lockspace_confirm_dead(lock_manager_engine(l->manager), (uint32_t)node, 0,
				      death, err);
}

static int do_orphans(struct cat_locks *l, char **words, int count, struct err *err)
{
	struct cat_space *s = find_space(l, words[0]);
	uint64_t node;

	(void)count;
	if (!s)
		return err_set(err, -ENOENT, "%s: is not open", words[0]);
	if (text_parse_u64(words[1], "node", 1, UINT32_MAX, &node, err) < 0)
		return err->code;
	return lockspace_purge_orphans(s->space, (uint32_t)node, err);
}

static int write_dump(const struct lock_dump *dump, const char *path, struct err *err)
{
	FILE *to = fopen(path, "we");
	int r = to ? lock_dump_write(dump, to) : -errno;

	if (to && fclose(to) != 0 && r == 0)
		r = -errno;
	return r < 0 ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int do_locks(struct cat_locks *l, char **words, int count, struct err *err)
{
	const struct node_table *nodes = &l->config.nodes;
	struct lock_dump_node names[TOTEM_MAX_NODES] = { 0 };
	const struct lock_dump about = {
		.taken_s = clock_wall_us() / 1000000, .clock_ns = clock_boot_ns(),
		.self = l->config.self, .nodes = names, .node_count = (size_t)nodes->count,
	};
	struct lock_dump *dump;
	char path[64];
	int r;

	for (int i = 0; i < nodes->count; i++) {
		names[i].id = nodes->ids[i];
		names[i].name_length = (size_t)snprintf(names[i].name, LOCK_DUMP_NODE_NAME,
							"node%u", nodes->ids[i]);
	}
	snprintf(path, sizeof(path), "totem-cat-%u.locks", l->config.self);
	dump = lock_dump_take(l->manager, &about);
	if (!dump)
		return err_nomem(err, "a dump of lockspaces");
	r = write_dump(dump, count ? words[0] : path, err);
	lock_dump_free(dump);
	if (r == 0)
		printf("-- mdcluster locks --file=%s shows them\n", count ? words[0] : path);
	return r;
}

static const struct command {
	const char *name;
	int least, most;
	int (*run)(struct cat_locks *l, char **words, int count, struct err *err);
} commands[] = {
	{ "open", 1, 1, do_open },
	{ "close", 1, 1, do_close },
	{ "lock", 3, MAX_WORDS, do_lock },
	{ "convert", 3, MAX_WORDS, do_lock },
	{ "unlock", 2, MAX_WORDS, do_unlock },
	{ "dead", 1, 2, do_dead },
	{ "orphans", 2, 2, do_orphans },
	{ "locks", 0, 1, do_locks },
};

static void run_command(struct cat_locks *l, const struct command *c, char **words,
			int count)
{
	struct err err = ERR_INIT;

	if (count < c->least || count > c->most)
		fputs(help, stdout);
	else if (c->run(l, words, count, &err) < 0)
		printf("-- %s: %s\n", c->name, err.text);
	fflush(stdout);
}

bool cat_locks_command(struct cat_locks *l, const char *line, size_t length)
{
	char text[1024], *words[MAX_WORDS + 1], *rest = NULL;
	int count = 0;

	snprintf(text, sizeof(text), "%.*s", (int)length, line);
	for (char *word = strtok_r(text, " ", &rest); word && count <= MAX_WORDS;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	for (size_t i = 0; count > 0 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, words[0]) == 0) {
			run_command(l, &commands[i], words + 1, count - 1);
			return true;
		}
	if (count > 0 && strcmp(words[0], "help") == 0)
		fputs(help, stdout); /* and of others */
	return false;
}
