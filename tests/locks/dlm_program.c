/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces on a real kernel's DLM, by a script on standard input: for machines where
 * corosync and dlm_controld run.
 *
 *	dlm_program --self 1 --node 1=10.77.0.1:7001 --node 2=10.77.0.2:7001 <SCRIPT
 *
 * The ordered group that the engine wants is our own ring here, in this process:
 * its packets never wait undelivered, and its nodes have the ids that corosync has. What
 * it sees of deaths it sees by itself, before or behind dlm_controld.
 *
 * A line is a command; the next one is read when it is done. L names a lock.
 *
 *	open SPACE [SLOT]              close
 *	lock L NAME MODE [FLAGS [MS]]  conv L MODE [FLAGS [MS]]
 *	unlock L [FLAGS]               cancel L        fini L
 *	value L TEXT                   blockers L
 *	dead NODE process|node         purge NODE
 *	wait in|L|prep|done|closed|lost|blocked L     sleep MS    say TEXT
 *	until FILE                     the file is there
 *	expect L STATUS MODE [MARKS [VALUE]]     STATUS: 0 or a name as in errno
 *
 * With DLM_FENCED in the environment what the kernel drops is dead; else "dead" says so.
 *
 * FLAGS are names with commas, as in enum lock_flag; "-" is none. prep, done and
 * blocked count from the last wait for them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/printable.h"
#include "lockres/lockspace_dlm.h"
#include "tests/cat/options.h"
#include "totem/group.h"

enum { MAX_LOCKS = 2048, MAX_WORDS = 8, LINE_BYTES = 512, SCRIPT_BYTES = 1 << 18 };

struct program;

struct story_lock {
	struct program *program;
	char label[16];
	struct lockres lock;
	struct lock_result last;
	unsigned int blocked; /* since it was waited for */
	enum lock_mode blocked_mode;
};

struct program {
	char awaited_file[128];
	struct loop *loop;
	struct station *station;
	struct lockspace_dlm *dlm;
	struct lockspace *space;
	struct story_lock locks[MAX_LOCKS];
	int lock_count;
	char script[SCRIPT_BYTES], *at;
	int line;
	bool is_in, is_closed, is_lost, is_sleeping;
	unsigned int preps, dones;
	int failed;
	struct loop_job more;
	uint64_t started;
};

static void say(const struct program *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct program *p, const char *format, ...)
{
	va_list ap;

	printf("%8.3f  ", (double)(clock_boot_ns() - p->started) / 1e9);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void go_on(struct program *p)
{
	loop_soon(p->loop, &p->more);
}

/* --- words ------------------------------------------------------------------------------- */

static const struct { const char *name; uint32_t flag; } flag_names[] = {
	{ "noqueue", LOCK_NOQUEUE }, { "valblk", LOCK_VALBLK }, { "quecvt", LOCK_QUECVT },
	{ "ivvalblk", LOCK_IVVALBLK }, { "convdeadlk", LOCK_CONVDEADLK },
	{ "persistent", LOCK_PERSISTENT }, { "nodlckwt", LOCK_NODLCKWT },
	{ "expedite", LOCK_EXPEDITE }, { "noqueuebast", LOCK_NOQUEUEBAST },
	{ "headque", LOCK_HEADQUE }, { "noorder", LOCK_NOORDER },
	{ "orphan", LOCK_ORPHAN }, { "altpr", LOCK_ALTPR }, { "altcw", LOCK_ALTCW },
	{ "forceunlock", LOCK_FORCEUNLOCK },
};

static uint32_t parse_flags(const char *words)
{
	uint32_t flags = 0;
	size_t i;

	while (words && *words && strcmp(words, "-") != 0) {
		size_t n = strcspn(words, ",");

		for (i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++)
			if (strlen(flag_names[i].name) == n &&
			    strncmp(words, flag_names[i].name, n) == 0)
				flags |= flag_names[i].flag;
		words += n + (words[n] == ',');
	}
	return flags;
}

static const char *status_name(int status)
{
	const char *name = status ? strerrorname_np(-status) : "0";

	return name ? name : "?";
}

static enum lock_mode parse_mode(struct program *p, const char *word)
{
	enum lock_mode mode = LOCK_NONE;

	if (strcmp(word, "none") != 0 && !lock_mode_parse(word, &mode)) {
		say(p, "line %d: '%s' is no mode", p->line, word);
		p->failed = 1;
	}
	return mode;
}

/* --- what the lockspace tells ---------------------------------------------------------------- */

static void prep(void *owner, struct lockspace *space)
{
	struct program *p = owner;

	(void)space;
	p->preps++;
	say(p, "prep");
	go_on(p);
}

static void slot(void *owner, struct lockspace *space, uint32_t node, int number)
{
	(void)space;
	say(owner, "node %u is dead, slot %d", node, number);
}

static void done(void *owner, struct lockspace *space,
		 const struct lockspace_member *members, size_t count, int our_slot,
		 uint32_t generation)
{
	struct program *p = owner;
	char text[256] = "";
	size_t i;

	(void)space;
	for (i = 0; i < count && strlen(text) < 200; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u:%d",
			 members[i].node, members[i].slot);
	p->is_in = true;
	p->dones++;
	say(p, "done:%s, ours %d, generation %u", text, our_slot, generation);
	go_on(p);
}

static void lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct program *p = owner;

	(void)space;
	p->is_lost = true;
	say(p, "lost: %s (%d)", why->text, why->code);
	go_on(p);
}

