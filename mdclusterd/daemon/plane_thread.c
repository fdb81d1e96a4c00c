/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/plane_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/array/plane.h"
#include "mdclusterd/daemon/mailbox.h"
#include "mdclusterd/daemon/plane_work.h"

struct plane_thread {
	struct plane plane;
	struct loop *loop;           /* the thread's */
	struct mailbox *down, *up;
	struct plane_work *work;     /* the thread's while it runs */
	pthread_t thread;
	bool has_thread;
};

enum post_kind {
	POST_REQUEST, POST_GATE, POST_SINGLE_SOURCE, POST_FAILURE_KNOWN, POST_SPEED,
	POST_BUDGET, POST_CANCEL_SYNC, POST_END,
	NEWS_DONE, NEWS_DISK_FAILED, NEWS_DIFFERS, NEWS_NEEDS, NEWS_CORRECTED,
};

/* Whatever goes down or up. */
struct post {
	struct letter letter;
	struct plane_thread *thread;
	enum post_kind kind;
	struct plane_request *req;
	int result;
	bool is_on;
	uint32_t role;
	uint64_t a, b, c;
	struct err why;
};

static struct post *post_new(struct plane_thread *t, enum post_kind kind,
			     void (*open)(struct letter *letter))
{
	struct post *post = letter_alloc(sizeof(*post));

	post->letter.open = open;
	post->thread = t;
	post->kind = kind;
	return post;
}

/* --- down -------------------------------------------------------------------------------- */

static void taken_down(struct letter *letter)
{
	struct post *post = container_of(letter, struct post, letter);
	struct plane_work *w = post->thread->work;

	switch (post->kind) {
	case POST_REQUEST:
		plane_work_request(w, post->req);
		break;
	case POST_GATE:
		plane_work_set_gate(w, post->is_on);
		break;
	case POST_SINGLE_SOURCE:
		plane_work_set_single_source(w, post->is_on);
		break;
	case POST_FAILURE_KNOWN:
		plane_work_failure_known(w, post->role);
		break;
	case POST_SPEED:
		plane_work_set_speed(w, post->a);
		break;
	case POST_BUDGET:
		plane_work_set_budget(w, post->a);
		break;
	case POST_CANCEL_SYNC:
		plane_work_cancel_sync(w);
		break;
	default:
		loop_stop(post->thread->loop);
	}
	free(post);
}

static struct plane_thread *thread_of(struct plane *plane)
{
	return container_of(plane, struct plane_thread, plane);
}

static struct post *post_down(struct plane *plane, enum post_kind kind)
{
	return post_new(thread_of(plane), kind, taken_down);
}

static void send_down(struct post *post)
{
	mailbox_post(post->thread->down, &post->letter);
}

static void op_submit(struct plane *plane, struct plane_request *req)
{
	struct post *post = post_down(plane, POST_REQUEST);

	post->req = req;
	send_down(post);
}

static void op_set_gate(struct plane *plane, bool is_open)
{
	struct post *post = post_down(plane, POST_GATE);

	post->is_on = is_open;
	send_down(post);
}

static void op_set_single_source(struct plane *plane, bool is_on)
{
	struct post *post = post_down(plane, POST_SINGLE_SOURCE);

	post->is_on = is_on;
	send_down(post);
}

static void op_failure_known(struct plane *plane, uint32_t role)
{
	struct post *post = post_down(plane, POST_FAILURE_KNOWN);

	post->role = role;
	send_down(post);
}

static void op_set_speed(struct plane *plane, uint64_t max_bytes)
{
	struct post *post = post_down(plane, POST_SPEED);

	post->a = max_bytes;
	send_down(post);
}

static void op_cancel_sync(struct plane *plane)
{
	send_down(post_down(plane, POST_CANCEL_SYNC));
}

void plane_thread_set_budget(struct plane_thread *t, uint64_t budget_bytes)
{
	struct post *post = post_down(&t->plane, POST_BUDGET);

	post->a = budget_bytes;
	send_down(post);
}

/* --- up ------------------------------------------------------------------------------------ */

