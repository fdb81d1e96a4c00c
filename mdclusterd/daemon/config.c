/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text. To libconfuse every value is a string, so that what a value means, and what
 * is wrong with it, is said in one place (config_check.c) and in our words. It gives its
 * callbacks no pointer of ours, hence the one variable here, per thread.
 */
#include "mdclusterd/daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "mdclusterd/daemon/config_private.h"
#include "mdclusterd/daemon/config_text.h"
#include "totem/corosync.h"

enum {
	MAX_FILE_BYTES = 1 << 20,
	MAX_RETRIES = 200,        /* texts that are read with more and more blanked out */
	MAX_SUGGESTION_DISTANCE = 3,
};

static __thread struct config_reader *reading;

/* --- mistakes -------------------------------------------------------------------------- */

static void vmistake(struct config_reader *r, int line, const char *fmt, va_list args)
{
	struct config_mistake *m = r->mistakes;

	if (r->mistake_count == r->mistake_room) {
		r->mistake_room = r->mistake_room * 2 + 16;
		m = reallocarray(m, r->mistake_room, sizeof(*m));
		if (!m) {
			r->mistake_room = r->mistake_count;
			r->is_out_of_memory = true;
			return;
		}
		r->mistakes = m;
	}
	m += r->mistake_count;
	m->line = line;
	if (vasprintf(&m->sentence, fmt, args) < 0)
		r->is_out_of_memory = true;
	else
		r->mistake_count++;
}

void config_mistake(struct config_reader *r, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vmistake(r, line, fmt, args);
	va_end(args);
}

static int by_line(const void *a, const void *b)
{
	const struct config_mistake *x = a, *y = b;

	return x->line != y->line ? x->line - y->line : strcmp(x->sentence, y->sentence);
}

/* --- places ---------------------------------------------------------------------------- */

static const struct config_place *place_of(const struct config_reader *r, const cfg_t *section,
					   const char *option, unsigned int index)
{
	for (size_t i = 0; i < r->place_count; i++) {
		const struct config_place *p = &r->places[i];

		if (p->section == section && p->index == index &&
		    strcmp(p->option, option) == 0)
			return p;
	}
	return NULL;
}

/* A file of a thousand values or so: a list is enough. */
static int note_place(cfg_t *section, cfg_opt_t *option)
{
	struct config_reader *r = reading;
	bool is_list = (option->flags & CFGF_LIST) != 0;
	unsigned int index = is_list ? cfg_opt_size(option) - 1 : 0;
	const struct config_place *before = place_of(r, section, option->name, index);

	if (before && !is_list)
		config_mistake(r, section->line, "%s: is given a second time (first in line %d)",
			       option->name, before->line);
	if (r->place_count == r->place_room) {
		size_t room = r->place_room * 2 + 64;
		struct config_place *p = reallocarray(r->places, room, sizeof(*p));

		if (!p) {
			r->is_out_of_memory = true;
			return -1;
		}
		r->places = p;
		r->place_room = room;
	}
	r->places[r->place_count++] = (struct config_place){ section, option->name, index,
							     section->line };
	return 0;
}

int config_section_line(const struct config_reader *r, const cfg_t *section)
{
	/* libconfuse leaves there the line of its last brace */
	return section == r->cfg ? 0 : config_text_opening(r->text, section->line);
}

int config_line(const struct config_reader *r, const cfg_t *section, const char *option,
		unsigned int index)
{
	const struct config_place *p = place_of(r, section, option, index);

	return p ? p->line : config_section_line(r, section);
}

/* --- what libconfuse reads --------------------------------------------------------------- */

#define TEXT(name) CFG_STR(name, NULL, CFGF_NODEFAULT)
#define LIST(name) CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)

static cfg_opt_t cluster_options[] = { TEXT("name"), TEXT("key_file"), TEXT("crypto"),
				       TEXT("incremental"), TEXT("auto_re_add"), TEXT("engine"),
				       TEXT("locks"), CFG_END() };
static cfg_opt_t node_options[] = { TEXT("id"), TEXT("address"), TEXT("port"), TEXT("votes"),
				    CFG_END() };
