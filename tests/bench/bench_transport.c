/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transport against a plain loop of sendto() and recvfrom(): messages a
 * second from one process to another, over loopback and, for root, over a veth
 * pair (MTU 1500) between two network namespaces made here and removed again.
 *
 * Both sides use the same flow control, a counter in shared memory, so that the
 * figures are of what arrives, not of what is thrown away. Messages of 65000
 * bytes are one datagram for the plain loop: over veth IP cuts it into 45
 * fragments, where the transport sends 45 datagrams of its own on either path.
 * "x N" is how many messages go out with one flush.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "totem/transport_udp.h"

enum {
	LARGE = 65000,
	BUFFER_BYTES = 4 << 20,
	BURSTS_UNDER_WAY = 4,
	SAMPLE_MS = 300,
	BRIEF_MS = 30,
	STUCK_NS = 5000000, /* what has not come by then is lost */
	ROUNDS = 5,
};

enum mode { PLAIN, ONE_BY_ONE, SEGMENTED };

struct path {
	const char *name;
	const char *namespaces[2]; /* of sender and receiver; NULL: ours */
	const char *addresses[2];
};

struct work {
	const struct path *path;
	size_t message_bytes;
	unsigned int burst;
	enum mode ours;
};

/* Between the two processes of a sample. */
struct shared {
	_Atomic uint64_t received;
	_Atomic bool is_ready;
	_Atomic uint16_t ports[2]; /* network order */
	uint64_t ns, messages;     /* by the sender, at its end */
};

static struct shared *shared;
static char namespaces[2][32];

static void die(const char *what)
{
	fprintf(stderr, "bench transport: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

static void enter(const char *namespace)
{
	char path[64];
	int fd;

	if (!namespace)
		return;
	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	close(fd);
}

static union transport_address address_of(const struct work *work, int side)
{
	union transport_address a;

	memset(&a, 0, sizeof(a));
	a.in4.sin_family = AF_INET;
	a.in4.sin_port = atomic_load(&shared->ports[side]);
	inet_pton(AF_INET, work->path->addresses[side], &a.in4.sin_addr);
	return a;
}

/* Tells our port and waits for the other's. */
static void meet(int side, uint16_t port)
{
	atomic_store(&shared->ports[side], port);
	while (atomic_load(&shared->ports[!side]) == 0)
		sched_yield();
}

/* Plain */

static int plain_open(const struct work *work, int side)
{
	union transport_address a = address_of(work, side), peer;
	socklen_t size = sizeof(a);
	int bytes = BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, &a.any, sizeof(a.in4)) < 0 ||
	    getsockname(fd, &a.any, &size) < 0)
		die("plain socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	meet(side, a.in4.sin_port);
	peer = address_of(work, !side);
	if (connect(fd, &peer.any, sizeof(peer.in4)) < 0)
		die("connect");
	return fd;
}

static void plain_receive(const struct work *work)
{
	static uint8_t bytes[1 << 16];
	int fd = plain_open(work, 1);

	atomic_store(&shared->is_ready, true);
	for (;;)
		if (recvfrom(fd, bytes, sizeof(bytes), 0, NULL, NULL) ==
		    (ssize_t)work->message_bytes)
			atomic_fetch_add(&shared->received, 1);
}

static void plain_burst(const struct work *work, void *with,
			const uint8_t *bytes)
{
	union transport_address to = address_of(work, 1);
	int fd = *(int *)with;

	for (unsigned int i = 0; i < work->burst; i++)
		(void)!sendto(fd, bytes, work->message_bytes, 0, &to.any,
			      sizeof(to.in4));
}

/* Ours */

static void count_message(void *owner, int from, const uint8_t *bytes,
			  size_t length)
{
	const struct work *work = owner;

	(void)from;
	bench_consume(bytes);
	if (length == work->message_bytes)
		atomic_fetch_add(&shared->received, 1);
}

static struct transport *ours_open(const struct work *work, int side,
				   enum mode mode)
{
	static const struct transport_events events = { .received = count_message };
	struct transport_udp_config config = {
		.nodes = { .ids = { 1, 2 }, .count = 2 },
		.self = side,
		.local = { address_of(work, side) },
		.is_gso_off = mode == ONE_BY_ONE,
		.is_gro_off = mode == ONE_BY_ONE,
		.socket_buffer_bytes = BUFFER_BYTES,
	};
	struct err err = ERR_INIT;
	struct transport *t = transport_udp_open(&config, &events,
						 (void *)(uintptr_t)work, NULL, &err);
	union transport_address a;

	if (!t || transport_udp_local(t, AF_INET, &a) < 0)
		goto fail;
	meet(side, a.in4.sin_port);
	a = address_of(work, !side);
	if (transport_udp_set_address(t, !side, &a, &err) < 0)
		goto fail;
	return t;
fail:
	fprintf(stderr, "bench transport: %s\n", err.text);
	_exit(EXIT_FAILURE);
}

static void ours_receive(const struct work *work, enum mode mode)
{
	struct transport *t = ours_open(work, 1, mode);
	struct pollfd fds[4];
	size_t n = transport_poll_fds(t, fds, ARRAY_SIZE(fds));

	atomic_store(&shared->is_ready, true);
	for (;;)
		if (transport_process(t) == 0)
			poll(fds, n, -1);
}

static void ours_burst(const struct work *work, void *with,
		       const uint8_t *bytes)
{
	struct transport *t = with;

	for (unsigned int i = 0; i < work->burst; i++)
		(void)transport_send(t, 1, bytes, work->message_bytes);
	transport_flush(t);
}

/* One sample */

static void send_bursts(const struct work *work, void *with,
			void (*burst)(const struct work *, void *,
				      const uint8_t *))
{
	static uint8_t bytes[LARGE];
	uint64_t window = (uint64_t)work->burst * BURSTS_UNDER_WAY;
	uint64_t sent = 0, begin, end, now, moved;
	uint64_t first;

	while (!atomic_load(&shared->is_ready))
		sched_yield();
	first = atomic_load(&shared->received);
	begin = moved = now = clock_boot_ns();
	end = begin + (bench_is_brief() ? BRIEF_MS : SAMPLE_MS) * NS_PER_MS;
	while (now < end) {
		uint64_t received = atomic_load(&shared->received);

		now = clock_boot_ns();
		if (sent + work->burst <= received + window) {
			burst(work, with, bytes);
			sent += work->burst;
			moved = now;
		} else if (now - moved > STUCK_NS) {
			sent = received;
		} else {
			sched_yield();
		}
	}
	shared->messages = atomic_load(&shared->received) - first;
	shared->ns = clock_boot_ns() - begin;
}

static pid_t start(const struct work *work, enum mode mode, int side)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(work->path->namespaces[side]);
	if (side == 1 && mode == PLAIN) {
		plain_receive(work);
	} else if (side == 1) {
		ours_receive(work, mode);
	} else if (mode == PLAIN) {
		int fd = plain_open(work, 0);

		send_bursts(work, &fd, plain_burst);
	} else {
		send_bursts(work, ours_open(work, 0, mode), ours_burst);
	}
	_exit(EXIT_SUCCESS);
}