static void brought_up(struct letter *letter)
{
	struct post *post = container_of(letter, struct post, letter);
	const struct plane *plane = &post->thread->plane;
	const struct post copy = *post;

	free(post);
	if (copy.kind == NEWS_DONE)
		copy.req->done(copy.req->owner, copy.req, copy.result);
	else if (copy.kind == NEWS_DISK_FAILED)
		plane->handlers->disk_failed(plane->owner, copy.role, &copy.why);
	else if (copy.kind == NEWS_NEEDS)
		plane->handlers->needs(plane->owner, copy.a);
	else if (copy.kind == NEWS_CORRECTED)
		plane->handlers->corrected(plane->owner, copy.role, copy.a, copy.b, copy.c);
	else
		plane->handlers->differs(plane->owner, copy.a, copy.b);
}

static struct post *post_up(void *owner, enum post_kind kind)
{
	return post_new(owner, kind, brought_up);
}

static void send_up(struct post *post)
{
	mailbox_post(post->thread->up, &post->letter);
}

static void on_done(void *owner, struct plane_request *req, int result)
{
	struct post *post = post_up(owner, NEWS_DONE);

	post->req = req;
	post->result = result;
	send_up(post);
}

static void on_disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct post *post = post_up(owner, NEWS_DISK_FAILED);

	post->role = role;
	post->why = *why;
	send_up(post);
}

static void on_differs(void *owner, uint64_t sector, uint64_t sectors)
{
	struct post *post = post_up(owner, NEWS_DIFFERS);

	post->a = sector;
	post->b = sectors;
	send_up(post);
}

static void on_needs(void *owner, uint64_t needed_chunks)
{
	struct post *post = post_up(owner, NEWS_NEEDS);

	post->a = needed_chunks;
	send_up(post);
}

static void on_corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
			 uint64_t sectors)
{
	struct post *post = post_up(owner, NEWS_CORRECTED);

	post->role = role;
	post->a = low;
	post->b = high;
	post->c = sectors;
	send_up(post);
}

/* --- life ------------------------------------------------------------------------------------ */

static void *run(void *owner)
{
	struct plane_thread *t = owner;

	(void)prctl(PR_SET_NAME, "mdcluster-data"); /* for top -H */
	loop_run(t->loop);
	return NULL;
}

static int make_parts(struct plane_thread *t, struct loop *loop,
		      const struct plane_work_config *config, const struct lease *lease,
		      struct err *err)
{
	static const struct plane_work_ops ops = {
		.done = on_done, .disk_failed = on_disk_failed, .differs = on_differs,
		.needs = on_needs, .corrected = on_corrected,
	};
	int r;

	t->loop = loop_new(err);
	t->up = t->loop ? mailbox_new(loop, err) : NULL;
	t->down = t->up ? mailbox_new(t->loop, err) : NULL;
	if (!t->down)
		return err->code;
	t->work = plane_work_new(t->loop, config, lease, &ops, t);
	if (!t->work)
		return err_nomem(err, "a data plane");
	r = pthread_create(&t->thread, NULL, run, t);
	t->has_thread = r == 0;
	return r ? err_set(err, -r, "a thread for data: %s", strerror(r)) : 0;
}

struct plane_thread *plane_thread_new(struct loop *loop, const struct plane_work_config *config,
				      const struct lease *lease, struct err *err)
{
	static const struct plane_ops ops = {
		.submit = op_submit,
		.set_gate = op_set_gate,
		.set_single_source = op_set_single_source,
		.failure_known = op_failure_known,
		.set_speed = op_set_speed,
		.cancel_sync = op_cancel_sync,
	};
	struct plane_thread *t = calloc(1, sizeof(*t));

	if (!t) {
		err_nomem(err, "a data plane");
		return NULL;
	}
	t->plane.ops = &ops;
	if (make_parts(t, loop, config, lease, err) == 0)
		return t;
	plane_thread_free(t);
	return NULL;
}

void plane_thread_free(struct plane_thread *t)
{
	if (!t)
		return;
	if (t->has_thread) {
		send_down(post_down(&t->plane, POST_END));
		pthread_join(t->thread, NULL);
	}
	plane_work_free(t->work);
	mailbox_free(t->down);
	mailbox_free(t->up);
	loop_free(t->loop);
	free(t);
}

struct plane *plane_thread_plane(struct plane_thread *t)
{
	return &t->plane;
}