static void closed(void *owner)
{
	struct program *p = owner;

	p->is_closed = true;
	p->space = NULL;
	say(p, "closed");
	go_on(p);
}

static const struct lockspace_handlers space_handlers = { prep, slot, done, lost, closed };

static void lock_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct story_lock *l = owner;
	char text[3 * LOCK_SMALL_LVB + 1];

	l->last = *result;
	say(l->program, "%s: %s, %s, marks %u, value '%s'", l->label,
	    status_name(result->status), lock_mode_name(result->mode), result->marks,
	    text_printable(lock->value, strnlen((const char *)lock->value, LOCK_SMALL_LVB),
			   text, sizeof(text)));
	go_on(l->program);
}

static void lock_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct story_lock *l = owner;

	(void)lock;
	l->blocked++;
	l->blocked_mode = wanted;
	say(l->program, "%s: in the way of %s", l->label, lock_mode_name(wanted));
	go_on(l->program);
}

static const struct lockres_handlers lock_handlers = { lock_done, lock_blocked };

/* --- commands ----------------------------------------------------------------------------------- */

static struct story_lock *find(struct program *p, const char *label)
{
	int i;

	for (i = 0; i < p->lock_count; i++)
		if (strcmp(p->locks[i].label, label) == 0)
			return &p->locks[i];
	return NULL;
}

static struct story_lock *make(struct program *p, const char *label, const char *name)
{
	struct story_lock *l = &p->locks[p->lock_count];

	if (p->lock_count == MAX_LOCKS)
		return NULL;
	l->program = p;
	snprintf(l->label, sizeof(l->label), "%s", label);
	if (lockres_init(&l->lock, p->space, name, strlen(name), &lock_handlers, l) < 0)
		return NULL;
	p->lock_count++;
	return l;
}

static int open_space(struct program *p, char **word, int words, struct err *err)
{
	const struct lockspace_config config = {
		.name = word[1],
		.name_length = strlen(word[1]),
		.lvb_bytes = LOCK_SMALL_LVB,
		.wanted_slot = words > 2 ? atoi(word[2]) : -1,
	};

	p->is_in = p->is_lost = p->is_closed = false;
	return lockspace_open(lockspace_dlm_engine(p->dlm), &config, &space_handlers, p,
			      &p->space, err);
}

static int do_lock(struct program *p, char **word, int words, bool is_new)
{
	int first = is_new ? 3 : 2;
	struct story_lock *l = find(p, word[1]);
	uint32_t flags = words > first + 1 ? parse_flags(word[first + 1]) : 0;
	uint64_t ms = words > first + 2 ? (uint64_t)atoi(word[first + 2]) : 0;

	if (!l)
		l = is_new ? make(p, word[1], word[2]) : NULL;
	if (!l)
		return -ENOENT;
	return lockres_lock(&l->lock, parse_mode(p, word[first]),
			    flags | (is_new ? 0 : LOCK_CONVERT), ms * NS_PER_MS);
}

static void print_blockers(struct program *p, const struct story_lock *l)
{
	uint32_t nodes[16];
	size_t count = lockres_blockers(&l->lock, nodes, 16), i;

	for (i = 0; i < count && i < 16; i++)
		say(p, "%s: waits for node %u", l->label, nodes[i]);
	if (count == 0)
		say(p, "%s: waits for nobody that is known", l->label);
}

