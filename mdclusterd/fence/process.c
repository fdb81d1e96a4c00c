/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"

enum { LINE_BYTES = 200 };

struct fence_process {
	struct loop *loop;
	pid_t pid;         /* 0: reaped */
	int pid_fd, out_fd;
	bool is_stopped;
	char *output;      /* FENCE_OUTPUT_BYTES and a NUL byte */
	size_t length;
	char line[LINE_BYTES]; /* the last one that has anything */
	size_t line_length;
	bool is_line_over;
	fence_process_fn done;
	void *owner;
};

/* --- what it writes ---------------------------------------------------------------------- */

static void take(struct fence_process *p, char byte)
{
	if (p->length < FENCE_OUTPUT_BYTES)
		p->output[p->length++] = byte;
	if (byte == '\n') {
		p->is_line_over = true;
		return;
	}
	if (p->is_line_over)
		p->line_length = 0;
	p->is_line_over = false;
	if (p->line_length < sizeof(p->line) - 1)
		p->line[p->line_length++] = byte;
}

static bool read_some(struct fence_process *p)
{
	char bytes[4096];
	ssize_t n = read(p->out_fd, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < n; i++)
		take(p, bytes[i]);
	return n > 0;
}

static void wrote(void *owner, int fd, uint32_t events)
{
	struct fence_process *p = owner;

	(void)fd;
	(void)events;
	if (!read_some(p)) {
		loop_fd_remove(p->loop, p->out_fd);
		close(p->out_fd);
		p->out_fd = -1;
	}
}

/* --- its end --------------------------------------------------------------------------------- */

static void ended(void *owner, int fd, uint32_t events)
{
	struct fence_process *p = owner;
	char why[LINE_BYTES + 64];
	int status = 0;

	(void)events;
	if (waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	p->pid = 0;
	loop_fd_remove(p->loop, fd);
	while (p->out_fd >= 0 && read_some(p))
		;
	p->line[p->line_length] = '\0';
	p->output[p->length] = '\0';
	if (p->is_stopped)
		snprintf(why, sizeof(why), "it took too long, or was not needed any more");
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "code %d%s%s", WEXITSTATUS(status),
			 p->line_length ? ": " : "", p->line);
	/* one that was told to end may still have succeeded: only what it says counts */
	p->done(p->owner, p, WIFEXITED(status) ? WEXITSTATUS(status) : -1, why, p->output);
}

/* --- its beginning ------------------------------------------------------------------------------ */

struct rights {
	bool is_other; /* than ours */
	uid_t uid;
	gid_t gid;
};

static int rights_of(const char *user, struct rights *rights, struct err *err)
{
	const struct passwd *who;

	*rights = (struct rights){ .is_other = *user && geteuid() == 0 };
	if (!rights->is_other)
		return 0;
	who = getpwnam(user);
	if (!who)
		return err_set(err, -ENOENT, "there is no user '%s'", user);
	rights->uid = who->pw_uid;
	rights->gid = who->pw_gid;
	return 0;
}

/* Of a child of a program with threads: system calls alone, those of this thread. */
static int take_rights(const struct rights *rights)
{
	if (!rights->is_other)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, rights->gid, rights->gid, rights->gid) < 0 ||
	    syscall(SYS_setresuid, rights->uid, rights->uid, rights->uid) < 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void default_signals(void)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &usual, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct fence_process_config *config, const struct rights *rights,
		   int in, int out, int failure_fd)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
	char *environment[] = { path, language, NULL };
	const struct rlimit no_core = { 0, 0 };
	int error;

	(void)setpgid(0, 0);
	default_signals();
	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0 && take_rights(rights) == 0)
		execve(config->program, (char *const *)(uintptr_t)config->words, environment);
	error = errno;
	_exit(write(failure_fd, &error, sizeof(error)) == sizeof(error) ? 127 : 126);
}

