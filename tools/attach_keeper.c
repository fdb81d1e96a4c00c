/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The processes that stay with a device of the kernel's nbd. When the engine behind it dies,
 * the kernel parks what comes; the keeper connects to the next engine, and hands the socket
 * over: by the rules of keeper.h, of which this is the ground. One more:
 *
 * K4. It holds a lock on the file of the state, by which it is known to live, and ends with
 *     the device. One that is killed is replaced by its guardian, which does nothing else, or,
 *     if that is killed as well, by the next `mdcluster attach`.
 *
 * Both are locked into memory, since what they would be paged in from may be that very device,
 * and are nobody's choice where memory is short.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "tools/attach.h"
#include "tools/host.h"
#include "tools/keeper.h"
#include "tools/nbd_export.h"
#include "tools/nbd_kernel.h"

LOG_SUBSYSTEM(attach);

enum {
	PAUSE_MS = 200,
	PATIENCE_MS = 10000,
};

/* keeper_ground's owner */
struct place {
	const struct attach *a;
	struct nbd_kernel kernel;
	struct keeper keeper;
};

static volatile sig_atomic_t is_told_to_end;

static void told_to_end(int signal_number)
{
	(void)signal_number;
	is_told_to_end = 1;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000l }, NULL);
}

/* --- the ground --------------------------------------------------------------------------- */

/* How often the kernel looks at what is under way; setting its timeout sets that, too. */
static void look_often(const struct place *p)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sys/block/%s/queue/io_timeout", host_root(),
		 p->a->device + strlen("/dev/"));
	file = fopen(path, "we");
	if (!file)
		return; /* before Linux 5.0: it looks every 30 s */
	fprintf(file, "%u\n", keeper_sweep_s(&p->keeper) * 1000);
	(void)fclose(file);
}

static struct nbd_kernel_device device_of(const struct place *p, const int *sockets,
					  unsigned int count)
{
	return (struct nbd_kernel_device){
		.index = attach_nbd_index(p->a),
		.backend = p->a->socket,
		.sockets = sockets,
		.count = count,
	};
}

static int open_export(void *owner, struct nbd_export *to, struct err *err)
{
	const struct place *p = owner;

	return nbd_export_open(to, p->a->socket, p->a->name, err);
}

static int add(void *owner, int fd, unsigned int timeout_s, struct err *err)
{
	struct place *p = owner;
	struct nbd_kernel_device device = device_of(p, &fd, 1);
	int r = nbd_kernel_add(&p->kernel, &device, timeout_s, err);

	look_often(p);
	return r;
}

static void set_timeout(void *owner, unsigned int timeout_s)
{
	struct place *p = owner;
	struct nbd_kernel_device device = device_of(p, NULL, 0);
	struct err ignored = ERR_INIT;

	nbd_kernel_set_timeout(&p->kernel, &device, timeout_s, &ignored);
	look_often(p);
}

static void close_socket(void *owner, int fd)
{
	(void)owner;
	close(fd);
}

static void tell(void *owner, enum keeper_news news, uint64_t lost_ms, const struct err *why)
{
	const struct attach *a = ((const struct place *)owner)->a;

	switch (news) {
	case KEEPER_LOST:
		log_notice("MDC5910", "%s: the daemon behind %s is gone, and requests wait",
			   a->name, a->device);
		break;
	case KEEPER_BACK:
		log_notice("MDC5911", "%s: %s is connected again, after %llu ms", a->name,
			   a->device, (unsigned long long)lost_ms);
		break;
	case KEEPER_REFUSED:
		log_warning("MDC5912", "%s: %s is not connected, and its requests wait: %s",
			    a->name, a->device, why->text);
		break;
	}
}

static const struct keeper_ground ground = {
	.open = open_export,
	.add = add,
	.set_timeout = set_timeout,
	.close = close_socket,
	.tell = tell,
};

/* --- a life ------------------------------------------------------------------------------ */

