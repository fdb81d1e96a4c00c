/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/voting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/quorum_file.h"
#include "mdclusterd/daemon/tie_breaker_disk.h"
#include "mdclusterd/quorum/external.h"
#include "mdclusterd/quorum/quorum_sync.h"
#include "totem/corosync.h"

LOG_SUBSYSTEM(quorum);

struct voting {
	struct loop *loop;
	struct voting_ops ops;
	void *owner;
	struct quorum *q;
	struct quorum_sync *sync;
	struct quorum_file *file;
	struct loop_timer *timer;
	struct tie_breaker tie;
	struct tie_breaker_disk *disk; /* NULL: none is configured */
	bool has_lease, is_disk_bad;   /* as was told */

	struct external_quorum *external; /* in place of all of that */
	struct corosync_quorum *corosync;
	const struct config *config;
	uint64_t ring_seq;             /* corosync's, as its group is told */
	struct quorum_options options; /* corosync's */
	bool has_said;
	struct node_set members;       /* of the configuration, for people */
};

/* --- time ---------------------------------------------------------------------------------- */

static void look(struct voting *v);

static void time_has_come(void *owner)
{
	struct voting *v = owner;

	v->timer = NULL;
	quorum_advance(v->q, clock_boot_ns());
	look(v);
}

static uint64_t next_at(const struct voting *v)
{
	uint64_t at = quorum_deadline(v->q);

	return v->disk ? min_u64(at, tie_breaker_deadline(&v->tie)) : at;
}

static void arm(struct voting *v)
{
	uint64_t at = next_at(v), now = clock_boot_ns();
	uint64_t ms = at > now ? div_round_up(at - now, NS_PER_MS) : 1;
	struct err err = ERR_INIT;

	loop_timer_cancel(v->timer);
	v->timer = NULL;
	if (at == UINT64_MAX)
		return;
	v->timer = loop_timer_start(v->loop, (uint32_t)min_u64(ms, 60000), time_has_come, v, &err);
	if (!v->timer)
		log_error("MDC5601", "%s: changes of the quorum are late", err.text);
}

/* --- the disk ---------------------------------------------------------------------------------- */

static void tell_lease(struct voting *v, bool has_lease)
{
	if (v->has_lease == has_lease)
		return;
	v->has_lease = has_lease;
	if (has_lease)
		log_notice("MDC5604", "the tie-breaker disk's votes are ours");
	else
		log_notice("MDC5605", "the tie-breaker disk's votes are not ours any more");
}

/* What is wanted, what is to be done for it, and what it has come to. */
static void work_on_disk(struct voting *v)
{
	static uint8_t sector[TIE_SECTOR_BYTES];
	uint64_t now = clock_boot_ns(), until;

	if (!v->disk)
		return;
	tie_breaker_want(&v->tie, now, quorum_wants_device(v->q));
	switch (tie_breaker_next(&v->tie, now, sector)) {
	case TIE_READ:
		tie_breaker_disk_read(v->disk);
		break;
	case TIE_WRITE:
		tie_breaker_disk_write(v->disk, sector);
		break;
	case TIE_NOTHING:
		break;
	}
	until = tie_breaker_until(&v->tie);
	tell_lease(v, until > now);
	quorum_set_device(v->q, now, until);
	quorum_set_device_usable(v->q, tie_breaker_is_usable(&v->tie));
}

static void look(struct voting *v)
{
	work_on_disk(v);
	arm(v);
	v->ops.changed(v->owner);
	if (quorum_wants_again(v->q))
		v->ops.again(v->owner);
}

static void tell_disk(struct voting *v, int result, const char *why)
{
	if (result < 0 && !v->is_disk_bad)
		log_warning("MDC5603", "the tie-breaker disk cannot be used: %s", why);
	v->is_disk_bad = result < 0;
}

static void has_read(void *owner, int result, const uint8_t *sectors, const char *why)
{
	struct voting *v = owner;

	tell_disk(v, result, why);
	tie_breaker_has_read(&v->tie, clock_boot_ns(), result, sectors);
	look(v);
}

static void has_written(void *owner, int result, const char *why)
{
	struct voting *v = owner;

	tell_disk(v, result, why);
	tie_breaker_has_written(&v->tie, clock_boot_ns(), result);
	look(v);
}

static int open_disk(struct voting *v, const struct config *config, uint64_t generation,
		     struct err *err)
{
	static const struct tie_breaker_disk_ops ops = { has_read, has_written };
	const struct tie_breaker_disk_config disk = {
		.path = config->tie_breaker, .cluster = config->cluster,
		.nodes = config->node_count, .self = config->self,
	};
	const struct tie_breaker_config tie = {
		.nodes = config->node_count, .self = config->self,
		.id = config->nodes[config->self].id, .generation = generation,
		.io_timeout_ns = config->tie_breaker_io_timeout_ms * NS_PER_MS,
		.margin_ns = (config->lease_ms + config->token_ms) * NS_PER_MS,
	};