static void expect(struct program *p, const struct story_lock *l, char **word, int words)
{
	bool is_right = strcmp(status_name(l->last.status), word[2]) == 0 &&
			l->last.mode == parse_mode(p, word[3]) &&
			(words < 5 || l->last.marks == (uint32_t)atoi(word[4])) &&
			(words < 6 || strncmp((const char *)l->lock.value, word[5],
					      LOCK_SMALL_LVB) == 0);

	if (is_right)
		return;
	say(p, "line %d: NOT AS EXPECTED: %s", p->line, l->label);
	p->failed = 1;
}

/* Of a lock that is there. */
static int do_lock_command(struct program *p, struct story_lock *l, char **word, int words)
{
	const char *what = word[0];

	if (strcmp(what, "unlock") == 0)
		return lockres_unlock(&l->lock, words > 2 ? parse_flags(word[2]) : 0);
	if (strcmp(what, "cancel") == 0)
		return lockres_unlock(&l->lock, LOCK_CANCEL);
	if (strcmp(what, "blockers") == 0)
		print_blockers(p, l);
	if (strcmp(what, "fini") == 0) {
		lockres_fini(&l->lock);
		*l->label = '\0';
	}
	if (strcmp(what, "value") == 0 && words > 2) {
		memset(l->lock.value, 0, sizeof(l->lock.value));
		memcpy(l->lock.value, word[2], strnlen(word[2], LOCK_SMALL_LVB));
	}
	if (strcmp(what, "expect") == 0 && words > 3)
		expect(p, l, word, words);
	return 0;
}

static void wake(void *owner)
{
	struct program *p = owner;

	p->is_sleeping = false;
	go_on(p);
}

static void look_for_file(void *owner)
{
	struct program *p = owner;
	struct err err = ERR_INIT;

	if (access(p->awaited_file, F_OK) == 0)
		wake(p);
	else if (!loop_timer_start(p->loop, 100, look_for_file, p, &err))
		say(p, "%s: %s", p->awaited_file, err.text);
}

static int do_command(struct program *p, char **word, int words, struct err *err)
{
	struct story_lock *l = words > 1 ? find(p, word[1]) : NULL;

	if (strcmp(word[0], "open") == 0 && words > 1)
		return open_space(p, word, words, err);
	if (strcmp(word[0], "close") == 0 && p->space)
		return lockspace_close(p->space), 0;
	if (strcmp(word[0], "lock") == 0 && words > 3)
		return do_lock(p, word, words, true);
	if (strcmp(word[0], "conv") == 0 && words > 2)
		return do_lock(p, word, words, false);
	if (strcmp(word[0], "dead") == 0 && words > 2)
		return lockspace_confirm_dead(lockspace_dlm_engine(p->dlm),
					      (uint32_t)atoi(word[1]), 0,
					      *word[2] == 'n' ? LOCK_DEATH_NODE :
								LOCK_DEATH_PROCESS,
					      err);
	if (strcmp(word[0], "purge") == 0 && words > 1)
		return lockspace_purge_orphans(p->space, (uint32_t)atoi(word[1]), err);
	if (strcmp(word[0], "say") == 0)
		return 0;
	if (strcmp(word[0], "sleep") == 0 && words > 1) {
		p->is_sleeping = true;
		return loop_timer_start(p->loop, (uint32_t)atoi(word[1]), wake, p, err) ?
			       0 : err->code;
	}
	if (strcmp(word[0], "until") == 0 && words > 1) {
		snprintf(p->awaited_file, sizeof(p->awaited_file), "%s", word[1]);
		p->is_sleeping = true;
		return loop_timer_start(p->loop, 1, look_for_file, p, err) ? 0 : err->code;
	}
	return l ? do_lock_command(p, l, word, words) : -ENOENT;
}

static bool take(unsigned int *count)
{
	bool has = *count > 0;

	if (has)
		*count = 0;
	return has;
}

