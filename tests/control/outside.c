/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program of somebody else, which has nothing but what is installed: a request, a stream
 * of events that it ends, and a check whose progress it sees and which it has cancelled.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mdcluster.h>

static void no(const struct mdcluster *c, const char *what)
{
	errx(1, "%s: %s (%s)", what, mdcluster_error_text(c), mdcluster_error_name(c));
}

static struct mdcluster *handle(void)
{
	struct mdcluster *c = mdcluster_new();

	if (!c)
		err(1, "mdcluster_new");
	if (mdcluster_connect(c, NULL) < 0)
		no(c, "connect");
	mdcluster_set_timeout(c, 20000);
	return c;
}

static void request(void)
{
	struct mdcluster *c = handle();
	char *status;

	if (mdcluster_call(c, "org.mdcluster.Status", NULL, &status) < 0)
		no(c, "Status");
	printf("status: %s\n", strstr(status, "\"cluster\"") ? "it has a cluster" : status);
	free(status);
	mdcluster_free(c);
}

/* Without blocking anywhere but in our own poll(). */
static void events(void)
{
	struct mdcluster *c = handle();
	char *event;
	int count = 0, r;

	if (mdcluster_begin(c, "org.mdcluster.Events", "{\"history\":true}", 1) < 0)
		no(c, "Events");
	while (count < 2) {
		struct pollfd fd = { mdcluster_fd(c), mdcluster_poll_events(c), 0 };

		r = mdcluster_next(c, &event);
		if (r == 1) {
			printf("event: %s\n", event);
			free(event);
			count++;
		} else if (r == -EAGAIN && poll(&fd, 1, 20000) != 1) {
			errx(1, "no event");
		} else if (r != -EAGAIN) {
			no(c, "an event");
		}
	}
	mdcluster_free(c);
}

static int progress(void *owner, const char *answer)
{
	struct mdcluster *other = owner;

	printf("progress: %s\n", answer);
	if (mdcluster_call(other, "org.mdcluster.CheckCancel", "{\"array\":\"web\"}", NULL) < 0)
		no(other, "CheckCancel");
	return 0;
}

static void long_operation(void)
{
	struct mdcluster *c = handle(), *other = handle();
	char *result = NULL;

	if (mdcluster_call_more(c, "org.mdcluster.Check", "{\"array\":\"web\"}", progress, other,
				&result) < 0)
		no(c, "Check");
	printf("cancelled: %s\n", result);
	free(result);
	mdcluster_free(other);
	mdcluster_free(c);
}

/* What cannot be waited for is given up. */
static void given_up(void)
{
	struct mdcluster *c = handle();
	int r;

	mdcluster_cancel(c);
	r = mdcluster_call_more(c, "org.mdcluster.Events", NULL, NULL, NULL, NULL);
	printf("given up: %s\n", r == -ECANCELED ? mdcluster_error_text(c) : strerror(-r));
	mdcluster_free(c);
}

int main(void)
{
	request();
	events();
	long_operation();
	given_up();
	return 0;
}
