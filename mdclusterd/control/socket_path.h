/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix sockets by paths of any length: what does not fit the kernel's 108 bytes is reached
 * through its directory, opened, in /proc/self/fd.
 */
#pragma once

#include <sys/un.h>

/*
 * 0 or -errno. *dir_fd is -1, or must stay open until bind() or connect() returned, and
 * be closed then.
 */
int socket_path_address(const char *path, struct sockaddr_un *address, int *dir_fd);