static bool is_awaited(struct program *p, char **word, int words)
{
	struct story_lock *l = find(p, word[words - 1]);

	if (strcmp(word[1], "in") == 0)
		return p->is_in;
	if (strcmp(word[1], "closed") == 0)
		return p->is_closed;
	if (strcmp(word[1], "lost") == 0)
		return p->is_lost;
	if (strcmp(word[1], "prep") == 0)
		return take(&p->preps);
	if (strcmp(word[1], "done") == 0)
		return take(&p->dones);
	if (strcmp(word[1], "blocked") == 0)
		return l && take(&l->blocked);
	return !l || !l->lock.is_pending;
}

/* --- the script ------------------------------------------------------------------------------------ */

static int split(char *line, char **word)
{
	int words = 0;
	char *save = NULL, *w = strtok_r(line, " \t", &save);

	while (w && words < MAX_WORDS) {
		word[words++] = w;
		w = strtok_r(NULL, " \t", &save);
	}
	return words;
}

/* False: it waits. */
static bool do_line(struct program *p)
{
	char line[LINE_BYTES], *word[MAX_WORDS], *end = strchr(p->at, '\n');
	size_t length = end ? (size_t)(end - p->at) : strlen(p->at);
	struct err err = ERR_INIT;
	int words, r;

	snprintf(line, sizeof(line), "%.*s", (int)length, p->at);
	words = split(line, word);
	if (words > 1 && strcmp(word[0], "wait") == 0 && !is_awaited(p, word, words))
		return false;
	p->line++;
	if (words > 0 && *word[0] != '#' && strcmp(word[0], "wait") != 0) {
		say(p, "> %.*s", (int)length, p->at);
		r = do_command(p, word, words, &err);
		if (r < 0)
			say(p, "line %d: refused: %s %s", p->line, status_name(r), err.text);
	}
	p->at += length + (end != NULL);
	return true;
}

static void step(void *owner)
{
	struct program *p = owner;

	while (*p->at && !p->is_sleeping)
		if (!do_line(p))
			return;
	if (!*p->at && !p->is_sleeping)
		loop_stop(p->loop);
}

static bool is_guarded(void *owner, const void *name, size_t length)
{
	(void)owner;
	return length >= 6 && memcmp(name, "bitmap", 6) == 0;
}

static int start(struct program *p, const struct cat_options *options, struct err *err)
{
	static const struct station_ops station_ops = { 0 };
	const struct lockspace_dlm_ops ops = { .is_guarded = is_guarded };
	struct lockspace_dlm_config config = {
		.self = options->station.self,
		.incarnation = clock_wall_us(),
		.drops_are_proofs = getenv("DLM_FENCED") != NULL,
	};

	p->loop = config.loop = loop_new(err);
	if (!p->loop)
		return err->code;
	p->station = station_open(&options->station, &station_ops, p, p->loop, err);
	if (!p->station)
		return err->code;
	config.groups = totem_groups(station_totem(p->station));
	p->dlm = lockspace_dlm_new(&config, &ops, p, err);
	if (!p->dlm)
		return err->code;
	station_start(p->station);
	p->more = (struct loop_job){ .fn = step, .owner = p };
	p->started = clock_boot_ns();
	go_on(p);
	loop_run(p->loop);
	return 0;
}

static void print_stats(const struct lockspace_dlm_stats *s)
{
	printf("calls %" PRIu64 ", results %" PRIu64 ", blocked %" PRIu64 ", again %" PRIu64
	       ", held %" PRIu64 ", rounds %" PRIu64 ", barriers %" PRIu64
	       ", faults %" PRIu64 "\n", s->calls, s->results, s->blocked, s->again, s->held,
	       s->rounds, s->barriers, s->faults);
}

int main(int argc, char **argv)
{
	static struct program program;
	struct cat_options options = { .station.cluster = "dlm" };
	struct program *p = &program;
	struct err err = ERR_INIT;
	int r = cat_options_parse(argc, argv, &options, &err);

	p->at = p->script;
	p->script[fread(p->script, 1, sizeof(p->script) - 1, stdin)] = '\0';
	if (r == 0)
		r = log_open("dlm_program", LOG_TO_STDERR, LOG_NOTICE, &err);
	if (r == 0)
		r = start(p, &options, &err);
	if (p->dlm)
		print_stats(lockspace_dlm_stats(p->dlm));
	lockspace_dlm_free(p->dlm);
	station_close(p->station);
	loop_free(p->loop);
	log_close();
	if (r < 0)
		fprintf(stderr, "dlm_program: %s\n", err.text);
	return r < 0 || p->failed;
}
