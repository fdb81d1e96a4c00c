/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/show_status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "tools/daemon.h"

enum { SECTOR = 512 };
static const uint64_t mib = 1 << 20;

static const enum terminal_colour colours[] = {
	[STATUS_FINE] = TERMINAL_GREEN,
	[STATUS_DEGRADED] = TERMINAL_YELLOW,
	[STATUS_DOWN] = TERMINAL_RED,
};

/* --- words ------------------------------------------------------------------------------ */

const struct status_node *show_find_node(const struct status *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->node_count; i++)
		if (s->nodes[i].id == id)
			return &s->nodes[i];
	return NULL;
}

const char *show_status_node(const struct status *s, uint32_t id, char to[SHOW_NODE_BYTES])
{
	const struct status_node *n = show_find_node(s, id);

	if (n && n->name[0])
		snprintf(to, SHOW_NODE_BYTES, "%s", n->name);
	else
		snprintf(to, SHOW_NODE_BYTES, "#%u", id);
	return to;
}

const char *show_waits(const char *waits, uint64_t age_ns, char to[SHOW_WAITS_BYTES])
{
	char age[TERMINAL_AGE_BYTES];

	if (strncmp(waits, "waits: ", 7) == 0)
		waits += 7;
	if (!*waits)
		to[0] = '\0';
	else if (age_ns)
		snprintf(to, SHOW_WAITS_BYTES, "waits: %s, %s", waits, terminal_age(age_ns, age));
	else
		snprintf(to, SHOW_WAITS_BYTES, "waits: %s", waits);
	return to;
}

const char *show_disk_letters(const struct status_array *a, char to[STATUS_MAX_DISKS + 3])
{
	uint32_t roles = (uint32_t)min_u64(a->raid_disks, STATUS_MAX_DISKS);

	to[0] = '[';
	memset(to + 1, '_', roles);
	to[roles + 1] = ']';
	to[roles + 2] = '\0';
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (a->disks[i].role < roles && strcmp(a->disks[i].state, "in_sync") == 0)
			to[a->disks[i].role + 1] = 'U';
	return to;
}

static void list_arrays(const struct status *s, char *to, size_t size)
{
	size_t at = 0;

	snprintf(to, size, "none");
	for (uint32_t i = 0; i < s->array_count && at < size; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%s", i ? ", " : "",
				       s->arrays[i].name);
}

const struct status_array *show_find_array(const struct status *s, const char *word,
					   struct err *err)
{
	const char *name = daemon_array_name(word);
	char names[256];

	for (uint32_t i = 0; i < s->array_count; i++)
		if (strcmp(s->arrays[i].name, name) == 0 ||
		    strcmp(s->arrays[i].name, word) == 0 ||
		    strcmp(s->arrays[i].uuid, word) == 0)
			return &s->arrays[i];
	list_arrays(s, names, sizeof(names));
	err_set(err, -ENOENT, "there is no array '%s' on this node; there are: %s", word, names);
	return NULL;
}

/* --- the cluster ------------------------------------------------------------------------ */

static void show_node_trouble(const struct status *s, const struct status_node *n,
			      struct terminal *t)
{
	char name[SHOW_NODE_BYTES], age[TERMINAL_AGE_BYTES], waits[SHOW_WAITS_BYTES];

	terminal_begin(t, 2);
	terminal_word(t, TERMINAL_BOLD, "%s", show_status_node(s, n->id, name));
	terminal_word(t, n->is_member ? TERMINAL_PLAIN : TERMINAL_YELLOW, "%s%s%s",
		      n->is_member ? "member" : n->is_dead ? "dead" : "missing",
		      n->since_ns && !n->is_member ? " for " : "",
		      n->since_ns && !n->is_member ? terminal_age(n->since_ns, age) : "");
	terminal_sentence(t, TERMINAL_YELLOW, show_waits(n->waits, 0, waits));
	terminal_end(t);
}

