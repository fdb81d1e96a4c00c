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
	struct desk *desk;
};

struct look {
	struct letter letter;
	struct desk *desk;
	struct kernel_ask_look of;
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

static void open_look(struct letter *letter)
{
	struct look *l = container_of(letter, struct look, letter);

	kernel_ask_looked(l->desk->watch->ask, &l->of, l->how);
	free(l);
}

static void *run(void *arg)
{
	struct look *l = arg;
	struct desk *d = l->desk;
	bool is_closed;

	kernel_look(d->root, l->of.uuid, l->how, sizeof(l->how));
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

/* Without a thread there is no answer: who asked is told by its deadline who owes it. */
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
	log_error("MDC5830", "no thread to see whether this node's kernel runs an array: %s",
		  strerror(r));
	free(l);
	desk_put(w->desk);
}

static const char *op_node_name(void *owner, uint32_t node)
{
	const struct kernel_watch *w = owner;

	return engine_node_name(w->engine, node);
}

static void op_joined(void *owner)
{
	const struct kernel_watch *w = owner;

	units_look_at_kernels(w->engine);
}

/* --- life ---------------------------------------------------------------------------------- */

struct kernel_watch *kernel_watch_open(struct engine *e, struct err *err)
{
	static const struct kernel_ask_ops ops = { op_look, op_node_name, op_joined };
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
	if (w->ask)
		return w;
	kernel_watch_close(w);
	return NULL;
}

void kernel_watch_close(struct kernel_watch *w)
{
	struct mailbox *box;

	if (!w)
		return;
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
	struct kernel_query query;
	struct loop_timer *limit;
	bool is_asking;
	/* The ASSEMBLE that waits; NULL: an array in use is asked about anew. */
	struct metadata_request *req;
	void (*done)(void *owner, struct metadata_request *req, int result);
	void *owner;
	uint8_t uuid[16];
	bool has_uuid;
	char array[CONFIG_NAME_BYTES];
};

static void pass_back(struct kernel_watched *k, int result)
{
	struct metadata_request *req = k->req;

	k->req = NULL;
	req->done = k->done;
	req->owner = k->owner;
	req->done(req->owner, req, result);
}

static void stop_asking(struct kernel_watched *k)
{
	loop_timer_cancel(k->limit);
	k->limit = NULL;
	k->is_asking = false;
}

static void is_known(void *owner, struct kernel_query *q, int result)
{
	struct kernel_watched *k = owner;

	stop_asking(k);
	if (k->req) {
		k->req->err = q->err;
		pass_back(k, result);
	} else if (result == -EBUSY) {
		log_error("MDC5831", "%s: is in use here, and %s: what both write is lost to the other",
			  k->array, q->err.text);
	} else if (result < 0) {
		log_warning("MDC5832", "%s: is in use here, and %s", k->array, q->err.text);
	}
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
	k->has_uuid = true;
	ask(k);
}

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct kernel_watched *k = container_of(runner, struct kernel_watched, runner);

	if (req->op == METADATA_ASSEMBLE) {
		if (k->is_asking) { /* about what was in use before */
			kernel_ask_forget(&k->query);
			stop_asking(k);
		}
		k->req = req;
		k->done = req->done;
		k->owner = req->owner;
		req->done = is_done;
		req->owner = k;
	}
	k->below->submit(k->below, req);
}

struct kernel_watched *kernel_watched_new(struct kernel_watch *w, struct metadata_runner *below)
{
	struct kernel_watched *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->runner.submit = submit;
	k->below = below;
	k->watch = w;
	return k;
}

struct metadata_runner *kernel_watched_runner(struct kernel_watched *k)
{
	return &k->runner;
}

void kernel_watched_again(struct kernel_watched *k, const char *array)
{
	if (!k->has_uuid || k->is_asking || k->req)
		return;
	snprintf(k->array, sizeof(k->array), "%s", array);
	ask(k);
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
