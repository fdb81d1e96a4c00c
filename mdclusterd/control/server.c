/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: made so that nobody can connect before it has its mode; taken from
 * a daemon that died, not from one that lives. Who is there too often is refused at once.
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/control/control_private.h"
#include "mdclusterd/control/socket_path.h"

LOG_SUBSYSTEM(control);

enum { BACKLOG = 16, PAUSE_MS = 200, GROUP_BYTES = 16384 };

/* --- accepting -------------------------------------------------------------------------- */

static void accept_ready(void *owner, int fd, uint32_t poll_events);

static void pause_is_over(void *owner)
{
	struct control_server *s = owner;
	struct err err = ERR_INIT;

	s->pause = NULL;
	if (loop_fd_add(s->loop, s->fd, POLLIN, accept_ready, s, &err) < 0)
		log_error("MDC5502", "%s: nobody can connect any more: %s", s->path, err.text);
}

/* No descriptors, or no memory: later, since the socket stays ready meanwhile. */
static void pause_accepting(struct control_server *s, int error)
{
	struct err err = ERR_INIT;

	log_warning("MDC5501", "%s: cannot accept a connection: %s", s->path,
		    strerror(error));
	loop_fd_remove(s->loop, s->fd);
	s->pause = loop_timer_start(s->loop, PAUSE_MS, pause_is_over, s, &err);
	if (!s->pause)
		pause_is_over(s);
}

static void accept_ready(void *owner, int fd, uint32_t poll_events)
{
	struct control_server *s = owner;
	struct err err = ERR_INIT;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)poll_events;
	if (peer >= 0) {
		if (control_connection_open(s, peer, &err) < 0)
			pause_accepting(s, -err.code);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		pause_accepting(s, errno);
	}
}

/* --- the socket ------------------------------------------------------------------------- */

/* One that nobody listens on any more is in our way; one that answers is not ours. */
static int clear_path(const char *path, const struct sockaddr_un *address, struct err *err)
{
	struct stat st;
	CLEANUP_FD int fd = -1;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path,
						     strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s is there, and no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno == EAGAIN)
		return err_set(err, -EADDRINUSE, "%s: another daemon listens there", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "%s cannot be removed: %s", path,
			       strerror(errno));
	return 0;
}

/* bind() gives the file the socket's own mode: nobody else's until it has its group. */
static int bind_socket(struct control_server *s, const struct sockaddr_un *address,
		       struct err *err)
{
	struct stat st;

	if (fchmod(s->fd, 0600) < 0 ||
	    bind(s->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return err_set(err, -errno, "%s cannot be made: %s", s->path,
			       strerror(errno));
	if (lstat(s->path, &st) < 0)
		return err_set(err, -errno, "%s: %s", s->path, strerror(errno));
	s->inode = st.st_ino;
	if (s->has_group && (chown(s->path, (uid_t)-1, s->group) < 0 ||
			     chmod(s->path, 0660) < 0)) {
		s->has_group = false;
		log_warning("MDC5503", "%s: cannot be given to its group: %s", s->path,
			    strerror(errno));
	}
	if (listen(s->fd, BACKLOG) < 0)
		return err_set(err, -errno, "%s: cannot listen: %s", s->path,
			       strerror(errno));
	return 0;
}

static int listen_at(struct control_server *s, struct err *err)
{
	struct sockaddr_un address;
	CLEANUP_FD int dir_fd = -1;
	int r = socket_path_address(s->path, &address, &dir_fd);

	if (r < 0)
		return err_set(err, r, "%s: %s", s->path, strerror(-r));
	r = clear_path(s->path, &address, err);
	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	r = bind_socket(s, &address, err);
	return r < 0 ? r : loop_fd_add(s->loop, s->fd, POLLIN, accept_ready, s, err);
}

static void find_group(struct control_server *s, const char *name)
{
	CLEANUP_FREE char *text = malloc(GROUP_BYTES);
	struct group group, *found = NULL;

	if (!name)
		return;
	if (text && getgrnam_r(name, &group, text, GROUP_BYTES, &found) == 0 && found) {
		s->has_group = true;
		s->group = group.gr_gid;
		return;
	}
	log_notice("MDC5500", "there is no group '%s': only root may ask what goes on", name);
}

struct control_server *control_server_new(struct loop *loop,
					  const struct control_config *config,
					  const struct control_method *methods,
					  void *owner, struct err *err)
{
	struct control_server *s = calloc(1, sizeof(*s));

	if (s) {
		s->path = strdup(config->path);
		s->description = strdup(config->description ? config->description
							: control_interface);
	}
	if (!s || !s->path || !s->description) {
		if (s) {
			free(s->path);
			free(s->description);
		}
		free(s);
		err_nomem(err, "the control socket");
		return NULL;
	}
	s->loop = loop;
	s->methods = methods;
	s->owner = owner;
	s->fd = -1;
	QB_INIT_LIST_HEAD(&s->connections);
	find_group(s, config->group);
	if (listen_at(s, err) < 0) {
		err_prefix(err, "control socket");
		control_server_free(s);
		return NULL;
	}
	return s;
}

/* Only what we made: a daemon that took our place has its own there. */
static void remove_path(const struct control_server *s)
{
	struct stat st;

	if (s->inode && lstat(s->path, &st) == 0 && st.st_ino == s->inode)
		unlink(s->path);
}

void control_server_free(struct control_server *s)
{
	if (!s)
		return;
	while (!qb_list_empty(&s->connections))
		control_connection_close(qb_list_first_entry(
			&s->connections, struct control_connection, link));
	if (s->pause)
		loop_timer_cancel(s->pause);
	else if (s->fd >= 0)
		loop_fd_remove(s->loop, s->fd);
	remove_path(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->description);
	free(s);
}