static void show_cluster(const struct status *s, struct terminal *t)
{
	uint32_t members = 0;
	char text[STATUS_TEXT + 16];

	for (uint32_t i = 0; i < s->node_count; i++)
		members += s->nodes[i].is_member;
	terminal_begin(t, 0);
	terminal_word(t, TERMINAL_BOLD, "cluster %s", s->cluster[0] ? s->cluster : "?");
	terminal_word(t, members < s->node_count ? TERMINAL_YELLOW : TERMINAL_GREEN,
		      "%u/%u nodes", members, s->node_count);
	snprintf(text, sizeof(text), "NO QUORUM: %u of %u votes, %u are needed", s->votes,
		 s->expected, s->quorum);
	if (s->quorum_waits[0])
		snprintf(text, sizeof(text), "NO QUORUM: %s", s->quorum_waits);
	if (s->is_quorate)
		terminal_word(t, TERMINAL_GREEN, "quorate");
	else
		terminal_sentence(t, TERMINAL_RED, text);
	terminal_word(t, TERMINAL_PLAIN, "ring %u.%" PRIu64, s->ring_rep, s->ring_seq);
	if (strcmp(s->ring_state, "operational") != 0)
		terminal_word(t, TERMINAL_YELLOW, "ring forms (%s)", s->ring_state);
	else if (s->token_ns)
		terminal_word(t, TERMINAL_PLAIN, "token %.2f ms",
			      (double)s->token_ns / (double)NS_PER_MS);
	terminal_end(t);
	for (uint32_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i].is_member || s->nodes[i].waits[0])
			show_node_trouble(s, &s->nodes[i], t);
}

/* --- an array --------------------------------------------------------------------------- */

static void show_head(const struct status *s, const struct status_array *a,
		      struct terminal *t)
{
	enum status_health health = status_array_health(s, a);
	char size[TEXT_SIZE_BYTES], letters[STATUS_MAX_DISKS + 3], age[TERMINAL_AGE_BYTES];
	bool is_whole = a->disks_in_sync >= a->raid_disks;

	terminal_begin(t, 0);
	terminal_word(t, TERMINAL_BOLD, "%s", a->name);
	if (a->level[0])
		terminal_word(t, TERMINAL_PLAIN, "%s", a->level);
	terminal_word(t, a->is_stopped ? TERMINAL_PLAIN : colours[health], "%s", a->state);
	if (a->is_stopped)
		terminal_word(t, TERMINAL_PLAIN, "stopped here: mdcluster assemble %s", a->name);
	if (a->size_bytes)
		terminal_word(t, TERMINAL_PLAIN, "%s", text_size(a->size_bytes, size));
	if (a->raid_disks)
		terminal_word(t, is_whole ? TERMINAL_PLAIN : TERMINAL_YELLOW, "[%u/%u] %s",
			      a->raid_disks, a->disks_in_sync,
			      show_disk_letters(a, letters));
	if (a->degraded_since_ns)
		terminal_word(t, TERMINAL_YELLOW, "degraded for %s",
			      terminal_age(a->degraded_since_ns, age));
	if (a->dirty_bytes)
		terminal_word(t, TERMINAL_PLAIN, "dirty %s", text_size(a->dirty_bytes, size));
	if (a->clients)
		terminal_word(t, TERMINAL_PLAIN, "%u client%s", a->clients,
			      a->clients == 1 ? "" : "s");
	terminal_end(t);
}

