/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What runs the lab's commands inside of a machine: one process a virtio-serial port, and
 * one command at a time on each.
 *
 *	request  "ID SECONDS SCRIPT INPUT\n", SCRIPT bytes for sh, INPUT bytes for its stdin
 *	reply    "ID CODE LENGTH\n", LENGTH bytes of its output
 *
 * Ids let the other side skip replies to somebody who did not wait for them. Output goes
 * through a file, so that a daemon which a command leaves behind holds nothing up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CODE_TIMEOUT = 124, CODE_NO_SHELL = 127, LINE_BYTES = 128 };

struct agent {
	int port;
	char script[64], input[64], output[64];
};

/* The port says EOF, or EAGAIN, while nobody is at its other end. */
static void read_all(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t r = read(fd, to, n);

		if (r > 0) {
			to += r;
			n -= (size_t)r;
		} else {
			usleep(20000);
		}
	}
}

static void write_all(int fd, const char *from, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, from, n);

		if (r > 0) {
			from += r;
			n -= (size_t)r;
		} else {
			usleep(20000);
		}
	}
}

static void read_line(int fd, char line[LINE_BYTES])
{
	size_t n = 0;
	char c;

	for (;;) {
		read_all(fd, &c, 1);
		if (c == '\n')
			break;
		if (n < LINE_BYTES - 1)
			line[n++] = c;
	}
	line[n] = '\0';
}

static void take_file(const struct agent *a, const char *path, size_t n)
{
	char buffer[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	while (n > 0) {
		size_t now = n < sizeof(buffer) ? n : sizeof(buffer);

		read_all(a->port, buffer, now);
		if (fd >= 0 && write(fd, buffer, now) < 0) {
			close(fd);
			fd = -1;
		}
		n -= now;
	}
	if (fd >= 0)
		close(fd);
}

static void become(const struct agent *a)
{
	int in = open(a->input, O_RDONLY);
	int out = open(a->output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	for (int fd = 3; fd < 16; fd++)
		close(fd);
	execl("/bin/sh", "sh", a->script, (char *)NULL);
	_exit(CODE_NO_SHELL);
}

static int wait_for(pid_t pid, int seconds)
{
	int handle = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = handle, .events = POLLIN };
	int status, ready;

	do {
		ready = poll(&p, 1, seconds * 1000);
	} while (ready < 0 && errno == EINTR);
	if (handle >= 0)
		close(handle);
	if (ready == 0) {
		kill(-pid, SIGKILL);
		/* one that sleeps in the kernel is left to itself */
		for (int i = 0; i < 20 && waitpid(pid, &status, WNOHANG) != pid; i++)
			usleep(50000);
		return CODE_TIMEOUT;
	}
	if (waitpid(pid, &status, 0) != pid)
		return CODE_NO_SHELL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void reply(const struct agent *a, const char *id, int code)
{
	int fd = open(a->output, O_RDONLY | O_CLOEXEC);
	struct stat st = { 0 };
	char buffer[65536];
	size_t left;
	int n;

	if (fd >= 0)
		fstat(fd, &st);
	left = (size_t)st.st_size;
	n = snprintf(buffer, sizeof(buffer), "%s %d %zu\n", id, code, left);
	write_all(a->port, buffer, (size_t)n);
	while (left > 0) {
		size_t now = left < sizeof(buffer) ? left : sizeof(buffer);

		read_all(fd, buffer, now);
		write_all(a->port, buffer, now);
		left -= now;
	}
	if (fd >= 0)
		close(fd);
}

static void serve(struct agent *a)
{
	char line[LINE_BYTES], id[LINE_BYTES];
	size_t script, input;
	int seconds, code;
	pid_t pid;

	read_line(a->port, line);
	if (sscanf(line, "%100s %d %zu %zu", id, &seconds, &script, &input) != 4)
		return;
	take_file(a, a->script, script);
	take_file(a, a->input, input);
	pid = fork();
	if (pid == 0)
		become(a);
	code = pid < 0 ? CODE_NO_SHELL : wait_for(pid, seconds);
	reply(a, id, code);
	unlink(a->script);
	unlink(a->input);
	unlink(a->output);
}

int main(int argc, char **argv)
{
	struct agent a;

	if (argc != 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	a.port = open(argv[1], O_RDWR | O_CLOEXEC);
	if (a.port < 0)
		return 1;
	snprintf(a.script, sizeof(a.script), "/tmp/agent.%d", getpid());
	snprintf(a.input, sizeof(a.input), "/tmp/agent.%d.in", getpid());
	snprintf(a.output, sizeof(a.output), "/tmp/agent.%d.out", getpid());
	for (;;)
		serve(&a);
}
