/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/proof_command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"

enum { LINE_BYTES = 200 };

struct proof_command {
	struct loop *loop;
	pid_t pid;         /* 0: reaped */
	int pid_fd, out_fd;
	bool is_stopped;
	char line[LINE_BYTES]; /* the last one that has anything */
	size_t length;
	bool is_line_over;
	void (*done)(void *owner, struct proof_command *c, bool is_dead, const char *why);
	void *owner;
};

/* --- what it writes ---------------------------------------------------------------------- */

static void take(struct proof_command *c, char byte)
{
	if (byte == '\n') {
		c->is_line_over = true;
		return;
	}
	if (c->is_line_over)
		c->length = 0;
	c->is_line_over = false;
	if (c->length < sizeof(c->line) - 1)
		c->line[c->length++] = byte;
}

static bool read_some(struct proof_command *c)
{
	char bytes[512];
	ssize_t n = read(c->out_fd, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < n; i++)
		take(c, bytes[i]);
	return n > 0;
}

static void wrote(void *owner, int fd, uint32_t events)
{
	struct proof_command *c = owner;

	(void)fd;
	(void)events;
	if (!read_some(c)) {
		loop_fd_remove(c->loop, c->out_fd);
		close(c->out_fd);
		c->out_fd = -1;
	}
}

/* --- its end --------------------------------------------------------------------------------- */

static void ended(void *owner, int fd, uint32_t events)
{
	struct proof_command *c = owner;
	char why[LINE_BYTES + 64];
	int status = 0;

	(void)events;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->pid = 0;
	loop_fd_remove(c->loop, fd);
	while (c->out_fd >= 0 && read_some(c))
		;
	c->line[c->length] = '\0';
	if (c->is_stopped)
		snprintf(why, sizeof(why), "it took too long, or was not needed any more");
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "code %d%s%s", WEXITSTATUS(status),
			 c->length ? ": " : "", c->line);
	/* one that was told to end may still have succeeded: only what it says counts */
	c->done(c->owner, c, WIFEXITED(status) && WEXITSTATUS(status) == 0, why);
}

/* --- its beginning ------------------------------------------------------------------------------ */

static int spawn(struct proof_command *c, const char *command, char *const *words, int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	r = posix_spawn(&c->pid, command, &files, &how, words, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	if (r != 0)
		c->pid = 0;
	return -r;
}

static int watch(struct proof_command *c, struct err *err)
{
	c->pid_fd = pidfd_open(c->pid, 0);
	if (c->pid_fd < 0)
		return err_set(err, -errno, "its process cannot be watched: %s",
			       strerror(errno));
	if (loop_fd_add(c->loop, c->pid_fd, POLLIN, ended, c, err) < 0) {
		close(c->pid_fd);
		c->pid_fd = -1;
		return err->code;
	}
	return loop_fd_add(c->loop, c->out_fd, POLLIN, wrote, c, err);
}

struct proof_command *proof_command_start(struct loop *loop, const char *command,
					  const char *name, uint32_t id, uint64_t incarnation,
					  void (*done)(void *owner, struct proof_command *c,
						       bool is_dead, const char *why),
					  void *owner, struct err *err)
{
	struct proof_command *c = calloc(1, sizeof(*c));
	char id_text[16], incarnation_text[24];
	const char *words[] = { command, name, id_text, incarnation_text, NULL };
	int pipe_fds[2] = { -1, -1 }, r;

	snprintf(id_text, sizeof(id_text), "%" PRIu32, id);
	snprintf(incarnation_text, sizeof(incarnation_text), "%" PRIu64, incarnation);
	if (!c) {
		err_nomem(err, command);
		return NULL;
	}
	*c = (struct proof_command){ .loop = loop, .pid_fd = -1, .out_fd = -1, .done = done,
				     .owner = owner };
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		err_set(err, -errno, "%s: no pipe: %s", command, strerror(errno));
		free(c);
		return NULL;
	}
	c->out_fd = pipe_fds[0];
	r = spawn(c, command, (char *const *)(uintptr_t)words, pipe_fds[1]);
	close(pipe_fds[1]);
	if (r == 0 && watch(c, err) == 0)
		return c;
	if (r < 0)
		err_set(err, r, "%s: %s", command, strerror(-r));
	proof_command_free(c);
	return NULL;
}

void proof_command_stop(struct proof_command *c)
{
	c->is_stopped = true;
	if (c->pid)
		kill(-c->pid, SIGKILL);
}

void proof_command_free(struct proof_command *c)
{
	if (!c)
		return;
	if (c->pid) {
		kill(-c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		if (c->pid_fd >= 0)
			loop_fd_remove(c->loop, c->pid_fd);
	}
	if (c->pid_fd >= 0)
		close(c->pid_fd);
	if (c->out_fd >= 0) {
		loop_fd_remove(c->loop, c->out_fd);
		close(c->out_fd);
	}
	free(c);
}
