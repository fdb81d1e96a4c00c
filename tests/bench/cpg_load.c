/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The peer's side of bench-ring.sh: a client of corosync's libcpg with the load
 * and the output of ring_load.c, which says what the modes are:
 *
 *	cpg_load MODE SIZE OUTSTANDING SECONDS
 *
 * It begins when three clients are in the group. In mode "watch" it prints the
 * configurations of corosync's ring, not those of the group.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <corosync/corotypes.h>
#include <corosync/cpg.h>

enum {
	NODES = 3,
	MAX_LATENCIES = 1 << 20,
	CONNECT_MS = 15000,
	FORM_MS = 15000,
	SETTLE_MS = 300,
	GAP_MS = 2,
	TAIL_MS = 700,
};

enum phase { FORMING, SETTLING, LOADED, MEASURED, OVER };

static struct {
	cpg_handle_t cpg;
	bool is_lone, is_back, is_watch;
	size_t size;
	uint64_t outstanding, seconds, under_way;
	uint32_t self, pid;
	size_t members;
	enum phase phase;
	uint64_t due; /* of the next phase, in ns */
	uint64_t sent_at, next_at; /* lone and back */
	uint64_t delivered, delivered_bytes, began, began_delivered, began_bytes;
	uint64_t began_cpu;
	uint32_t *latencies;
	size_t latency_count;
	uint8_t *message;
} load;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static bool send_message(void)
{
	struct iovec v = { load.message, load.size };

	if (cpg_mcast_joined(load.cpg, CPG_TYPE_AGREED, &v, 1) != CS_OK)
		return false; /* TRY_AGAIN: later */
	load.under_way++;
	return true;
}