static cfg_opt_t totem_options[] = {
	TEXT("token_ms"), TEXT("mtu"), TEXT("multicast"), TEXT("multicast_ttl"), TEXT("port"),
	TEXT("sync_deadline_ms"), CFG_END(),
};
static cfg_opt_t quorum_options[] = {
	TEXT("lease_ms"), TEXT("expected_votes"), TEXT("two_node"), TEXT("wait_for_all"),
	TEXT("auto_tie_breaker"), TEXT("auto_tie_breaker_node"), TEXT("last_man_standing"),
	TEXT("last_man_standing_window"), TEXT("allow_downscale"), TEXT("tie_breaker"),
	TEXT("tie_breaker_votes"), TEXT("tie_breaker_io_timeout"), CFG_END(),
};
static cfg_opt_t array_options[] = {
	LIST("disks"), TEXT("uuid"), LIST("scan"), TEXT("start_degraded"), TEXT("no_quorum"),
	TEXT("resync_min"), TEXT("resync_max"), TEXT("intent_budget"), TEXT("export"),
	TEXT("export_mode"), TEXT("export_group"), TEXT("auto"), TEXT("auto_re_add"),
	TEXT("degraded_after_ms"), TEXT("max_read_errors"), CFG_END(),
};
static cfg_opt_t fence_node_options[] = { LIST("options"), TEXT("delay_ms"), CFG_END() };
static cfg_opt_t fence_device_options[] = {
	TEXT("type"), TEXT("agent"), TEXT("command"), TEXT("action"), TEXT("user"), TEXT("abort"),
	LIST("options"), TEXT("timeout_ms"), TEXT("retries"), TEXT("delay_ms"),
	CFG_SEC("node", fence_node_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};
static cfg_opt_t fence_level_options[] = { LIST("devices"), LIST("nodes"), CFG_END() };
static cfg_opt_t fence_options[] = {
	LIST("methods"), TEXT("command"), TEXT("timeout_ms"), TEXT("retries"),
	TEXT("delay_ms"),
	CFG_SEC("device", fence_device_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("level", fence_level_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};
static cfg_opt_t watchdog_options[] = {
	TEXT("device"), TEXT("timeout_s"), TEXT("drain_ms"), TEXT("software"), CFG_END(),
};
static cfg_opt_t log_options[] = { TEXT("target"), TEXT("level"), CFG_END() };
static cfg_opt_t control_options[] = { TEXT("group"), CFG_END() };
static cfg_opt_t file_options[] = {
	TEXT("this_node"), TEXT("run_dir"), TEXT("state_dir"), TEXT("lock_memory"),
	CFG_SEC("cluster", cluster_options, CFGF_NONE),
	CFG_SEC("node", node_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("totem", totem_options, CFGF_NONE),
	CFG_SEC("quorum", quorum_options, CFGF_NONE),
	CFG_SEC("array", array_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("fence", fence_options, CFGF_NONE),
	CFG_SEC("watchdog", watchdog_options, CFGF_NONE),
	CFG_SEC("log", log_options, CFGF_NONE),
	CFG_SEC("control", control_options, CFGF_NONE),
	CFG_END(),
};

static const char *nearest(const cfg_opt_t *options, const char *word)
{
	unsigned int best = MAX_SUGGESTION_DISTANCE + 1;
	const char *name = NULL;

	for (const cfg_opt_t *o = options; o->name; o++) {
		unsigned int distance = config_text_distance(o->name, word);

		if (distance < best && 2 * distance <= strlen(o->name)) {
			best = distance;
			name = o->name;
		}
	}
	return name;
}

/* Called by libconfuse, which then gives up this text. */
static void came_to_a_halt(cfg_t *cfg, const char *fmt, va_list args)
{
	struct config_reader *r = reading;
	bool is_unknown = strstr(fmt, "no such option") != NULL;
	bool is_repeated = strstr(fmt, "duplicate title") != NULL;
	const char *word, *near;

	r->is_broken = !is_unknown && !is_repeated;
	r->blank_line = cfg->line;
	r->blank_word[0] = '\0';
	if (is_repeated) {
		config_mistake(r, cfg->line, "there is another section of this name");
	} else if (is_unknown) {
		word = va_arg(args, const char *);
		near = nearest(cfg->opts, word);
		snprintf(r->blank_word, sizeof(r->blank_word), "%s", word);
		if (near)
			config_mistake(r, cfg->line, "%s: is no option here; did you mean '%s'?",
				       word, near);
		else
			config_mistake(r, cfg->line, "%s: is no option here", word);
	} else {
		vmistake(r, cfg->line, fmt, args);
	}
}

/* All options of all sections; `path`: those above them, with a bar behind each. */
static void watch_places(cfg_t *cfg, const cfg_opt_t *options, const char *path)
{
	char name[128];

	for (const cfg_opt_t *o = options; o->name; o++) {
		snprintf(name, sizeof(name), "%s%s", path, o->name);
		if (!(o->flags & CFGF_MULTI))
			cfg_set_validate_func(cfg, name, note_place);
		if (o->type != CFGT_SEC)
			continue;
		snprintf(name, sizeof(name), "%s%s|", path, o->name);
		watch_places(cfg, o->subopts, name);
	}
}

static int read_once(struct config_reader *r)
{
	FILE *file;
	int result;

	r->place_count = 0;
	r->is_broken = false;
	r->blank_line = 0;
	r->cfg = cfg_init(file_options, CFGF_NONE);
	file = r->cfg ? fmemopen(r->text, strlen(r->text), "r") : NULL;
	if (!file) {
		r->is_out_of_memory = true;
		return CFG_FILE_ERROR;
	}
	cfg_set_error_function(r->cfg, came_to_a_halt);
	watch_places(r->cfg, file_options, "");
	reading = r;
	result = cfg_parse_fp(r->cfg, file);
	reading = NULL;
	(void)fclose(file);
	return result;
}

static void read_all(struct config_reader *r)
{
	for (int i = 0; i < MAX_RETRIES && !r->is_out_of_memory; i++) {
		int result = read_once(r);

		if (result == CFG_SUCCESS || r->is_broken)
			return;
		if (!config_text_blank(r->text, r->blank_line,
				       *r->blank_word ? r->blank_word : NULL))
			break;
		cfg_free(r->cfg);
		r->cfg = NULL;
	}
	r->is_broken = true;
}

static void look_for_stars(struct config_reader *r, const char *text)
{
	int line = 0;

	while ((line = config_text_stray_star(text, line)) != 0)
		config_mistake(r, line, "an asterisk outside of quotes would be lost: a pattern goes in quotes, \"/dev/sd*\"");
}

/* --- the whole -------------------------------------------------------------------------- */

static void tell(struct config_reader *r, config_mistake_fn mistake, void *owner)
{
	if (r->mistake_count > 0)
		qsort(r->mistakes, r->mistake_count, sizeof(*r->mistakes), by_line);
	for (size_t i = 0; i < r->mistake_count; i++) {
		const struct config_mistake *m = &r->mistakes[i];

		/* a text that was read again has the same ones */
		if (i == 0 || by_line(m, m - 1) != 0)
			mistake(owner, m->line, m->sentence);
	}
	for (size_t i = 0; i < r->mistake_count; i++)
		free(r->mistakes[i].sentence);
	if (r->is_out_of_memory)
		mistake(owner, 0, "there is no memory to read it");
}

struct config *config_parse(const char *text, const char *host, config_ask_fn ask,
			    config_mistake_fn mistake, void *owner, struct err *err)
{
	struct config_reader r = { .text = strdup(text), .host = host, .ask = ask };
	struct config *c = calloc(1, sizeof(*c));
	bool is_good;

	r.is_out_of_memory = !r.text || !c;
	if (!r.is_out_of_memory) {
		look_for_stars(&r, text);
		read_all(&r);
	}
	if (!r.is_out_of_memory && !r.is_broken)
		config_check(&r, c);
	is_good = r.mistake_count == 0 && !r.is_out_of_memory;
	if (r.is_refused && r.mistake_count == 1)
		err_set(err, -EAGAIN, "corosync does not run on this host, or does not answer");
	else if (!is_good)
		err_set(err, -EINVAL, "has mistakes");
	tell(&r, mistake, owner);
	if (r.cfg)
		cfg_free(r.cfg);
	free(r.places);
	free(r.mistakes);
	free(r.text);
	if (is_good)
		return c;
	config_free(c);
	return NULL;
}

static char *read_file(const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(MAX_FILE_BYTES + 1);
	size_t n = 0;

	if (!file)
		err_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (!text)
		err_nomem(err, path);
	else
		n = fread(text, 1, MAX_FILE_BYTES + 1, file);
	if (file && text && ferror(file))
		err_set(err, -EIO, "%s: cannot be read", path);
	else if (n > MAX_FILE_BYTES || (n > 0 && memchr(text, '\0', n)))
		err_set(err, -EBADMSG, "%s: is no text of at most %d bytes", path,
			MAX_FILE_BYTES);
	if (file)
		(void)fclose(file);
	if (err->code < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

struct config *config_read(const char *path, config_mistake_fn mistake, void *owner,
			   struct err *err)
{
	CLEANUP_FREE char *text = read_file(path, err);
	char host[256] = "";
	struct config *c;

	if (!text)
		return NULL;
	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	c = config_parse(text, host, corosync_map_read, mistake, owner, err);
	if (!c)
		err_prefix(err, "%s", path);
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->array_count; i++)
		config_array_fini(&c->arrays[i]);
	free(c->arrays);
	free(c->key_file);
	free(c->tie_breaker);
	fence_plan_fini(&c->fence.plan);
	free(c->watchdog.device);
	free(c->run_dir);
	free(c->state_dir);
	free(c);
}

int config_node_by_name(const struct config *c, const char *name)
{
	for (int i = 0; i < c->node_count; i++)
		if (strcmp(c->nodes[i].name, name) == 0)
			return i;
	return -1;
}

int config_node_by_id(const struct config *c, uint32_t id)
{
	for (int i = 0; i < c->node_count; i++)
		if (c->nodes[i].id == id)
			return i;
	return -1;
}

void config_node_table(const struct config *c, struct node_table *table)
{
	table->count = c->node_count;
	for (int i = 0; i < c->node_count; i++)
		table->ids[i] = c->nodes[i].id;
}

const struct config_array *config_array(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->array_count; i++)
		if (strcmp(c->arrays[i].name, name) == 0)
			return &c->arrays[i];
	return NULL;
}

void config_array_fini(struct config_array *a)
{
	for (size_t i = 0; i < a->disk_count; i++)
		free(a->disks[i]);
	a->disk_count = 0;
}

int config_array_copy(struct config_array *to, const struct config_array *from)
{
	*to = *from;
	for (to->disk_count = 0; to->disk_count < from->disk_count; to->disk_count++) {
		to->disks[to->disk_count] = strdup(from->disks[to->disk_count]);
		if (!to->disks[to->disk_count]) {
			config_array_fini(to);
			return -ENOMEM;
		}
	}
	return 0;
}