/* All ends are closed on exec; what the program could not be for comes by a third pipe. */
static int spawn(struct fence_process *p, const struct fence_process_config *config,
		 const struct rights *rights, int in, int out)
{
	int failure[2], error = 0;

	if (pipe2(failure, O_CLOEXEC) < 0)
		return -errno;
	p->pid = fork();
	if (p->pid == 0)
		become(config, rights, in, out, failure[1]);
	if (p->pid < 0) {
		error = errno;
		p->pid = 0;
	} else {
		(void)setpgid(p->pid, p->pid); /* whoever of both is first */
	}
	close(failure[1]);
	if (p->pid && read(failure[0], &error, sizeof(error)) == sizeof(error)) {
		(void)waitpid(p->pid, NULL, 0);
		p->pid = 0;
	}
	close(failure[0]);
	return -error;
}

/* A pipe takes that much at once, whoever reads. */
static int input_of(const struct fence_process_config *config)
{
	int fds[2];
	ssize_t n;

	if (!config->input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (config->input_length > FENCE_INPUT_BYTES || pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	n = write(fds[1], config->input, config->input_length);
	close(fds[1]);
	if (n == (ssize_t)config->input_length)
		return fds[0];
	close(fds[0]);
	return -1;
}

static int start(struct fence_process *p, const struct fence_process_config *config,
		 struct err *err)
{
	int in = input_of(config), out[2] = { -1, -1 }, r;
	struct rights rights;

	if (in < 0 || pipe2(out, O_CLOEXEC) < 0) {
		r = err_set(err, -EMFILE, "%s: no pipes for it", config->program);
	} else if (rights_of(config->user, &rights, err) < 0) {
		r = err_prefix(err, "%s", config->program);
	} else {
		r = spawn(p, config, &rights, in, out[1]);
		if (r < 0)
			err_set(err, r, "%s: %s", config->program, strerror(-r));
	}
	if (in >= 0)
		close(in);
	if (out[1] >= 0)
		close(out[1]);
	p->out_fd = out[0];
	return r;
}

static int watch(struct fence_process *p, struct err *err)
{
	if (fcntl(p->out_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_set(err, -errno, "its output cannot be read: %s", strerror(errno));
	p->pid_fd = pidfd_open(p->pid, 0);
	if (p->pid_fd < 0)
		return err_set(err, -errno, "its process cannot be watched: %s",
			       strerror(errno));
	if (loop_fd_add(p->loop, p->pid_fd, POLLIN, ended, p, err) < 0) {
		close(p->pid_fd);
		p->pid_fd = -1;
		return err->code;
	}
	return loop_fd_add(p->loop, p->out_fd, POLLIN, wrote, p, err);
}

struct fence_process *fence_process_start(struct loop *loop,
					  const struct fence_process_config *config,
					  fence_process_fn done, void *owner, struct err *err)
{
	struct fence_process *p = calloc(1, sizeof(*p));

	if (p)
		p->output = malloc(FENCE_OUTPUT_BYTES + 1);
	if (!p || !p->output) {
		free(p);
		err_nomem(err, config->program);
		return NULL;
	}
	p->loop = loop;
	p->pid_fd = p->out_fd = -1;
	p->done = done;
	p->owner = owner;
	if (start(p, config, err) == 0 && watch(p, err) == 0)
		return p;
	fence_process_free(p);
	return NULL;
}

void fence_process_stop(struct fence_process *p)
{
	p->is_stopped = true;
	if (p->pid)
		kill(-p->pid, SIGKILL);
}

void fence_process_free(struct fence_process *p)
{
	if (!p)
		return;
	if (p->pid) {
		kill(-p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		if (p->pid_fd >= 0)
			loop_fd_remove(p->loop, p->pid_fd);
	}
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	if (p->out_fd >= 0) {
		loop_fd_remove(p->loop, p->out_fd);
		close(p->out_fd);
	}
	free(p->output);
	free(p);
}
