/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/kernel_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/log.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/kernel_ask.h"
#include "mdclusterd/daemon/kernel_look.h"
#include "mdclusterd/daemon/kernel_notice.h"
#include "mdclusterd/daemon/mailbox.h"
#include "mdclusterd/daemon/unit.h"

LOG_SUBSYSTEM(kernel);

/* What threads that look have of the watch; the last one frees it. */
struct desk {
	pthread_mutex_t mutex;
	struct mailbox *box;       /* the mutex's; NULL: the watch is closed */
	struct kernel_watch *watch;
	unsigned int users;        /* the mutex's */
	char *root;
};

struct kernel_watch {
	struct engine *engine;
	struct kernel_ask *ask;
	struct kernel_notice *notice;
	struct desk *desk;
};

struct look {
	struct letter letter;
	struct desk *desk;
	struct kernel_ask_look of;
	int result;
	enum kernel_hold hold;
	char how[KERNEL_ASK_TEXT + 1];
};

/* --- looking ------------------------------------------------------------------------------- */

static void desk_put(struct desk *d)
{
	bool is_last;

	pthread_mutex_lock(&d->mutex);
	is_last = --d->users == 0;
	pthread_mutex_unlock(&d->mutex);
	if (!is_last)
		return;
	pthread_mutex_destroy(&d->mutex);
	free(d->root);
	free(d);
}

/* Who has seen nothing says nothing: who asked is told by its deadline who owes it. */
static void say_blind(int error)
{
	log_error("MDC5830", "whether this node's kernel runs an array cannot be seen: %s",
		  strerror(error));
}

static void open_look(struct letter *letter)
{
	struct look *l = container_of(letter, struct look, letter);

	if (l->result == 0)
		kernel_ask_looked(l->desk->watch->ask, &l->of, l->hold, l->how);
	else
		say_blind(-l->result);
	free(l);
}

static void *run(void *arg)
{
	struct look *l = arg;
	struct desk *d = l->desk;
	bool is_closed;

	l->result = kernel_look(d->root, l->of.uuid, &l->hold, l->how, sizeof(l->how));
	l->letter.open = open_look;
	pthread_mutex_lock(&d->mutex);
	is_closed = !d->box;
	if (!is_closed)
		mailbox_post(d->box, &l->letter);
	pthread_mutex_unlock(&d->mutex);
	if (is_closed)
		free(l);
	desk_put(d);
	return NULL;
}

static void op_look(void *owner, const struct kernel_ask_look *of)
{
	struct kernel_watch *w = owner;
	struct look *l = letter_alloc(sizeof(*l));
	pthread_t thread;
	int r;

	*l = (struct look){ .desk = w->desk, .of = *of };
	pthread_mutex_lock(&w->desk->mutex);
	w->desk->users++;
	pthread_mutex_unlock(&w->desk->mutex);
	r = pthread_create(&thread, NULL, run, l);
	if (r == 0) {
		pthread_detach(thread); /* it may hang in the kernel */
		return;
	}
	say_blind(r);
	free(l);
	desk_put(w->desk);
}

static const char *op_node_name(void *owner, uint32_t node)
{
	const struct kernel_watch *w = owner;

	return engine_node_name(w->engine, node);
}

static void op_look_again(void *owner)
{
	const struct kernel_watch *w = owner;

	units_look_at_kernels(w->engine);
}

/* W4 */
static void own_kernel_changed(void *owner)
{
	const struct kernel_watch *w = owner;

	kernel_ask_tell_change(w->ask);
}

/* --- life ---------------------------------------------------------------------------------- */

struct kernel_watch *kernel_watch_open(struct engine *e, struct err *err)
{
	static const struct kernel_ask_ops ops = { op_look, op_node_name, op_look_again };
	const char *root = secure_getenv("MDCLUSTER_TEST_ROOT");
	struct kernel_watch *w = calloc(1, sizeof(*w));
	struct desk *d = calloc(1, sizeof(*d));

	if (!w || !d || !(d->root = strdup(root ? root : ""))) {
		err_nomem(err, "a look at kernels");
		free(d);
		free(w);
		return NULL;
	}
	pthread_mutex_init(&d->mutex, NULL);
	d->watch = w;
	d->users = 1;
	w->engine = e;
	w->desk = d;
	d->box = mailbox_new(e->loop, err);
	w->ask = d->box ? kernel_ask_new(totem_groups(station_totem(cluster_station(e->cluster))),
					 e->config->nodes[e->config->self].id, &ops, w, err) :
			  NULL;
	w->notice = w->ask ? kernel_notice_open(e->loop, d->root, own_kernel_changed, w, err) :
			     NULL;
	if (w->notice)
		return w;
	kernel_watch_close(w);
	return NULL;
}

void kernel_watch_close(struct kernel_watch *w)
{
	struct mailbox *box;

	if (!w)
		return;
	kernel_notice_close(w->notice);
	kernel_ask_free(w->ask);
	pthread_mutex_lock(&w->desk->mutex);
	box = w->desk->box;
	w->desk->box = NULL;
	pthread_mutex_unlock(&w->desk->mutex);
	mailbox_free(box);
	desk_put(w->desk);
	free(w);
}

/* --- an array's metadata ---------------------------------------------------------------------- */

