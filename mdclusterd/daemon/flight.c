/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

LOG_SUBSYSTEM(flight);

enum { PATH_BYTES = 4096 };

struct flight {
	int fd;
};

static int open_file(const char *run_dir, const char *array)
{
	char path[PATH_BYTES], old[PATH_BYTES + 4];

	snprintf(path, sizeof(path), "%s/record", run_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/record/%s", run_dir, array);
	snprintf(old, sizeof(old), "%s.1", path);
	(void)rename(path, old);
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

struct flight *flight_open(const char *run_dir, const char *array)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fd = open_file(run_dir, array);
	if (f->fd >= 0)
		return f;
	log_warning("MDC5448", "%s: its flight recorder has no file: %s", array,
		    strerror(errno));
	free(f);
	return NULL;
}

void flight_close(struct flight *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

int flight_write(void *flight, const void *bytes, size_t length)
{
	const struct flight *f = flight;
	const char *at = bytes;

	if (!f)
		return -EBADF;
	while (length > 0) {
		ssize_t n = write(f->fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}
