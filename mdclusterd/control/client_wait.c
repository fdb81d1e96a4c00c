/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdclusterd/control/client_private.h"

void mdcluster_set_timeout(struct mdcluster *c, int timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

void mdcluster_cancel(struct mdcluster *c)
{
	const uint64_t one = 1;
	int saved = errno;

	/* full means that it was cancelled very often: that is enough */
	(void)!write(c->cancel_fd, &one, sizeof(one));
	errno = saved;
}

static int give_up(struct mdcluster *c, int code, const char *why)
{
	client_disconnect(c);
	return client_fail(c, code, "%s", why);
}

/* 0: there may be something; -ETIMEDOUT, -ECANCELED. */
static int wait_for_daemon(struct mdcluster *c)
{
	struct pollfd fds[2] = {
		{ .fd = c->fd, .events = mdcluster_poll_events(c) },
		{ .fd = c->cancel_fd, .events = POLLIN },
	};
	uint64_t times;
	int n;

	do
		n = poll(fds, 2, c->timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return give_up(c, -errno, strerror(errno));
	if (fds[1].revents && read(c->cancel_fd, &times, sizeof(times)) > 0)
		return give_up(c, -ECANCELED, "cancelled");
	if (n == 0) {
		client_disconnect(c);
		return client_fail(c, -ETIMEDOUT, "the mdclusterd at %s does not answer",
				   c->path);
	}
	return 0;
}

static int wait_for_answer(struct mdcluster *c, char **answer)
{
	int r;

	while ((r = mdcluster_next(c, answer)) == -EAGAIN) {
		r = wait_for_daemon(c);
		if (r < 0)
			return r;
	}
	return r;
}

int mdcluster_call_more(struct mdcluster *c, const char *method, const char *parameters,
			int (*each)(void *owner, const char *answer), void *owner,
			char **result)
{
	char *answer = NULL;
	int r = mdcluster_begin(c, method, parameters, 1);

	if (r < 0)
		return r;
	while ((r = wait_for_answer(c, &answer)) == 1) {
		r = each ? each(owner, answer) : 0;
		free(answer);
		answer = NULL;
		if (r != 0) {
			client_disconnect(c);
			return r;
		}
	}
	if (r == 0 && result)
		*result = answer;
	else
		free(answer);
	return r;
}

int mdcluster_call(struct mdcluster *c, const char *method, const char *parameters,
		   char **result)
{
	char *answer = NULL;
	int r = mdcluster_begin(c, method, parameters, 0);

	if (r == 0)
		r = wait_for_answer(c, &answer);
	if (r == 1) { /* nobody asked for more */
		free(answer);
		return give_up(c, -EBADMSG, "the daemon answers more than it was asked");
	}
	if (r == 0 && result)
		*result = answer;
	else
		free(answer);
	return r;
}
