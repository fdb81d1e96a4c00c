/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/control/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int socket_path_address(const char *path, struct sockaddr_un *address, int *dir_fd)
{
	const char *name = strrchr(path, '/');
	size_t length = strlen(path);
	char *dir;
	int r;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	*dir_fd = -1;
	if (length == 0)
		return -ENOENT;
	if (length < sizeof(address->sun_path)) {
		memcpy(address->sun_path, path, length);
		return 0;
	}
	dir = name ? strndup(path, (size_t)(name - path) + 1) : strdup(".");
	if (!dir)
		return -ENOMEM;
	*dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = *dir_fd < 0 ? -errno : 0;
	free(dir);
	if (r < 0)
		return r;
	r = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s",
		     *dir_fd, name ? name + 1 : path);
	return r < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}