/* As /proc/mdstat has it, in MiB. */
static void show_activity(const struct status_array *a, struct terminal *t)
{
	char bar[TERMINAL_BAR_BYTES], size[TEXT_SIZE_BYTES];
	unsigned int per_mille = terminal_per_mille(a->done_sectors, a->total_sectors);

	if (!a->activity[0])
		return;
	terminal_begin(t, 2);
	terminal_word(t, TERMINAL_YELLOW, "%s",
		      terminal_bar(a->done_sectors, a->total_sectors, bar));
	terminal_word(t, TERMINAL_YELLOW, "%s = %u.%u%% (%" PRIu64 "/%" PRIu64 " MiB)",
		      a->activity, per_mille / 10, per_mille % 10,
		      a->done_sectors / (mib / SECTOR), a->total_sectors / (mib / SECTOR));
	if (a->eta_ns >= 60 * NS_PER_S)
		terminal_word(t, TERMINAL_PLAIN, "finish=%.1fmin",
			      (double)a->eta_ns / (60.0 * (double)NS_PER_S));
	else if (a->eta_ns) /* 0.0min would say nothing */
		terminal_word(t, TERMINAL_PLAIN, "finish=%" PRIu64 "s",
			      (uint64_t)(a->eta_ns / NS_PER_S + 1));
	if (a->speed_bytes) /* not yet known, in the first window */
		terminal_word(t, TERMINAL_PLAIN, "speed=%" PRIu64 ".%" PRIu64 "MiB/s",
		      a->speed_bytes / mib, a->speed_bytes % mib * 10 / mib);
	if (a->mismatch_sectors)
		terminal_word(t, TERMINAL_RED, "%s differ%s",
			      text_size(a->mismatch_sectors * SECTOR, size),
			      strcmp(a->activity, "repair") == 0 ? "ed" : "");
	terminal_end(t);
}

static bool has_rebuild(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (strcmp(a->disks[i].state, "rebuild") == 0)
			return true;
	return false;
}

/* Of others only the window is known: how far they are, not how fast. */
static void show_others(const struct status *s, const struct status_array *a,
			struct terminal *t)
{
	uint64_t total = a->size_bytes / SECTOR;
	char bar[TERMINAL_BAR_BYTES], name[SHOW_NODE_BYTES];

	for (uint32_t i = 0; i < a->member_count; i++) {
		const struct status_member *m = &a->members[i];
		unsigned int per_mille = terminal_per_mille(m->low, total);

		if (m->node == s->node || m->high <= m->low || total == 0)
			continue;
		terminal_begin(t, 2);
		terminal_word(t, TERMINAL_YELLOW, "%s", terminal_bar(m->low, total, bar));
		terminal_word(t, TERMINAL_YELLOW, "%s by %s", has_rebuild(a) ? "recovery" : "resync",
			      show_status_node(s, m->node, name));
		terminal_word(t, TERMINAL_YELLOW, "at %u.%u%% (%" PRIu64 "/%" PRIu64 " MiB)",
			      per_mille / 10, per_mille % 10, m->low / (mib / SECTOR),
			      total / (mib / SECTOR));
		terminal_end(t);
	}
}

/* What is not as it should be, a line each. */
static void show_trouble(const struct status_array *a, struct terminal *t)
{
	char text[SHOW_WAITS_BYTES], age[TERMINAL_AGE_BYTES], size[TEXT_SIZE_BYTES];

	if (!a->activity[0] && a->needed_bytes) {
		terminal_begin(t, 2);
		terminal_word(t, TERMINAL_YELLOW, "resync owed: %s",
			      text_size(a->needed_bytes, size));
		terminal_end(t);
	}
	if (a->is_single_source) {
		terminal_begin(t, 2);
		terminal_sentence(t, TERMINAL_YELLOW,
				  "all reads come from one disk: others may still differ");
		terminal_end(t);
	}
	if (a->parked) {
		terminal_begin(t, 2);
		terminal_word(t, TERMINAL_RED, "%u request%s parked for %s", a->parked,
			      a->parked == 1 ? "" : "s", terminal_age(a->parked_since_ns, age));
		if (!a->is_gate_open)
			terminal_word(t, TERMINAL_RED, "(the gate is shut)");
		terminal_end(t);
	} else if (strcmp(a->state, "active") == 0 && !a->is_gate_open) {
		terminal_begin(t, 2);
		terminal_word(t, TERMINAL_RED, "the gate is shut: no I/O");
		terminal_end(t);
	}
	if (a->waits[0]) {
		terminal_begin(t, 2);
		terminal_sentence(t, TERMINAL_YELLOW, show_waits(a->waits, a->waits_since_ns,
								  text));
		terminal_end(t);
	}
}