	if (!config->tie_breaker)
		return 0;
	tie_breaker_init(&v->tie, &tie);
	v->disk = tie_breaker_disk_new(&disk, v->loop, &ops, v, err);
	return v->disk ? 0 : err->code;
}

/* --- the sync service ------------------------------------------------------------------------ */

static uint64_t op_now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void op_keep(void *owner, const uint8_t bytes[QUORUM_MEMORY_BYTES], bool is_awaited)
{
	struct voting *v = owner;

	(void)is_awaited; /* it is told of each */
	quorum_file_save(v->file, bytes);
}

static void is_kept(void *owner)
{
	struct voting *v = owner;

	quorum_sync_kept(v->sync);
}

static void op_changed(void *owner)
{
	look(owner);
}

/* --- corosync's ---------------------------------------------------------------------------------- */

/*
 * Of corosync's quorum one is told by another way than of its members: what was said of the
 * ring before is nothing here, or two parts might both take themselves for quorate.
 */
static bool knows_of_a_quorum(void *owner)
{
	const struct voting *v = owner;

	return corosync_quorum_is_quorate(v->corosync) &&
	       corosync_quorum_ring(v->corosync) == v->ring_seq;
}

static void look_again(struct voting *v)
{
	if (!corosync_quorum_is_quorate(v->corosync))
		external_quorum_set(v->external, false);
	else if (knows_of_a_quorum(v))
		external_quorum_set(v->external, true);
	v->ops.changed(v->owner);
	voting_settled(v, v->members);
}

/* For people: what it decides by is its own. */
static void take_options(struct voting *v)
{
	const struct corosync_votes *c = corosync_quorum_votes(v->corosync);

	if (!c->is_known)
		return;
	v->options.is_two_node = c->is_two_node;
	v->options.waits_for_all = c->waits_for_all;
	v->options.is_last_man_standing = c->is_last_man_standing;
	v->options.allows_downscale = c->allows_downscale;
	v->options.tie = c->has_tie_breaker ? QUORUM_TIE_LIST : QUORUM_TIE_NONE;
	v->options.device_votes = c->device;
}

static void corosync_has_said(void *owner)
{
	struct voting *v = owner;
	bool is_quorate = corosync_quorum_is_quorate(v->corosync);

	if (v->has_said != is_quorate)
		log_notice("MDC5801", "corosync says: %s", is_quorate ? "quorate" : "no quorum");
	v->has_said = is_quorate;
	take_options(v);
	look_again(v);
}

void voting_corosync_ring(struct voting *v, uint64_t ring_seq)
{
	v->ring_seq = ring_seq;
	if (v->external)
		look_again(v);
}

static struct voting *open_external(struct voting *v, const struct config *config,
				    struct sync *sync, struct err *err)
{
	v->config = config;
	v->options = config->quorum;
	v->external = external_quorum_new(sync, knows_of_a_quorum, v);
	if (!v->external)
		err_nomem(err, "the quorum");
	else
		v->corosync = corosync_quorum_open(&config->quorum.nodes,
						   config->nodes[config->self].id,
						   corosync_has_said, v, v->loop, err);
	if (v->corosync)
		return v;
	voting_close(v);
	return NULL;
}

void voting_settled(struct voting *v, struct node_set members)
{
	v->members = members;
	if (v->external && external_quorum_wants_again(v->external))
		v->ops.again(v->owner);
}

/* Nothing is counted yet, at the very start: as it is configured. */
static void look_at_config(const struct voting *v, struct quorum_look *look)
{
	for (int i = 0; i < v->config->node_count; i++) {
		look->node_votes[i] = v->config->nodes[i].votes;
		look->expected += look->node_votes[i];
	}
	look->highest_expected = look->expected;
	look->quorum = look->expected / 2 + 1;
}

static void look_at_votes(const struct voting *v, const struct corosync_votes *c,
			  struct quorum_look *look)
{
	look->votes = c->total;
	look->expected = c->expected;
	look->highest_expected = c->highest_expected;
	look->quorum = c->quorum;
	for (int i = 0; i < v->config->node_count; i++)
		look->node_votes[i] = c->of[i] ? c->of[i] : v->config->nodes[i].votes;
}

