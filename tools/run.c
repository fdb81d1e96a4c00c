/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { COMPLAINT_BYTES = 300 };

/* sbin is not in everybody's PATH; losetup and nbd-client are there. */
static const char *path(void)
{
	static char all[4096];
	const char *own = getenv("PATH");

	snprintf(all, sizeof(all), "%s:/usr/sbin:/sbin", own ? own : "/usr/bin:/bin");
	return all;
}

int run_find(const char *program, const char *package, struct err *err)
{
	CLEANUP_FREE char *all = strdup(path());
	char *rest = all, *folder;
	char file[4096];

	if (!all)
		return err_nomem(err, "a path");
	while ((folder = strsep(&rest, ":"))) {
		snprintf(file, sizeof(file), "%s/%s", folder, program);
		if (access(file, X_OK) == 0)
			return 0;
	}
	return err_set(err, -ENOENT, package ? "there is no %s: install the package %s" :
					       "there is no program %s", program, package);
}

static void become(const char *const argv[], int out, int complaints)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(out >= 0 ? out : null, STDOUT_FILENO);
	dup2(complaints, STDERR_FILENO);
	setenv("PATH", path(), 1);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* What a file has from its beginning, as one terminated string. */
static void read_text(int fd, char *to, size_t size)
{
	ssize_t n = pread(fd, to, size - 1, 0);

	to[n > 0 ? n : 0] = '\0';
	while (*to && to[strlen(to) - 1] == '\n')
		to[strlen(to) - 1] = '\0';
}

static int nameless_file(struct err *err)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : err_set(err, -errno, "no temporary file in /tmp: %s",
				      strerror(errno));
}

static int wait_for(pid_t pid, const char *program, int complaints, struct err *err)
{
	char text[COMPLAINT_BYTES];
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, -errno, "%s: %s", program, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	read_text(complaints, text, sizeof(text));
	return err_set(err, -EIO, "%s", *text ? text : program);
}

int run_program(const char *const argv[], const char *package, char *output, size_t size,
		struct err *err)
{
	CLEANUP_FD int out = -1, complaints = -1;
	pid_t pid;
	int r = run_find(argv[0], package, err);

	if (r < 0)
		return r;
	out = nameless_file(err);
	complaints = out < 0 ? out : nameless_file(err);
	if (complaints < 0)
		return complaints;
	pid = fork();
	if (pid == 0)
		become(argv, out, complaints);
	if (pid < 0)
		return err_set(err, -errno, "%s: cannot be started: %s", argv[0],
			       strerror(errno));
	r = wait_for(pid, argv[0], complaints, err);
	if (r == 0 && output)
		read_text(out, output, size);
	return r;
}

int run_background(const char *const argv[], const char *log, pid_t *pid, struct err *err)
{
	CLEANUP_FD int complaints = open(log, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (complaints < 0)
		return err_set(err, -errno, "%s: %s", log, strerror(errno));
	*pid = fork();
	if (*pid == 0) {
		setsid();
		become(argv, -1, complaints);
	}
	if (*pid < 0)
		return err_set(err, -errno, "%s: cannot be started: %s", argv[0],
			       strerror(errno));
	return 0;
}
