/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/vm/control.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"

struct vm_control {
	struct loop *loop;
	vm_control_fn fn;
	void *owner;
};

int vm_listen(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	strcpy(address.sun_path, path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 16) < 0) {
		int r = err_set(err, -errno, "%s: %s", path, strerror(errno));

		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

static void obey(struct vm_control *c, char *line, char *reply, size_t size)
{
	char *words[VM_CONTROL_WORDS], *rest = NULL, *word;
	char answer[VM_CONTROL_BYTES] = "";
	struct err err = ERR_INIT;
	unsigned int n = 0;

	for (word = strtok_r(line, " \n", &rest); word && n < VM_CONTROL_WORDS;
	     word = strtok_r(NULL, " \n", &rest))
		words[n++] = word;
	if (n == 0)
		snprintf(reply, size, "error no command\n");
	else if (c->fn(c->owner, words, n, answer, &err) < 0)
		snprintf(reply, size, "error %s\n", err.text);
	else
		snprintf(reply, size, "ok %s\n", answer);
}

/* A line comes in one piece: who asks is a script of ours, on the same machine. */
static void hear(void *owner, int fd, uint32_t poll_events)
{
	struct vm_control *c = owner;
	char line[VM_CONTROL_BYTES], reply[2 * VM_CONTROL_BYTES];
	ssize_t n = read(fd, line, sizeof(line) - 1);

	(void)poll_events;
	if (n > 0) {
		line[n] = '\0';
		obey(c, line, reply, sizeof(reply));
		n = send(fd, reply, strlen(reply), MSG_NOSIGNAL);
	}
	if (n <= 0) {
		loop_fd_remove(c->loop, fd);
		close(fd);
	}
}

static void greet(void *owner, int listener, uint32_t poll_events)
{
	struct vm_control *c = owner;
	struct err err = ERR_INIT;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)poll_events;
	if (fd >= 0 && loop_fd_add(c->loop, fd, POLLIN, hear, c, &err) < 0)
		close(fd);
}

struct vm_control *vm_control_new(struct loop *loop, const char *path, vm_control_fn fn,
				  void *owner, struct err *err)
{
	struct vm_control *c = malloc(sizeof(*c));
	int fd;

	if (!c) {
		err_set(err, -ENOMEM, "%s: no memory", path);
		return NULL;
	}
	*c = (struct vm_control){ .loop = loop, .fn = fn, .owner = owner };
	fd = vm_listen(path, err);
	if (fd < 0 || loop_fd_add(loop, fd, POLLIN, greet, c, err) < 0) {
		free(c);
		return NULL;
	}
	return c;
}
