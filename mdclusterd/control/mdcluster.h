/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmdcluster: talks to an mdclusterd on this host. libmdcluster(3).
 *
 *	struct mdcluster *c = mdcluster_new();
 *	char *status;
 *
 *	if (mdcluster_connect(c, NULL) < 0 ||
 *	    mdcluster_call(c, "org.mdcluster.Status", NULL, &status) < 0)
 *		errx(1, "%s", mdcluster_error_text(c));
 *	puts(status);
 *	free(status);
 *	mdcluster_free(c);
 *
 * Parameters and results are texts: a JSON object each. What fails returns -errno, and
 * leaves a sentence. A handle is for one thread at a time, but for mdcluster_cancel();
 * any number of handles may be. No function raises SIGPIPE, or prints.
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct mdcluster;

/* NULL: no memory, or no descriptors (errno). */
struct mdcluster *mdcluster_new(void);
void mdcluster_free(struct mdcluster *c); /* NULL is fine */

/*
 * where: a daemon's run directory, or its socket. NULL: $MDCLUSTER_RUN_DIR, or
 * /run/mdcluster. A connection that is lost is made again by the next call.
 * -ENOENT, -ECONNREFUSED: no daemon runs there; -EACCES: it may not be asked.
 */
int mdcluster_connect(struct mdcluster *c, const char *where);

/* Of what failed last: a sentence; the daemon's name for it, or "" if it is ours. */
const char *mdcluster_error_text(const struct mdcluster *c);
const char *mdcluster_error_name(const struct mdcluster *c);

/* --- that wait -------------------------------------------------------------------------- */

/* How long each wait for a daemon may take; -1, the default: for ever. Then -ETIMEDOUT. */
void mdcluster_set_timeout(struct mdcluster *c, int timeout_ms);

/*
 * Asks, and waits for the answer. parameters: NULL for none. result: free() it; may be
 * NULL.
 */
int mdcluster_call(struct mdcluster *c, const char *method, const char *parameters,
		   char **result);

/*
 * For what goes on for a while, and streams: each() is given every answer but the last,
 * which is the result. What it returns, if not 0, ends the wait, and is returned; the
 * connection is closed then, so that the daemon knows.
 */
int mdcluster_call_more(struct mdcluster *c, const char *method, const char *parameters,
			int (*each)(void *owner, const char *answer), void *owner,
			char **result);

/*
 * Ends the wait of whoever waits now, or else of who waits next, with -ECANCELED; its
 * connection is closed. From any thread and from signal handlers.
 */
void mdcluster_cancel(struct mdcluster *c);

/* --- that do not ------------------------------------------------------------------------ */

/* Begins a call; -EBUSY while another one is under way. wants_more: 0, 1. */
int mdcluster_begin(struct mdcluster *c, const char *method, const char *parameters,
		    int wants_more);
/*
 * 1: an answer, and there will be more; 0: the last one; -EAGAIN: not yet: poll(2)
 * mdcluster_fd() for mdcluster_poll_events(), and ask again. Other errors end the call.
 */
int mdcluster_next(struct mdcluster *c, char **result);
int mdcluster_fd(const struct mdcluster *c); /* -1: not connected */
short mdcluster_poll_events(const struct mdcluster *c);

#ifdef __cplusplus
}
#endif