static void listen_for_losses(struct keeper *k)
{
	struct pollfd fds[KEEPER_MAX_SOCKETS + 1];
	uint32_t count = k->connections;

	for (uint32_t i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = k->sockets[i], .events = POLLRDHUP };
	fds[count] = (struct pollfd){ .fd = k->spare, .events = POLLRDHUP };
	if (poll(fds, count + 1, keeper_wait_ms(k)) <= 0)
		return;
	for (uint32_t i = 0; i <= count; i++)
		if (fds[i].fd >= 0 && fds[i].revents)
			keeper_hung_up(k, fds[i].fd, clock_boot_ns());
}

static void keep(struct place *p)
{
	while (!is_told_to_end) {
		listen_for_losses(&p->keeper);
		if (!attach_nbd_is_there(p->a))
			return;
		keeper_go(&p->keeper, clock_boot_ns());
	}
}

static _Noreturn void be_keeper(const struct attach *a, const int *sockets)
{
	struct err err = ERR_INIT;
	struct place p = {
		.a = a,
		.keeper = { .ground = &ground,
			    .size_bytes = a->size_bytes,
			    .block_bytes = a->block_bytes,
			    .is_read_only = a->is_read_only,
			    .connections = a->connections },
	};

	p.keeper.owner = &p;
	if (nbd_kernel_open(&p.kernel, &err) < 0)
		_exit(EXIT_FAILURE);
	(void)mlockall(MCL_CURRENT);
	look_often(&p);
	keeper_begin(&p.keeper, sockets, clock_boot_ns());
	keep(&p);
	_exit(EXIT_SUCCESS);
}

/* --- its guardian ------------------------------------------------------------------------- */

static void let_go_of_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i <= 2 && fd >= 0; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void be_spared(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (!file)
		return;
	fputs("-1000\n", file);
	(void)fclose(file);
}

static void close_all(const int *sockets, uint32_t count)
{
	for (uint32_t i = 0; sockets && i < count; i++)
		close(sockets[i]);
}

/* The end of a keeper that ended by itself, or was told to. */
static bool has_ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return true;
		if (is_told_to_end)
			kill(pid, SIGTERM);
	}
	return is_told_to_end || WIFEXITED(status);
}

static _Noreturn void be_guardian(const struct attach *a, const int *sockets)
{
	struct sigaction action = { .sa_handler = told_to_end };
	struct err err = ERR_INIT;
	pid_t pid;

	setsid();
	sigaction(SIGTERM, &action, NULL);
	if (chdir("/") < 0)
		_exit(EXIT_FAILURE);
	let_go_of_stdio();
	be_spared();
	(void)log_open("mdcluster", LOG_TO_SYSLOG, LOG_NOTICE, &err);
	for (;;) {
		pid = fork();
		if (pid == 0)
			be_keeper(a, sockets);
		(void)mlockall(MCL_CURRENT);
		if (pid > 0) {
			close_all(sockets, a->connections);
			sockets = NULL; /* of these it sees no more */
			if (has_ended(pid) || !attach_nbd_is_there(a))
				_exit(EXIT_SUCCESS);
			log_warning("MDC5940", "%s: who keeps %s connected was killed, and is replaced",
				    a->name, a->device);
		}
		pause_ms(PAUSE_MS);
	}
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
		be_guardian(a, sockets);
	return 0;
}

bool attach_keeper_lives(const struct attach *a)
{
	CLEANUP_FD int fd = open(a->state, O_RDWR | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* Both of them: a group of their own, the guardian's, whether that lives or not. */
void attach_keeper_end(const struct attach *a)
{
	for (int ms = 0; a->process > 1 && ms < 2 * PATIENCE_MS; ms += PAUSE_MS) {
		if (!attach_keeper_lives(a))
			return;
		kill(-a->process, ms < PATIENCE_MS ? SIGTERM : SIGKILL);
		pause_ms(PAUSE_MS / 10);
	}
}