struct kernel_watched {
	struct metadata_runner runner;
	struct metadata_runner *below;
	struct kernel_watch *watch;
	struct kernel_watched_ops ops;
	void *ops_owner;
	struct kernel_query query;
	struct loop_timer *limit, *later;
	bool is_asking;
	bool is_due;     /* something has changed since it was asked */
	bool is_in_use;  /* by its last ASSEMBLE, and not given up since */
	/* The ASSEMBLE that waits; NULL: an array in use is asked about anew. */
	struct metadata_request *req;
	void (*done)(void *owner, struct metadata_request *req, int result);
	void *owner;
	uint8_t uuid[16];
	char array[CONFIG_NAME_BYTES];
};

static void ask(struct kernel_watched *k);

static void pass_back(struct kernel_watched *k, int result)
{
	struct metadata_request *req = k->req;

	k->req = NULL;
	k->is_in_use = result == 0;
	req->done = k->done;
	req->owner = k->owner;
	req->done(req->owner, req, result);
}

static void stop_asking(struct kernel_watched *k)
{
	loop_timer_cancel(k->limit);
	loop_timer_cancel(k->later);
	k->limit = k->later = NULL;
	k->is_asking = false;
}

static void ask_again(void *owner)
{
	struct kernel_watched *k = owner;

	k->later = NULL;
	if (k->is_in_use && !k->is_asking)
		ask(k);
}

/* Of one in use: nobody may have run it, and somebody may not have said. */
static void is_known_of_one_in_use(struct kernel_watched *k, int result)
{
	struct err err = ERR_INIT;

	if (result == -EBUSY && k->query.is_run) {
		k->is_in_use = false;
		log_error("MDC5930", "%s: %s: it is given up here, and its clients wait", k->array,
			  k->query.err.text);
		k->ops.is_elsewhere(k->ops_owner, &k->query.err);
	} else if (result == -EBUSY) {
		log_error("MDC5831", "%s: is in use here, and %s", k->array, k->query.err.text);
	} else if (result < 0) {
		log_warning("MDC5832", "%s: is in use here, and %s", k->array,
			    k->query.err.text);
		k->later = loop_timer_start(k->watch->engine->loop, KERNEL_WATCH_AGAIN_MS,
					    ask_again, k, &err);
	}
}

void kernel_watched_go_on(struct kernel_watched *k, const struct err *result)
{
	k->req->err = *result;
	pass_back(k, result->code);
	if (k->is_due && k->is_in_use && !k->is_asking)
		ask(k);
}

static void is_known(void *owner, struct kernel_query *q, int result)
{
	struct kernel_watched *k = owner;
	struct err why = q->err;

	stop_asking(k);
	if (!k->req) {
		is_known_of_one_in_use(k, result);
		if (k->is_due && k->is_in_use && !k->is_asking)
			ask(k);
		return;
	}
	if (result == 0)
		result = k->ops.is_free(k->ops_owner, &why);
	if (result != -EINPROGRESS)
		kernel_watched_go_on(k, &why);
}

static void it_takes_too_long(void *owner)
{
	struct kernel_watched *k = owner;

	k->limit = NULL;
	kernel_ask_expire(k->watch->ask, &k->query);
}

static void ask(struct kernel_watched *k)
{
	struct err err = ERR_INIT;

	k->is_due = false;
	k->query = (struct kernel_query){ .done = is_known, .owner = k };
	memcpy(k->query.uuid, k->uuid, sizeof(k->uuid));
	k->limit = loop_timer_start(k->watch->engine->loop, KERNEL_WATCH_MS, it_takes_too_long, k,
				    &err);
	if (!k->limit) {
		k->query.err = err;
		is_known(k, &k->query, err.code);
		return;
	}
	k->is_asking = true;
	kernel_ask(k->watch->ask, &k->query);
}

static void is_done(void *owner, struct metadata_request *req, int result)
{
	struct kernel_watched *k = owner;

	if (result < 0) {
		pass_back(k, result);
		return;
	}
	memcpy(k->uuid, req->view->uuid, sizeof(k->uuid));
	ask(k);
}

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct kernel_watched *k = container_of(runner, struct kernel_watched, runner);

	if (req->op == METADATA_ASSEMBLE) {
		if (k->is_asking) /* about what was in use before */
			kernel_ask_forget(&k->query);
		stop_asking(k);
		k->is_in_use = false;
		k->req = req;
		k->done = req->done;
		k->owner = req->owner;
		req->done = is_done;
		req->owner = k;
	}
	k->below->submit(k->below, req);
}

struct kernel_watched *kernel_watched_new(struct kernel_watch *w, const char *array,
					  struct metadata_runner *below,
					  const struct kernel_watched_ops *ops, void *owner)
{
	struct kernel_watched *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->runner.submit = submit;
	k->below = below;
	k->watch = w;
	k->ops = *ops;
	k->ops_owner = owner;
	snprintf(k->array, sizeof(k->array), "%s", array);
	return k;
}

struct metadata_runner *kernel_watched_runner(struct kernel_watched *k)
{
	return &k->runner;
}

void kernel_watched_again(struct kernel_watched *k)
{
	if (k->is_in_use && !k->is_asking)
		ask(k);
	else
		k->is_due = true; /* the answers may be older */
}

void kernel_watched_free(struct kernel_watched *k)
{
	if (!k)
		return;
	if (k->is_asking)
		kernel_ask_forget(&k->query);
	stop_asking(k);
	free(k);
}