static void look_at_corosync(const struct voting *v, struct quorum_look *look)
{
	const struct corosync_votes *c = corosync_quorum_votes(v->corosync);

	*look = (struct quorum_look){
		.is_quorate = external_quorum_is_quorate(v->external),
		.members = v->members,
	};
	for (int i = 0; i < v->config->node_count; i++)
		set_add(&look->in_basis, i);
	if (c->is_known)
		look_at_votes(v, c, look);
	else
		look_at_config(v, look);
	if (!look->is_quorate)
		snprintf(look->why, sizeof(look->why), "%s",
			 corosync_quorum_is_quorate(v->corosync) ?
				 "corosync is quorate; not all daemons here have heard it yet" :
				 "corosync says that there is no quorum: see corosync-quorumtool");
}

/* --- life -------------------------------------------------------------------------------------- */

/* Of this start of the host: Q4. */
static int read_boot(uint8_t boot[QUORUM_BOOT_BYTES], struct err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	char text[64] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	(void)fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return text_parse_uuid(text, path, boot, err);
}

static int make_machine(struct voting *v, const struct config *config, struct err *err)
{
	uint8_t boot[QUORUM_BOOT_BYTES], memory[QUORUM_MEMORY_BYTES];
	int r = read_boot(boot, err);

	if (r == 0)
		r = quorum_file_read(config->state_dir, memory, err);
	if (r < 0)
		return r;
	v->q = quorum_new(&config->quorum, boot, r > 0 ? memory : NULL, err);
	if (!v->q)
		return err_prefix(err, "%s/quorum", config->state_dir);
	return 0;
}

struct voting *voting_open(const struct config *config, uint64_t incarnation, struct sync *sync,
			   struct loop *loop, const struct voting_ops *ops, void *owner,
			   struct err *err)
{
	static const struct quorum_sync_ops sync_ops = { op_now, op_keep, op_changed };
	struct voting *v = calloc(1, sizeof(*v));

	if (!v) {
		err_nomem(err, "the quorum");
		return NULL;
	}
	v->loop = loop;
	v->ops = *ops;
	v->owner = owner;
	if (config->engine == CONFIG_ENGINE_COROSYNC)
		return open_external(v, config, sync, err);
	if (make_machine(v, config, err) == 0)
		v->file = quorum_file_open(config->state_dir, loop, is_kept, v, err);
	if (v->file) {
		v->sync = quorum_sync_new(v->q, sync, &sync_ops, v);
		if (!v->sync)
			err_nomem(err, "the quorum");
	}
	if (v->sync && open_disk(v, config, incarnation, err) == 0) {
		arm(v);
		return v;
	}
	voting_close(v);
	return NULL;
}

void voting_close(struct voting *v)
{
	if (!v)
		return;
	loop_timer_cancel(v->timer);
	corosync_quorum_close(v->corosync);
	external_quorum_free(v->external);
	tie_breaker_disk_free(v->disk);
	quorum_file_close(v->file);
	quorum_sync_free(v->sync);
	quorum_free(v->q);
	free(v);
}

void voting_look(const struct voting *v, const char *(*name)(void *owner, uint32_t id),
		 void *owner, struct quorum_look *look)
{
	if (v->external)
		look_at_corosync(v, look);
	else
		quorum_look(v->q, clock_boot_ns(), name, owner, look);
}

const struct quorum_options *voting_settings(const struct voting *v)
{
	return v->external ? &v->options : quorum_settings(v->q);
}

bool voting_is_won(const struct voting *v)
{
	return v->external ? external_quorum_is_won(v->external) : quorum_is_won(v->q);
}

bool voting_is_quorate(const struct voting *v)
{
	return v->external ? external_quorum_is_quorate(v->external) :
	       quorum_is_quorate(v->q, clock_boot_ns());
}

/* --- what people do ------------------------------------------------------------------------------ */

void voting_set_config(struct voting *v, const struct config *config)
{
	if (v->external) {
		v->config = config;
		return;
	}
	quorum_set_votes(v->q, &config->quorum);
	look(v);
}

int voting_set_expected(struct voting *v, uint32_t expected, struct err *err)
{
	int r;

	if (v->external)
		return err_set(err, -EOPNOTSUPP,
			       "corosync decides on the quorum: corosync-quorumtool -e %" PRIu32,
			       expected);
	r = quorum_set_expected(v->q, expected, err);
	if (r == 0)
		look(v);
	return r;
}

bool voting_say_leaving(struct voting *v)
{
	if (v->external)
		return false; /* corosync's nodes do not go with its daemons */
	quorum_set_leaving(v->q);
	if (!quorum_wants_again(v->q) || !voting_is_quorate(v))
		return false;
	look(v);
	return true;
}

void voting_set_stopped(struct voting *v)
{
	if (v->external)
		return;
	quorum_set_stopped(v->q);
	if (quorum_settings(v->q)->waits_for_all)
		quorum_sync_save(v->sync);
}
