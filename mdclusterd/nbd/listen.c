/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listening socket with its mode and group before anybody can connect: made beside its
 * path, and renamed to it when all is set. So there is no moment without either.
 */
#include "mdclusterd/nbd/server_private.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

enum { BACKLOG = 64 };

#define NEW_SUFFIX ".new"

static int address_of(const char *path, const char *suffix, struct sockaddr_un *address,
		      struct err *err)
{
	size_t room = sizeof(address->sun_path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(address->sun_path, room, "%s%s", path, suffix) >= room)
		return err_set(err, -ENAMETOOLONG, "%s: longer than a socket's path may be (%zu)",
			       path, room - 1 - strlen(NEW_SUFFIX));
	return 0;
}

/* Nothing is there, or a socket that nobody listens to. */
static int check_free(const char *path, struct err *err)
{
	struct sockaddr_un address;
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path,
						     strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s: there is something that is no socket",
			       path);
	r = address_of(path, "", &address, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "no socket: %s", strerror(errno));
	r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	if (r == ECONNREFUSED || r == ENOENT)
		return 0;
	return err_set(err, -EADDRINUSE, "%s: somebody listens there already", path);
}

static int set_access(const char *path, const struct nbd_config *config, struct err *err)
{
	struct group *group = NULL;

	if (config->socket_group) {
		group = getgrnam(config->socket_group);
		if (!group)
			return err_set(err, -ENOENT, "%s: there is no group '%s'",
				       config->socket_path, config->socket_group);
		if (chown(path, (uid_t)-1, group->gr_gid) < 0)
			return err_set(err, -errno, "%s: cannot be given to group %s: %s",
				       config->socket_path, config->socket_group,
				       strerror(errno));
	}
	if (chmod(path, config->socket_mode ? config->socket_mode : 0600) < 0)
		return err_set(err, -errno, "%s: its mode cannot be set: %s",
			       config->socket_path, strerror(errno));
	return 0;
}

static int publish(struct nbd_listener *listener, const char *made_at, struct err *err)
{
	struct stat st;

	if (listen(listener->fd, BACKLOG) < 0 || stat(made_at, &st) < 0 ||
	    rename(made_at, listener->path) < 0)
		return err_set(err, -errno, "%s: cannot be listened to: %s",
			       listener->path, strerror(errno));
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
}

static int make(struct nbd_listener *listener, const struct nbd_config *config,
		struct err *err)
{
	struct sockaddr_un address;
	int r = address_of(config->socket_path, NEW_SUFFIX, &address, err);

	if (r < 0)
		return r;
	unlink(address.sun_path);
	if (bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(err, -errno, "%s: cannot be made: %s", config->socket_path,
			       strerror(errno));
	r = set_access(address.sun_path, config, err);
	if (r == 0)
		r = publish(listener, address.sun_path, err);
	if (r < 0)
		unlink(address.sun_path);
	return r;
}

int nbd_listen(struct nbd_listener *listener, const struct nbd_config *config,
	       struct err *err)
{
	int r = check_free(config->socket_path, err);

	listener->fd = -1;
	listener->path = NULL;
	if (r < 0)
		return r;
	listener->path = strdup(config->socket_path);
	if (!listener->path)
		return err_nomem(err, "a socket's path");
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		r = err_set(err, -errno, "no socket: %s", strerror(errno));
	else
		r = make(listener, config, err);
	if (r < 0)
		nbd_unlisten(listener);
	return r;
}

/* Somebody else's socket may be there by now. */
void nbd_unlisten(struct nbd_listener *listener)
{
	struct stat st;

	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->path && listener->inode && lstat(listener->path, &st) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		unlink(listener->path);
	free(listener->path);
	*listener = (struct nbd_listener){ .fd = -1 };
}
