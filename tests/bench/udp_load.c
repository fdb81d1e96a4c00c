/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the machine carries: the physical figure beside those of bench-ring.sh.
 * A process in each network namespace (10.77.0.1, .2, ..., as laid out there)
 * sends datagrams to all others, segmented by the kernel, a sendmmsg for all of
 * them, as the transport does: no seal, no order, no token, nothing sent again.
 *
 *	udp_load SECONDS BYTES NAMESPACE...
 *
 * BYTES is the payload of a datagram. "result MESSAGES/S BYTES/S" is of the node
 * that got least, and counts what it sent itself, as the ring delivers that, too.
 * The window is a counter in shared memory, so that what is sent arrives.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
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
#include "base/text.h"

enum {
	MAX_NODES = 8,
	PORT = 7002,
	BATCH_BYTES = 65000, /* of datagrams that go out as one */
	BATCH_DATAGRAMS = 64, /* the kernel's limit */
	WINDOW_BATCHES = 4,
	BUFFER_BYTES = 4 << 20,
	RECEIVES = 16,
	STUCK_NS = 5000000, /* what has not come by then is lost */
	SETTLE_MS = 500, /* all nodes are there by then */
};

struct shared {
	_Atomic int ready;
	_Atomic bool is_over;
	_Atomic uint64_t sent[MAX_NODES];                /* datagrams of each */
	_Atomic uint64_t received[MAX_NODES][MAX_NODES]; /* by, from */
};

struct node {
	struct shared *shared;
	int self, count, fd;
	size_t bytes, batch; /* of a datagram; datagrams */
	struct sockaddr_in addresses[MAX_NODES];
	uint64_t given_up; /* so many of ours do not come any more */
	uint64_t waits_since;
	uint8_t *out;
	uint8_t in[RECEIVES][1 << 16];
};

static void die(const char *what)
{
	fprintf(stderr, "udp_load: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

static void enter(const char *namespace)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	close(fd);
}

static void open_socket(struct node *n)
{
	int on = 1, size = BUFFER_BYTES;
	const struct sockaddr_in *own = &n->addresses[n->self];

	n->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (n->fd < 0 ||
	    bind(n->fd, (const struct sockaddr *)own, sizeof(*own)) < 0)
		die("socket");
	if (setsockopt(n->fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0)
		die("UDP_GRO");
	if (setsockopt(n->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    setsockopt(n->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		die("socket buffers");
}

static int who(const struct node *n, const struct sockaddr_in *address)
{
	for (int i = 0; i < n->count; i++)
		if (n->addresses[i].sin_addr.s_addr == address->sin_addr.s_addr)
			return i;
	return n->self;
}

static bool receive(struct node *n)
{
	struct sockaddr_in from[RECEIVES];
	struct mmsghdr messages[RECEIVES];
	struct iovec iov[RECEIVES];
	int got;

	for (int i = 0; i < RECEIVES; i++) {
		iov[i] = (struct iovec){ n->in[i], sizeof(n->in[i]) };
		messages[i] = (struct mmsghdr){ .msg_hdr = {
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
		} };
	}
	got = recvmmsg(n->fd, messages, RECEIVES, 0, NULL);
	for (int i = 0; i < got; i++)
		atomic_fetch_add(&n->shared->received[n->self][who(n, &from[i])],
				 messages[i].msg_len / n->bytes);
	return got > 0;
}

/* Of our datagrams, what the slowest of the others has. */
static uint64_t arrived(const struct node *n)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < n->count; i++)
		if (i != n->self)
			least = min_u64(least,
					atomic_load(&n->shared->received[i][n->self]));
	return least;
}

static bool may_send(struct node *n)
{
	uint64_t sent = atomic_load(&n->shared->sent[n->self]);
	uint64_t now = clock_boot_ns();

	if (sent + n->batch <= arrived(n) + n->given_up + WINDOW_BATCHES * n->batch) {
		n->waits_since = now;
		return true;
	}
	if (now - n->waits_since > STUCK_NS)
		n->given_up = sent - arrived(n);
	return false;
}

static bool send_batch(struct node *n)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct iovec iov = { n->out, n->bytes * n->batch };
	struct mmsghdr messages[MAX_NODES];
	uint16_t segment = (uint16_t)n->bytes;
	struct cmsghdr *c = (struct cmsghdr *)control;
	unsigned int count = 0;

	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	for (int i = 0; i < n->count; i++)
		if (i != n->self)
			messages[count++] = (struct mmsghdr){ .msg_hdr = {
				.msg_name = &n->addresses[i],
				.msg_namelen = sizeof(n->addresses[i]),
				.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control),
			} };
	if (sendmmsg(n->fd, messages, count, 0) < (int)count)
		return false;
	atomic_fetch_add(&n->shared->sent[n->self], n->batch);
	return true;
}

static void run_node(struct node *n, const char *namespace)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(namespace);
	open_socket(n);
	n->out = calloc(n->batch, n->bytes);
	if (!n->out)
		die("memory");
	atomic_fetch_add(&n->shared->ready, 1);
	while (atomic_load(&n->shared->ready) < n->count)
		sched_yield();
	while (!atomic_load(&n->shared->is_over)) {
		bool has_moved = receive(n);

		if (may_send(n) && send_batch(n))
			has_moved = true;
		if (!has_moved)
			sched_yield();
	}
	_exit(EXIT_SUCCESS);
}

