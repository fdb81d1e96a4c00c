/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that stays with a device of the kernel's nbd. When the engine behind it dies,
 * the kernel parks what comes; the keeper connects to the next engine, and hands the socket
 * over. Promises:
 *
 * K1. What was under way is sent again, to the next engine, and fails never. The kernel does
 *     that with requests that time out: so for a while after each loss, and only then, they
 *     may (SWEEP_S).
 * K2. Otherwise no request times out: one that is parked, for want of a quorum say, takes as
 *     long as it takes. (With several connections the kernel sends it again even so, on
 *     another one, which does no harm: it is the same data, and comes later.)
 * K3. It connects to nothing but the same: of that size, or larger, and not read-only now.
 * K4. It holds a lock on the file of the state, by which it is known to live, and ends with
 *     the device.
 *
 * It is locked into memory: what it would be paged in from may be that very device.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/nbd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "tools/attach.h"
#include "tools/nbd_export.h"
#include "tools/nbd_kernel.h"

LOG_SUBSYSTEM(attach);

enum {
	SWEEP_S = 10,       /* what was under way goes on after at most so long */
	SWEEP_MANY_S = 30,  /* of several connections: the kernel's own */
	SWEEP_MORE_S = 3,   /* its timers are late by a second or two */
	PAUSE_MS = 200,
	PATIENCE_MS = 10000,
};

struct keeper {
	const struct attach *a;
	struct nbd_kernel kernel;
	int sockets[ATTACH_MAX_CONNECTIONS]; /* -1: lost */
	uint64_t calm_at_ns;                 /* 0: nothing may time out */
	uint64_t lost_at_ns;                 /* 0: nothing is lost */
	int told;                            /* -errno that was logged */
};

static volatile sig_atomic_t is_told_to_end;

static void told_to_end(int signal_number)
{
	(void)signal_number;
	is_told_to_end = 1;
}

/* --- the kernel ------------------------------------------------------------------------- */

static unsigned int sweep_s(const struct keeper *k)
{
	return k->a->connections > 1 ? SWEEP_MANY_S : SWEEP_S;
}

/* How often the kernel looks at what is under way; setting its timeout sets that, too. */
static void look_often(const struct keeper *k)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/queue/io_timeout",
		 k->a->device + strlen("/dev/"));
	file = fopen(path, "we");
	if (!file)
		return; /* before Linux 5.0: it looks every 30 s */
	fprintf(file, "%u\n", sweep_s(k) * 1000);
	(void)fclose(file);
}

static struct nbd_kernel_device device_of(const struct keeper *k, const int *sockets,
					  unsigned int count)
{
	return (struct nbd_kernel_device){
		.index = attach_nbd_index(k->a),
		.backend = k->a->socket,
		.sockets = sockets,
		.count = count,
	};
}

static void set_timeout(struct keeper *k, uint64_t timeout_s)
{
	struct nbd_kernel_device device = device_of(k, NULL, 0);
	struct err ignored = ERR_INIT;

	nbd_kernel_set_timeout(&k->kernel, &device, timeout_s, &ignored);
	look_often(k);
}

static void sweep(struct keeper *k)
{
	k->calm_at_ns = clock_boot_ns() + (sweep_s(k) + SWEEP_MORE_S) * NS_PER_S;
	if (k->a->connections == 1)
		set_timeout(k, sweep_s(k));
}

static void calm(struct keeper *k)
{
	if (k->calm_at_ns == 0 || k->lost_at_ns || clock_boot_ns() < k->calm_at_ns)
		return;
	k->calm_at_ns = 0;
	if (k->a->connections == 1)
		set_timeout(k, 0);
}

/* --- sockets ---------------------------------------------------------------------------- */

static bool find_lost(struct keeper *k, int timeout_ms)
{
	struct pollfd fds[ATTACH_MAX_CONNECTIONS];
	bool is_any = false;

	for (uint32_t i = 0; i < k->a->connections; i++)
		fds[i] = (struct pollfd){ .fd = k->sockets[i], .events = POLLRDHUP };
	if (poll(fds, k->a->connections, timeout_ms) <= 0)
		return false;
	for (uint32_t i = 0; i < k->a->connections; i++) {
		if (k->sockets[i] < 0 || !fds[i].revents)
			continue;
		close(k->sockets[i]);
		k->sockets[i] = -1;
		is_any = true;
	}
	return is_any;
}

static void complain(struct keeper *k, const struct err *err)
{
	if (k->told == err->code)
		return;
	k->told = err->code;
	log_warning("MDC5912", "%s: %s is not connected, and its requests wait: %s", k->a->name,
		    k->a->device, err->text);
}

