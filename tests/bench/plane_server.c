/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data path by itself, for bench-array.sh: an NBD export over the real mirror and
 * write intent, on the disks of an array that `mdcluster create` made. No cluster: the gate
 * is open, the slot is 0, nobody else is there; or nobody who writes at the same time.
 *
 *	plane_server --socket=PATH [--no-intent] [--budget=BYTES] DISK...
 *
 * "ready" on standard output. What the slot has when it is loaded is needed, as after a
 * crash. By signal:
 *
 *	SIGUSR1  resyncs what is needed, in windows as an array's are; "resync BYTES NS"
 *	SIGUSR2  "stats WRITES HITS PAGE-WRITES CLEAR-FLUSHES DIRTY-BYTES NEEDED-BYTES"
 *	SIGTERM  ends it as a stop does: drained, bits cleared
 *
 * --resync-min: bytes a second while clients write, by pauses between windows.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "bitmap/array.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "bitmap/intent.h"
#include "mdclusterd/mirror/mirror.h"
#include "mdclusterd/nbd/nbd.h"

enum {
	MAX_DISKS = 8,
	OWN_SLOT = 0,
	SECTOR = 512,
	FIRST_WINDOW_BYTES = 32 << 20,
	MIN_WINDOW_BYTES = 4 << 20,
	MAX_WINDOW_BYTES = 256 << 20,
};
#define WINDOW_NS (100 * NS_PER_MS)

struct server {
	/* the volume that clients see: the mirror's, and what it leaves undone is done soon */
	struct volume volume;
	struct loop *loop;
	struct loop_job job;
	struct loop_timer *timer;
	uint64_t timer_at;

	const char *socket_path;
	bool has_no_intent;
	uint64_t budget_bytes, window_bytes, resync_min;

	struct disk *disks[MAX_DISKS];
	size_t disk_count;
	struct md_array array;
	struct bitmap_slot slot;
	struct intent *intent;
	struct mirror *mirror;
	struct nbd_server *nbd;

	struct mirror_sync sync;
	uint64_t sync_began, sync_copied;
	struct mirror_request stopped;
	struct intent_request settled;
};

static _Noreturn void fail(const struct err *err)
{
	fprintf(stderr, "plane_server: %s\n", err->text);
	exit(EXIT_FAILURE);
}

/* --- time ----------------------------------------------------------------------------- */