/* So many datagrams has each seen, its own among them. */
static void count(const struct node *n, uint64_t *seen)
{
	for (int i = 0; i < n->count; i++) {
		seen[i] = atomic_load(&n->shared->sent[i]);
		for (int j = 0; j < n->count; j++)
			seen[i] += atomic_load(&n->shared->received[i][j]);
	}
}

static void measure(const struct node *n, uint64_t seconds)
{
	uint64_t before[MAX_NODES], after[MAX_NODES], least = UINT64_MAX, ns;

	usleep(SETTLE_MS * 1000);
	if (atomic_load(&n->shared->ready) < n->count) {
		fprintf(stderr, "udp_load: not all nodes are there\n");
		exit(EXIT_FAILURE);
	}
	ns = clock_boot_ns();
	count(n, before);
	usleep((useconds_t)(seconds * 1000000));
	count(n, after);
	ns = clock_boot_ns() - ns;
	for (int i = 0; i < n->count; i++)
		least = min_u64(least, after[i] - before[i]);
	printf("result %.0f %.0f\n", (double)least * 1e9 / (double)ns,
	       (double)(least * n->bytes) * 1e9 / (double)ns);
}

static int parse(int argc, char **argv, struct node *n, uint64_t *seconds)
{
	struct err err = ERR_INIT;
	uint64_t bytes = 0;

	if (argc < 5 || argc - 3 > MAX_NODES)
		err_set(&err, -EINVAL, "SECONDS BYTES NAMESPACE..., 2 to %d of them",
			MAX_NODES);
	else if (text_parse_u64(argv[1], "seconds", 1, 3600, seconds, &err) == 0)
		text_parse_u64(argv[2], "bytes", 1, 1472, &bytes, &err);
	if (err.code < 0) {
		fprintf(stderr, "udp_load: %s\n", err.text);
		return err.code;
	}
	n->bytes = bytes;
	n->batch = min_u64(BATCH_BYTES / bytes, BATCH_DATAGRAMS);
	n->count = argc - 3;
	for (int i = 0; i < n->count; i++)
		n->addresses[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(PORT),
			.sin_addr.s_addr = htonl(0x0a4d0000 | ((uint32_t)i + 1)),
		};
	return 0;
}

int main(int argc, char **argv)
{
	static struct node n;
	uint64_t seconds;
	int status = EXIT_SUCCESS, s;

	if (parse(argc, argv, &n, &seconds) < 0)
		return EXIT_FAILURE;
	n.shared = mmap(NULL, sizeof(*n.shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n.shared == MAP_FAILED)
		die("memory");
	for (n.self = 0; n.self < n.count; n.self++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0)
			run_node(&n, argv[3 + n.self]);
	}
	measure(&n, seconds);
	atomic_store(&n.shared->is_over, true);
	while (wait(&s) > 0)
		if (s != 0)
			status = EXIT_FAILURE;
	return status;
}