bool show_is_bad_disk(const struct status_array *a, const struct status_disk *disk)
{
	uint32_t missing = 0, outcasts = 0;

	for (uint32_t i = 0; i < a->disk_count; i++) {
		missing += strcmp(a->disks[i].state, "missing") == 0;
		outcasts += strcmp(a->disks[i].state, "faulty") == 0 &&
			    a->disks[i].role >= a->raid_disks;
	}
	if (strcmp(disk->state, "missing") == 0)
		return missing > outcasts;
	return strcmp(disk->state, "in_sync") != 0 && strcmp(disk->state, "spare") != 0;
}

/* How far it is, whoever copies to it. */
static void show_recovered(const struct status_array *a, const struct status_disk *d,
			   struct terminal *t)
{
	unsigned int per_mille = terminal_per_mille(d->recovered_sectors, a->member_sectors);

	if (strcmp(d->state, "rebuild") != 0)
		return;
	if (d->is_by_bitmap)
		terminal_word(t, TERMINAL_PLAIN, "gets what it missed");
	else if (a->member_sectors)
		terminal_word(t, TERMINAL_PLAIN, "recovered up to %u.%u%%", per_mille / 10,
			      per_mille % 10);
}

static void show_bad_disks(const struct status_array *a, struct terminal *t)
{
	for (uint32_t i = 0; i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		if (!show_is_bad_disk(a, d))
			continue;
		terminal_begin(t, 2);
		if (d->role < a->raid_disks)
			terminal_word(t, TERMINAL_RED, "disk %u %s", d->role, d->state);
		else
			terminal_word(t, TERMINAL_RED, "disk %s", d->state);
		if (d->path[0])
			terminal_word(t, TERMINAL_PLAIN, "%s", d->path);
		show_recovered(a, d, t);
		if (d->errors)
			terminal_word(t, TERMINAL_PLAIN, "%" PRIu64 " error%s", d->errors,
				      d->errors == 1 ? "" : "s");
		terminal_end(t);
	}
}

/* A disk that begins to go: what it could not read, and others could. */
static void show_corrected(const struct status_array *a, struct terminal *t)
{
	char size[TEXT_SIZE_BYTES];

	for (uint32_t i = 0; i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		if (d->corrected_sectors == 0 && d->recent_read_errors == 0)
			continue;
		fprintf(t->to, "  disk %u could not read %" PRIu64 " places lately, %" PRIu32
			" are its limit; %s written anew\n", d->role, d->recent_read_errors,
			a->max_read_errors, text_size(d->corrected_sectors * 512, size));
	}
}

static int show_array(const struct show_status *show, const struct status_array *a,
		      struct terminal *t, struct err *err)
{
	char min[TEXT_SIZE_BYTES], max[TEXT_SIZE_BYTES], budget[TEXT_SIZE_BYTES];
	int r;

	fputc('\n', t->to);
	show_head(show->status, a, t);
	show_activity(a, t);
	show_others(show->status, a, t);
	if (!show->only)
		show_bad_disks(a, t);
	show_trouble(a, t);
	r = show_members_table(show->status, a, t, err);
	if (r < 0 || !show->only)
		return r;
	r = show_disks_table(a, t, err);
	show_corrected(a, t);
	if (a->resync_max_bytes)
		fprintf(t->to, "  resync at %s/s to %s/s, intent budget %s\n",
			text_size(a->resync_min_bytes, min), text_size(a->resync_max_bytes, max),
			a->intent_budget_bytes ? text_size(a->intent_budget_bytes, budget) :
						 "as is resynced in 30 s");
	if (a->export_path[0])
		fprintf(t->to, "  served at %s\n", a->export_path);
	if (a->reservation_key[0])
		fprintf(t->to, "  reserved, with key %s\n", a->reservation_key);
	return r;
}

int show_status(const struct show_status *show, struct terminal *t, struct err *err)
{
	const struct status *s = show->status;
	int r = 0;

	show_cluster(s, t);
	if (show->only)
		return show_array(show, show->only, t, err);
	for (uint32_t i = 0; r == 0 && i < s->array_count; i++)
		r = show_array(show, &s->arrays[i], t, err);
	if (s->array_count == 0)
		fprintf(t->to, "no arrays on this node\n");
	return r;
}