/* Thousands of messages a second that arrive. */
static double sample(const struct work *work, enum mode mode)
{
	pid_t sender, receiver;

	memset(shared, 0, sizeof(*shared));
	receiver = start(work, mode, 1);
	sender = start(work, mode, 0);
	waitpid(sender, NULL, 0);
	kill(receiver, SIGKILL);
	waitpid(receiver, NULL, 0);
	return (double)max_u64(shared->messages, 1) * 1e6 /
	       (double)max_u64(shared->ns, 1);
}

static double sample_ours(void *owner)
{
	const struct work *work = owner;

	return sample(work, work->ours);
}

static double sample_plain(void *owner)
{
	return sample(owner, PLAIN);
}

static void measure(struct bench *bench, const struct path *path,
		    size_t message_bytes, unsigned int burst)
{
	static const char *const modes[] = {
		[ONE_BY_ONE] = "sendmmsg", [SEGMENTED] = "GSO and GRO",
	};

	for (enum mode mode = ONE_BY_ONE; mode <= SEGMENTED; mode++) {
		struct work work = { path, message_bytes, burst, mode };
		char name[80], note[80];

		snprintf(name, sizeof(name), "%s, %zu B x %u, %s", path->name,
			 message_bytes, burst, modes[mode]);
		snprintf(note, sizeof(note), "1 k/s is %.3g MB/s",
			 (double)message_bytes / 1000);
		bench_pair(bench, &(struct bench_pair){
			.name = name, .unit = "k/s", .peer = "sendto",
			.note = note, .better = BENCH_MORE_IS_BETTER,
			.rounds = ROUNDS, .ours = sample_ours,
			.theirs = sample_plain, .owner = &work });
	}
}

static void measure_path(struct bench *bench, const struct path *path)
{
	measure(bench, path, 64, 512);
	measure(bench, path, 1400, 1);
	measure(bench, path, 1400, 4);
	measure(bench, path, 1400, 128);
	measure(bench, path, LARGE, 4);
}

/* Namespaces */

static bool run(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

static bool run(const char *format, ...)
{
	char command[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	return system(command) == 0;
}

static void remove_namespaces(void)
{
	for (int i = 0; i < 2; i++)
		if (*namespaces[i])
			(void)run("ip netns del %s 2>/dev/null", namespaces[i]);
}

static bool make_namespaces(void)
{
	const char *a = namespaces[0], *b = namespaces[1];

	for (int i = 0; i < 2; i++)
		snprintf(namespaces[i], sizeof(namespaces[i]), "mdcbench%d%c",
			 (int)getpid(), 'a' + i);
	return run("ip netns add %s", a) && run("ip netns add %s", b) &&
	       run("ip -n %s link add v0 mtu 1500 type veth peer name v0 mtu 1500 netns %s", a, b) &&
	       run("ip -n %s address add 10.77.0.1/24 dev v0", a) &&
	       run("ip -n %s address add 10.77.0.2/24 dev v0", b) &&
	       run("ip -n %s link set v0 up", a) &&
	       run("ip -n %s link set v0 up", b);
}

int main(void)
{
	const struct path loopback = { .name = "lo",
		.addresses = { "127.0.0.1", "127.0.0.1" } };
	const struct path veth = { .name = "veth",
		.namespaces = { namespaces[0], namespaces[1] },
		.addresses = { "10.77.0.1", "10.77.0.2" } };
	struct bench bench;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("bench transport: mmap");
		return EXIT_FAILURE;
	}
	bench_init(&bench, "transport");
	measure_path(&bench, &loopback);
	if (geteuid() != 0)
		fputs("bench transport: no namespaces without root\n", stderr);
	else if (make_namespaces())
		measure_path(&bench, &veth);
	else
		fputs("bench transport: no namespaces here\n", stderr);
	status = bench_fini(&bench);
	remove_namespaces();
	return status;
}