static uint64_t now_ns(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void go_on(void *owner);

static void timer_fired(void *owner)
{
	struct server *s = owner;

	s->timer = NULL;
	go_on(s);
}

static uint64_t deadline(const struct server *s)
{
	uint64_t at = mirror_deadline(s->mirror);

	return s->intent ? min_u64(at, intent_deadline(s->intent)) : at;
}

/* A timer that comes too early does no harm: it is left where it is. */
static void set_timer(struct server *s, uint64_t now, uint64_t at)
{
	struct err err = ERR_INIT;

	if (at == UINT64_MAX || (s->timer && s->timer_at <= at))
		return;
	loop_timer_cancel(s->timer);
	s->timer_at = at;
	s->timer = loop_timer_start(s->loop, (uint32_t)((at - now) / NS_PER_MS + 1),
				    timer_fired, s, &err);
	if (!s->timer)
		fail(&err);
}

static void start_disks(struct server *s)
{
	for (size_t i = 0; i < s->disk_count; i++)
		disk_start(s->disks[i]);
}

/* At the end of each turn of the loop. */
static void go_on(void *owner)
{
	struct server *s = owner;
	uint64_t now = clock_boot_ns(), at;

	start_disks(s);
	while ((at = deadline(s)) <= now) {
		if (s->intent)
			intent_advance(s->intent, now);
		mirror_advance(s->mirror, now);
	}
	start_disks(s);
	set_timer(s, now, at);
}

static void disk_is_readable(void *owner, int fd, uint32_t events)
{
	struct server *s = owner;

	(void)events;
	for (size_t i = 0; i < s->disk_count; i++)
		if (disk_poll_fd(s->disks[i]) == fd)
			disk_pump(s->disks[i], 0);
	loop_soon(s->loop, &s->job);
}

static int submit(struct volume *volume, struct volume_io *io)
{
	struct server *s = (struct server *)volume;
	int r = volume_submit(mirror_volume(s->mirror), io);

	loop_soon(s->loop, &s->job);
	return r;
}

static const struct volume_ops volume_ops = { .submit = submit };

/* --- resync ----------------------------------------------------------------------------- */

static void next_window(struct server *s, uint64_t from);

static void pause_is_over(void *owner)
{
	struct server *s = owner;

	next_window(s, s->sync.high);
	go_on(s);
}

/* As mdclusterd/array does it: so large that one takes WINDOW_NS. */
static void adapt(struct server *s, uint64_t bytes, uint64_t took_ns)
{
	uint64_t wanted = (uint64_t)((double)bytes * (double)WINDOW_NS / (double)took_ns);

	wanted = max_u64(s->window_bytes / 2, min_u64(wanted, 2 * s->window_bytes));
	s->window_bytes = max_u64(MIN_WINDOW_BYTES, min_u64(wanted, MAX_WINDOW_BYTES));
}

static void window_is_done(void *owner, struct mirror_sync *sync, int result)
{
	struct server *s = owner;
	uint64_t bytes = sync->copied_sectors * SECTOR, took_ns, pause_ns;
	struct err err = ERR_INIT;

	if (result < 0)
		fail(&(struct err){ .code = result, .text = "the resync failed" });
	s->sync_copied += bytes;
	took_ns = max_u64(sync->ended_ns - sync->began_ns, 1);
	adapt(s, bytes, took_ns);
	pause_ns = sync->was_busy ? bytes * NS_PER_S / s->resync_min : 0;
	if (pause_ns <= took_ns)
		next_window(s, sync->high);
	else if (!loop_timer_start(s->loop, (uint32_t)((pause_ns - took_ns) / NS_PER_MS),
				   pause_is_over, s, &err))
		fail(&err);
}

static void next_window(struct server *s, uint64_t from)
{
	uint64_t high, low = mirror_window(s->mirror, from, s->window_bytes,
					   MAX_WINDOW_BYTES, &high);

	if (low == high) {
		printf("resync %" PRIu64 " %" PRIu64 "\n", s->sync_copied,
		       clock_boot_ns() - s->sync_began);
		fflush(stdout);
		return;
	}
	s->sync = (struct mirror_sync){ .kind = MIRROR_SYNC_COPY, .low = low, .high = high,
					.done = window_is_done, .owner = s };
	if (mirror_sync_begin(s->mirror, &s->sync) < 0)
		fail(&(struct err){ .text = "the resync does not begin" });
}

static void told_to_resync(void *owner)
{
	struct server *s = owner;

	s->sync_began = clock_boot_ns();
	s->sync_copied = 0;
	next_window(s, 0);
	go_on(s);
}

static void told_to_tell(void *owner)
{
	const struct server *s = owner;
	struct intent_stats stats = { 0 };

	if (s->intent)
		intent_look(s->intent, &stats);
	printf("stats %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       stats.hits + stats.misses, stats.hits, stats.page_writes, stats.clear_flushes,
	       stats.dirty_bytes,
	       stats.needed_chunks * s->slot.geo.chunk_bytes);
	fflush(stdout);
}

/* --- the end ---------------------------------------------------------------------------- */

static void is_settled(void *owner, struct intent_request *req, int result)
{
	struct server *s = owner;

	(void)req;
	(void)result;
	loop_stop(s->loop);
}

static void is_stopped(void *owner, struct mirror_request *req, int result)
{
	struct server *s = owner;

	(void)req;
	(void)result;
	if (!s->intent) {
		loop_stop(s->loop);
		return;
	}
	s->settled = (struct intent_request){ .done = is_settled, .owner = s };
	intent_settle(s->intent, &s->settled);
}

static void is_closed(void *owner)
{
	struct server *s = owner;

	s->stopped = (struct mirror_request){ .done = is_stopped, .owner = s };
	mirror_stop(s->mirror, &s->stopped);
	go_on(s);
}

static void told_to_stop(void *owner)
{
	struct server *s = owner;

	nbd_server_close(s->nbd);
}

/* --- the beginning ------------------------------------------------------------------------ */

static void disk_failed(void *owner, uint32_t role, const struct err *why)
{
	(void)owner;
	(void)role;
	fail(why); /* a benchmark's disks do not */
}

static void intent_failed(void *owner, uint32_t role, int error)
{
	(void)owner;
	fprintf(stderr, "plane_server: bitmap, role %" PRIu32 ": %s\n", role, strerror(error));
	exit(EXIT_FAILURE);
}

static const struct mirror_ops mirror_ops = { .now = now_ns, .disk_failed = disk_failed };
static const struct intent_ops intent_ops = { .now = now_ns, .failed = intent_failed };
static const struct nbd_server_ops nbd_ops = { .closed = is_closed };

static int make_intent(struct server *s, struct err *err)
{
	struct intent_config c = { .slot = &s->slot, .budget_bytes = s->budget_bytes };

	for (size_t i = 0; i < s->array.count; i++) {
		const struct md_member *m = &s->array.members[i];
		uint16_t role = md_array_role(&s->array, m);

		c.copies[role].disk = m->disk;
		c.copies[role].start_bytes = md_member_copy(m).start_bytes;
	}
	c.count = md_array_freshest(&s->array)->sb.raid_disks;
	s->intent = intent_new(&c, &intent_ops, s, err);
	return s->intent ? 0 : err->code;
}

static int make_mirror(struct server *s, struct err *err)
{
	const struct md_sb *sb = &md_array_freshest(&s->array)->sb;
	struct mirror_config c = {
		.level = sb->level,
		.layout = sb->layout,
		.chunk_sectors = sb->chunksize,
		.member_sectors = sb->size,
		.raid_disks = sb->raid_disks,
		.intent = s->intent,
		.bitmap_chunk_sectors = s->slot.geo.chunk_bytes / SECTOR,
	};

	for (size_t i = 0; i < s->array.count; i++) {
		const struct md_member *m = &s->array.members[i];
		uint16_t role = md_array_role(&s->array, m);

		c.disks[role].disk = m->disk;
		c.disks[role].data_offset = m->sb.data_offset;
	}
	s->mirror = mirror_new(&c, &mirror_ops, s, err);
	if (!s->mirror)
		return err->code;
	mirror_set_gate(s->mirror, true, UINT64_MAX);
	s->volume = *mirror_volume(s->mirror);
	s->volume.ops = &volume_ops;
	return 0;
}

static int load_array(struct server *s, struct err *err)
{
	int r = md_array_load(&s->array, s->disks, s->disk_count, NULL, err);

	if (r < 0)
		return r;
	r = md_array_load_slot(&s->array, OWN_SLOT, &s->slot, err);
	if (r == 0 && !s->has_no_intent)
		r = make_intent(s, err);
	if (r == 0)
		r = make_mirror(s, err);
	return r;
}

static int begin(struct server *s, struct err *err)
{
	struct nbd_config c = { .socket_path = s->socket_path, .export_name = "" };
	int r;

	s->loop = loop_new(err);
	if (!s->loop)
		return err->code;
	s->job = (struct loop_job){ .fn = go_on, .owner = s };
	r = load_array(s, err);
	for (size_t i = 0; r == 0 && i < s->disk_count; i++) {
		disk_gather(s->disks[i]);
		r = loop_fd_add(s->loop, disk_poll_fd(s->disks[i]), POLLIN, disk_is_readable, s,
				err);
	}
	if (r == 0)
		r = loop_signal_add(s->loop, SIGTERM, told_to_stop, s, err);
	if (r == 0)
		r = loop_signal_add(s->loop, SIGUSR1, told_to_resync, s, err);
	if (r == 0)
		r = loop_signal_add(s->loop, SIGUSR2, told_to_tell, s, err);
	if (r < 0)
		return r;
	s->nbd = nbd_server_new(s->loop, &c, &s->volume, &nbd_ops, s, err);
	return s->nbd ? 0 : err->code;
}

static void end(struct server *s)
{
	nbd_server_free(s->nbd);
	mirror_free(s->mirror);
	intent_free(s->intent);
	loop_timer_cancel(s->timer);
	loop_free(s->loop);
	bitmap_slot_fini(&s->slot);
	md_array_fini(&s->array);
	for (size_t i = 0; i < s->disk_count; i++)
		disk_close(s->disks[i]);
}

/* --- the command line ------------------------------------------------------------------------ */

static int parse_bytes(const char *text, const char *what, uint64_t *bytes, struct err *err)
{
	uint64_t sectors;
	int r = text_parse_sectors(text, what, &sectors, err);

	if (r == 0)
		*bytes = sectors * SECTOR;
	return r;
}

static int parse(int argc, char **argv, struct server *s, struct err *err)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "no-intent", no_argument, NULL, 'n' },
		{ "budget", required_argument, NULL, 'b' },
		{ "resync-min", required_argument, NULL, 'm' },
		{ 0 },
	};
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == 's')
			s->socket_path = optarg;
		else if (o == 'n')
			s->has_no_intent = true;
		else if (o == 'b')
			r = parse_bytes(optarg, "budget", &s->budget_bytes, err);
		else if (o == 'm')
			r = parse_bytes(optarg, "resync-min", &s->resync_min, err);
		else
			exit(2);
	}
	if (r == 0 && (!s->socket_path || optind == argc || argc - optind > MAX_DISKS))
		r = err_set(err, -EINVAL, "--socket and 1 to %d disks are needed", MAX_DISKS);
	for (int i = optind; r == 0 && i < argc; i++) {
		s->disks[s->disk_count] = disk_aio_open(argv[i], DISK_SHARED, err);
		if (!s->disks[s->disk_count])
			return err->code;
		s->disk_count++;
	}
	return r;
}

int main(int argc, char **argv)
{
	static struct server s = { .budget_bytes = 1 << 30, .window_bytes = FIRST_WINDOW_BYTES,
				   .resync_min = 1 << 20, .timer_at = UINT64_MAX };
	struct err err = ERR_INIT;

	if (log_open("plane_server", LOG_TO_STDERR, LOG_WARNING, &err) < 0 ||
	    parse(argc, argv, &s, &err) < 0 || begin(&s, &err) < 0)
		fail(&err);
	puts("ready");
	fflush(stdout);
	loop_run(s.loop);
	end(&s);
	log_close();
	return EXIT_SUCCESS;
}
