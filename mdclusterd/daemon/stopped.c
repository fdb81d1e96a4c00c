/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/stopped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

LOG_SUBSYSTEM(unit);

enum { PATH_BYTES = 4096, NUMBER_BYTES = 24 };

static char *path_of(const char *run_dir, const char *array, char to[PATH_BYTES])
{
	snprintf(to, PATH_BYTES, "%s/%s.stopped", run_dir, array);
	return to;
}

/* The supervisor is our parent: a new start of the daemon has another one. */
static int supervisor_text(char to[NUMBER_BYTES])
{
	return snprintf(to, NUMBER_BYTES, "%ld\n", (long)getppid());
}

void stopped_note(const char *run_dir, const char *array)
{
	char path[PATH_BYTES], text[NUMBER_BYTES];
	CLEANUP_FD int fd = open(path_of(run_dir, array, path),
				 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int length = supervisor_text(text);

	if (fd < 0 || write(fd, text, (size_t)length) != length)
		log_warning("MDC5521", "%s: that it was stopped by hand cannot be remembered: %s",
			    path, strerror(errno));
}

void stopped_forget(const char *run_dir, const char *array)
{
	char path[PATH_BYTES];

	unlink(path_of(run_dir, array, path));
}

bool stopped_is(const char *run_dir, const char *array)
{
	char path[PATH_BYTES], text[NUMBER_BYTES], found[NUMBER_BYTES];
	CLEANUP_FD int fd = open(path_of(run_dir, array, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int length = supervisor_text(text);

	return fd >= 0 && read(fd, found, sizeof(found)) == length &&
	       memcmp(found, text, (size_t)length) == 0;
}