static void push(void)
{
	bool is_flowing = load.phase == LOADED || load.phase == MEASURED ||
			  load.phase == OVER;

	if (load.is_watch || !is_flowing)
		return;
	if (load.is_lone || load.is_back) {
		if (load.under_way || load.outstanding == 0 || now() < load.next_at)
			return;
		load.sent_at = now();
		send_message();
		return;
	}
	while (load.under_way < load.outstanding && send_message())
		;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_result(void)
{
	double seconds = (double)(now() - load.began) / 1e9;
	size_t n = load.latency_count;
	struct rusage u;

	if (load.is_lone || load.is_back) {
		qsort(load.latencies, n, sizeof(*load.latencies), by_size);
		if (n > 0)
			printf("result %.1f %.1f %zu\n", load.latencies[n / 2] / 1e3,
			       load.latencies[n * 99 / 100] / 1e3, n);
	} else {
		getrusage(RUSAGE_SELF, &u);
		printf("result %.0f %.0f %.0f %ld\n",
		       (double)(load.delivered - load.began_delivered) / seconds,
		       (double)(load.delivered_bytes - load.began_bytes) / seconds,
		       (double)(cpu_us() - load.began_cpu) / seconds / 1e4,
		       u.ru_maxrss);
	}
	fflush(stdout);
}

/* What is due by the clock. */
static void advance(void)
{
	uint64_t t = now();

	if (load.phase == FORMING) {
		if (load.members < NODES)
			return;
		load.phase = SETTLING;
		load.due = t + SETTLE_MS * 1000000ull;
	} else if (t < load.due) {
		return;
	} else if (load.phase == SETTLING) {
		load.phase = LOADED;
		load.due = t + SETTLE_MS * 1000000ull;
	} else if (load.phase == LOADED) {
		load.phase = MEASURED;
		load.due = t + load.seconds * 1000000000ull;
		load.began = t;
		load.began_cpu = cpu_us();
		load.began_delivered = load.delivered;
		load.began_bytes = load.delivered_bytes;
		load.latency_count = 0;
	} else if (load.phase == MEASURED) {
		print_result();
		load.phase = OVER;
		load.due = t + TAIL_MS * 1000000ull;
	} else {
		exit(0); /* from within a callback, it may be: nothing is lost */
	}
}

static void deliver(cpg_handle_t handle, const struct cpg_name *group,
		    uint32_t node, uint32_t pid, void *bytes, size_t length)
{
	(void)handle, (void)group, (void)bytes;
	load.delivered++;
	load.delivered_bytes += length;
	if (node == load.self && pid == load.pid) {
		load.under_way--;
		if (load.is_lone || load.is_back) {
			uint64_t t = now();

			if (load.latency_count < MAX_LATENCIES)
				load.latencies[load.latency_count++] =
					(uint32_t)(t - load.sent_at);
			load.next_at = load.is_back ? 0 : t + GAP_MS * 1000000ull;
		}
		/* a dispatch may never end under load: here, but not one by one */
		if (load.under_way <= load.outstanding / 2)
			push();
	}
	advance();
}

static void group_changed(cpg_handle_t handle, const struct cpg_name *group,
			  const struct cpg_address *members, size_t count,
			  const struct cpg_address *left, size_t left_count,
			  const struct cpg_address *joined, size_t joined_count)
{
	(void)handle, (void)group, (void)members, (void)left, (void)left_count;
	(void)joined, (void)joined_count;
	load.members = count;
}

static void ring_changed(cpg_handle_t handle, struct cpg_ring_id ring,
			 uint32_t count, const uint32_t *members)
{
	(void)handle, (void)ring, (void)members;
	printf("configuration %" PRIu64 " %" PRIu32 "\n",
	       now_ns(CLOCK_REALTIME) / 1000, count);
	fflush(stdout);
}

static bool connect_and_join(void)
{
	cpg_model_v1_data_t model = {
		.model = CPG_MODEL_V1,
		.cpg_deliver_fn = deliver,
		.cpg_confchg_fn = group_changed,
		.cpg_totem_confchg_fn = ring_changed,
		.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF,
	};
	struct cpg_name name = { .length = 5, .value = "bench" };
	int i;

	for (i = 0; i < CONNECT_MS / 20; i++) {
		if (cpg_model_initialize(&load.cpg, CPG_MODEL_V1,
					 (cpg_model_data_t *)&model, NULL) == CS_OK)
			break;
		usleep(20000); /* the daemon is still starting */
	}
	if (i == CONNECT_MS / 20)
		return false;
	for (i = 0; i < CONNECT_MS / 20; i++) {
		if (cpg_join(load.cpg, &name) == CS_OK)
			return cpg_local_get(load.cpg, &load.self) == CS_OK;
		usleep(20000);
	}
	return false;
}

static int wait_ms(void)
{
	uint64_t t = now();

	if (load.is_lone && load.phase >= LOADED && !load.under_way &&
	    load.outstanding)
		return load.next_at > t ? (int)((load.next_at - t) / 1000000) + 1 : 0;
	return load.under_way < load.outstanding && load.phase >= LOADED ? 1 : 20;
}

int main(int argc, char **argv)
{
	uint64_t given_up;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "Usage: cpg_load flood|lone|back|watch SIZE OUTSTANDING SECONDS\n");
		return 2;
	}
	load.is_lone = strcmp(argv[1], "lone") == 0;
	load.is_back = strcmp(argv[1], "back") == 0;
	load.is_watch = strcmp(argv[1], "watch") == 0;
	load.size = strtoul(argv[2], NULL, 10);
	load.outstanding = strtoul(argv[3], NULL, 10);
	load.seconds = strtoul(argv[4], NULL, 10);
	load.pid = (uint32_t)getpid();
	load.message = calloc(1, load.size);
	load.latencies = calloc(MAX_LATENCIES, sizeof(*load.latencies));
	if (!load.message || !load.latencies || !connect_and_join()) {
		fprintf(stderr, "cpg_load: no corosync here\n");
		return 1;
	}
	cpg_fd_get(load.cpg, &fd);
	given_up = now() + FORM_MS * 1000000ull;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		cs_error_t e;

		poll(&p, 1, wait_ms());
		e = cpg_dispatch(load.cpg, CS_DISPATCH_ALL);
		if (e != CS_OK && e != CS_ERR_TRY_AGAIN)
			return 1; /* the daemon is gone */
		if (!load.is_watch)
			advance();
		if (load.phase == FORMING && !load.is_watch && now() > given_up) {
			fprintf(stderr, "cpg_load: not all nodes came\n");
			return 1;
		}
		push();
	}
}
