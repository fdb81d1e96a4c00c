/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The switch of a lab: qemu's network cards (-netdev stream) plugged together. It stands
 * outside of the machines, so that a cut holds whatever state they are in.
 *
 *	vm-switch FOLDER PORTS
 *
 * In FOLDER: net.N is the socket of port N, whose machine's card ends in N (MAC address);
 * switch.ctl takes commands (control.h):
 *
 *	cut A B     nothing passes between ports A and B
 *	cut A       ... between A and anybody
 *	heal        all are plugged together
 *
 * Who does not take its frames loses them, beyond some that wait for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "tests/vm/control.h"

enum {
	MAX_PORTS = 16,
	MAX_FRAME_BYTES = 68 << 10,
	WAITING_BYTES = 1 << 20,
	HEAD_BYTES = 4,
	MAC_BYTES = 6,
};

struct net;

struct port {
	struct net *net;
	unsigned int number;
	int fd; /* -1: nobody is there */
	uint8_t in[HEAD_BYTES + MAX_FRAME_BYTES];
	size_t in_bytes;
	uint8_t out[WAITING_BYTES];
	size_t out_bytes;
	bool is_cut[MAX_PORTS + 1];
};

struct net {
	struct loop *loop;
	struct vm_control *control;
	struct port ports[MAX_PORTS + 1]; /* from 1 */
	unsigned int count;
};

static void unplug(struct port *p)
{
	loop_fd_remove(p->net->loop, p->fd);
	close(p->fd);
	p->fd = -1;
	p->in_bytes = p->out_bytes = 0;
}

static void want(struct port *p, uint32_t poll_events)
{
	struct err err = ERR_INIT;

	if (loop_fd_change(p->net->loop, p->fd, poll_events, &err) < 0)
		unplug(p);
}

static void send_waiting(struct port *p)
{
	ssize_t n = send(p->fd, p->out, p->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		unplug(p);
		return;
	}
	if (n > 0) {
		p->out_bytes -= (size_t)n;
		memmove(p->out, p->out + n, p->out_bytes);
	}
	want(p, p->out_bytes ? POLLIN | POLLOUT : POLLIN);
}

static void forward(struct port *to, const uint8_t *frame, size_t n)
{
	if (to->fd < 0 || n > sizeof(to->out) - to->out_bytes)
		return;
	memcpy(to->out + to->out_bytes, frame, n);
	to->out_bytes += n;
	if (to->out_bytes == n)
		send_waiting(to);
}

/* A frame with its head; for one, or for all (the group bit of its address). */
static void pass(struct port *from, const uint8_t *frame, size_t n)
{
	struct net *net = from->net;
	const uint8_t *mac = frame + HEAD_BYTES;
	bool is_for_all = n < HEAD_BYTES + MAC_BYTES || (mac[0] & 1);

	for (unsigned int i = 1; i <= net->count; i++) {
		if (i == from->number || from->is_cut[i])
			continue;
		if (is_for_all || mac[MAC_BYTES - 1] == i)
			forward(&net->ports[i], frame, n);
	}
}

/* Whole frames go on; false: nonsense. */
static bool pass_all(struct port *p)
{
	size_t at = 0;

	while (p->in_bytes - at >= HEAD_BYTES) {
		struct rd head = rd_over(p->in + at, HEAD_BYTES);
		size_t n = rd_be_u32(&head);

		if (n > MAX_FRAME_BYTES)
			return false;
		if (p->in_bytes - at < HEAD_BYTES + n)
			break;
		pass(p, p->in + at, HEAD_BYTES + n);
		at += HEAD_BYTES + n;
	}
	p->in_bytes -= at;
	memmove(p->in, p->in + at, p->in_bytes);
	return true;
}

static void hear(void *owner, int fd, uint32_t poll_events)
{
	struct port *p = owner;
	ssize_t n;

	if (poll_events & POLLOUT)
		send_waiting(p);
	if (p->fd < 0 || !(poll_events & (POLLIN | POLLHUP | POLLERR)))
		return;
	n = recv(fd, p->in + p->in_bytes, sizeof(p->in) - p->in_bytes, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		p->in_bytes += (size_t)n;
	if (n <= 0 || !pass_all(p))
		unplug(p);
}

/* A machine that comes anew takes the place of the one before. */
static void plug(void *owner, int listener, uint32_t poll_events)
{
	struct port *p = owner;
	struct err err = ERR_INIT;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)poll_events;
	if (fd < 0)
		return;
	if (p->fd >= 0)
		unplug(p);
	p->fd = fd;
	if (loop_fd_add(p->net->loop, fd, POLLIN, hear, p, &err) < 0) {
		close(fd);
		p->fd = -1;
	}
}

static int cut(struct net *net, unsigned long a, unsigned long b, struct err *err)
{
	if (a < 1 || a > net->count || b < 1 || b > net->count)
		return err_set(err, -EINVAL, "ports are 1 to %u", net->count);
	net->ports[a].is_cut[b] = net->ports[b].is_cut[a] = true;
	return 0;
}

static void heal(struct net *net)
{
	for (unsigned int i = 1; i <= net->count; i++)
		memset(net->ports[i].is_cut, 0, sizeof(net->ports[i].is_cut));
}

static int obey(void *owner, char *words[], unsigned int count, char *answer, struct err *err)
{
	struct net *net = owner;
	int r = 0;

	(void)answer;
	if (count == 1 && strcmp(words[0], "heal") == 0) {
		heal(net);
		return 0;
	}
	if (count < 2 || count > 3 || strcmp(words[0], "cut") != 0)
		return err_set(err, -EINVAL, "what is %s?", words[0]);
	if (count == 3)
		return cut(net, strtoul(words[1], NULL, 10), strtoul(words[2], NULL, 10), err);
	for (unsigned int i = 1; i <= net->count && r == 0; i++)
		r = cut(net, strtoul(words[1], NULL, 10), i, err);
	return r;
}

static int start(struct net *net, struct err *err)
{
	char path[32];

	net->loop = loop_new(err);
	if (!net->loop)
		return err->code;
	for (unsigned int i = 1; i <= net->count; i++) {
		struct port *p = &net->ports[i];
		int fd, r;

		p->net = net;
		p->number = i;
		p->fd = -1;
		snprintf(path, sizeof(path), "net.%u", i);
		fd = vm_listen(path, err);
		r = fd < 0 ? fd : loop_fd_add(net->loop, fd, POLLIN, plug, p, err);
		if (r < 0)
			return r;
	}
	net->control = vm_control_new(net->loop, "switch.ctl", obey, net, err);
	return net->control ? 0 : err->code;
}

int main(int argc, char **argv)
{
	static struct net net;
	struct err err = ERR_INIT;

	net.count = argc == 3 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	if (net.count < 1 || net.count > MAX_PORTS) {
		fprintf(stderr, "usage: vm-switch FOLDER PORTS (at most %d)\n", MAX_PORTS);
		return 2;
	}
	if (chdir(argv[1]) < 0 || log_open("vm-switch", LOG_TO_STDERR, LOG_NOTICE, &err) < 0 ||
	    start(&net, &err) < 0) {
		fprintf(stderr, "vm-switch: %s: %s\n", argv[1],
			err.code ? err.text : strerror(errno));
		return 1;
	}
	loop_run(net.loop);
	return 0;
}