static int open_same(const struct keeper *k, struct nbd_export *export, struct err *err)
{
	int r = nbd_export_open(export, k->a->socket, k->a->name, err);

	if (r < 0)
		return r;
	if (export->size_bytes >= k->a->size_bytes &&
	    export->block_bytes <= k->a->block_bytes &&
	    (k->a->is_read_only || !(export->flags & NBD_FLAG_READ_ONLY)))
		return 0;
	close(export->fd);
	return err_set(err, -EMEDIUMTYPE, "what is served now has %" PRIu64 " bytes instead of %" PRIu64 ", blocks of %u, and flags %#x",
		       export->size_bytes, k->a->size_bytes, export->block_bytes,
		       export->flags);
}

/* -ENOSPC: the kernel has not noticed yet that the old one is dead. */
static bool connect_again(struct keeper *k, uint32_t i)
{
	struct nbd_kernel_device device;
	struct err err = ERR_INIT;
	struct nbd_export export;
	int r = open_same(k, &export, &err);

	if (r == 0) {
		device = device_of(k, &export.fd, 1);
		r = nbd_kernel_add(&k->kernel, &device, &err);
		if (r < 0)
			close(export.fd);
	}
	if (r < 0 && r != -ENOSPC)
		complain(k, &err);
	k->sockets[i] = r < 0 ? -1 : export.fd;
	return r == 0;
}

static void connect_lost(struct keeper *k)
{
	bool is_whole = true;

	for (uint32_t i = 0; i < k->a->connections && is_whole; i++)
		if (k->sockets[i] < 0)
			is_whole = connect_again(k, i);
	if (!is_whole)
		return;
	sweep(k); /* for what the kernel sent between its loss and ours */
	log_notice("MDC5911", "%s: %s is connected again, after %llu ms", k->a->name,
		   k->a->device, (clock_boot_ns() - k->lost_at_ns) / NS_PER_MS);
	k->lost_at_ns = 0;
	k->told = 0;
}

static void lose(struct keeper *k)
{
	if (k->lost_at_ns == 0) {
		k->lost_at_ns = clock_boot_ns();
		log_notice("MDC5910", "%s: the daemon behind %s is gone, and requests wait",
			   k->a->name, k->a->device);
	}
	sweep(k);
}

/* --- a life ------------------------------------------------------------------------------ */

static void keep(struct keeper *k)
{
	while (!is_told_to_end) {
		if (find_lost(k, k->lost_at_ns || k->calm_at_ns ? PAUSE_MS : -1))
			lose(k);
		if (!attach_nbd_is_there(k->a))
			return;
		calm(k);
		if (k->lost_at_ns)
			connect_lost(k);
	}
}

static void let_go_of_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i <= 2 && fd >= 0; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static _Noreturn void be_keeper(const struct attach *a, const int *sockets)
{
	struct sigaction action = { .sa_handler = told_to_end };
	struct keeper k = { .a = a };
	struct err err = ERR_INIT;

	setsid();
	sigaction(SIGTERM, &action, NULL);
	if (chdir("/") < 0)
		_exit(EXIT_FAILURE);
	let_go_of_stdio();
	(void)log_open("mdcluster", LOG_TO_SYSLOG, LOG_NOTICE, &err);
	memcpy(k.sockets, sockets, sizeof(k.sockets));
	if (nbd_kernel_open(&k.kernel, &err) < 0)
		_exit(EXIT_FAILURE);
	(void)mlockall(MCL_CURRENT);
	look_often(&k);
	keep(&k);
	_exit(EXIT_SUCCESS);
}

int attach_keeper_start(struct attach *a, const int *sockets, struct err *err)
{
	/* the child's for as long as it lives, as is its lock */
	CLEANUP_FD int lock = open(a->state, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (lock < 0)
		return err_set(err, -errno, "%s: %s", a->state, strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EEXIST, "somebody else attaches it, or it is attached");
	a->process = fork();
	if (a->process < 0)
		return err_set(err, -errno, "a process to keep it connected: %s",
			       strerror(errno));
	if (a->process == 0)
		be_keeper(a, sockets);
	return 0;
}

bool attach_keeper_lives(const struct attach *a)
{
	CLEANUP_FD int fd = open(a->state, O_RDWR | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

void attach_keeper_end(const struct attach *a)
{
	for (int ms = 0; a->process > 1 && attach_keeper_lives(a); ms += PAUSE_MS) {
		kill(a->process, ms < PATIENCE_MS ? SIGTERM : SIGKILL);
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS / 10 * 1000000l }, NULL);
	}
}
