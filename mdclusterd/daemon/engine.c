/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/kernel_watch.h"
#include "mdclusterd/daemon/re_add.h"
#include "mdclusterd/daemon/unit.h"

LOG_SUBSYSTEM(engine);

enum {
	STOP_MS = 5000,
	STOP_ALONE_MS = 1000, /* without a quorum, in which nothing can be left */
};

static void told_to_reload(void *owner);

/* --- the supervisor ------------------------------------------------------------------------ */

static void supervisor_is_gone(struct engine *e)
{
	loop_fd_remove(e->loop, e->options->engine_fd);
	log_error("MDC5420", "the supervisor is gone: nobody would say that this engine is dead; it stops");
	e->is_orphaned = true;
	units_set_quorate(e, false); /* the gates before all else */
	engine_stop(e);
}

static void supervisor_speaks(void *owner, int fd, uint32_t events)
{
	struct engine *e = owner;
	char word[16];
	ssize_t n = recv(fd, word, sizeof(word) - 1, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		supervisor_is_gone(e);
		return;
	}
	word[n] = '\0';
	if (strcmp(word, "stop") == 0) {
		engine_stop(e);
	} else if (strcmp(word, "now") == 0) {
		log_warning("MDC5423", "told to stop a second time: at once");
		loop_stop(e->loop);
	} else if (strcmp(word, "reload") == 0) {
		told_to_reload(e);
	}
}

static void be_alive(void *owner)
{
	struct engine *e = owner;
	struct err err = ERR_INIT;

	supervisor_tell(e->options->engine_fd, "alive");
	e->alive = loop_timer_start(e->loop,
				    (uint32_t)max_u64(supervisor_patience_ms() / 20, 10),
				    be_alive, e, &err);
	if (!e->alive)
		log_error("MDC5421", "%s: the supervisor will take it for hanging", err.text);
}

/* --- signals ----------------------------------------------------------------------------------- */

static void told_to_stop(void *owner)
{
	engine_stop(owner);
}

static void say_change(void *owner, const char *name, bool needs_restart)
{
	(void)owner;
	if (needs_restart)
		log_warning("MDC5435", "%s: has changed, and takes a new start of mdclusterd", name);
	else
		log_notice("MDC5436", "%s: has changed", name);
}

static void told_to_reload(void *owner)
{
	struct err err = ERR_INIT;

	if (engine_reload(owner, say_change, NULL, &err) < 0)
		log_error("MDC5437", "nothing is reloaded: %s", err.text);
}

static int watch(struct engine *e, struct err *err)
{
	int r;

	if (fcntl(e->options->engine_fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, -errno, "--engine: not by hand: the supervisor starts it");
	r = loop_fd_add(e->loop, e->options->engine_fd, POLLIN, supervisor_speaks, e, err);
	if (r == 0)
		r = loop_signal_add(e->loop, SIGTERM, told_to_stop, e, err);
	if (r == 0)
		r = loop_signal_add(e->loop, SIGINT, told_to_stop, e, err);
	if (r == 0)
		r = loop_signal_add(e->loop, SIGHUP, told_to_reload, e, err);
	return r;
}

/* --- life ------------------------------------------------------------------------------------------ */

static int begin(struct engine *e, struct err *err)
{
	int r;

	qb_list_init(&e->units);
	qb_list_init(&e->calls);
	e->started_ns = clock_boot_ns();
	e->loop = loop_new(err);
	if (!e->loop)
		return err->code;
	/* what was inherited, but for what is ours: the lock goes to no fence command */
	(void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	r = watch(e, err);
	if (r < 0)
		return r;
	e->autostart = autostart_new(e, err);
	e->re_add = e->autostart ? re_add_new(e, err) : NULL;
	if (!e->re_add)
		return err->code;
	e->events = event_hub_new(e->config->nodes[e->config->self].id, clock_wall_us);
	if (!e->events)
		return err_nomem(err, "events");
	e->cluster = cluster_open(e->config, e->loop, engine_cluster_ops(), e, err);
	if (!e->cluster)
		return err->code;
	log_notice("MDC5422", "incarnation %" PRIu64 " of node %s, cluster %s",
		   station_incarnation(cluster_station(e->cluster)),
		   e->config->nodes[e->config->self].name, e->config->cluster);
	supervisor_tell(e->options->engine_fd, "incarnation %" PRIu64,
			station_incarnation(cluster_station(e->cluster)));
	r = engine_proof_open(e, err);
	if (r == 0)
		r = engine_guard_open(e, err);
	if (r == 0) {
		e->kernels = kernel_watch_open(e, err);
		r = e->kernels ? 0 : err->code;
	}
	if (r == 0)
		r = methods_open(e, err);
	if (r == 0)
		cluster_start(e->cluster);
	return r;
}

static void it_takes_too_long(void *owner)
{
	struct engine *e = owner;

	e->last_word = NULL;
	if (e->is_clean) {
		log_notice("MDC5463", "the others are not told that this node leaves: they wait for a proof of its death where they begin anew");
	} else if (cluster_is_quorate(e->cluster)) {
		log_error("MDC5438", "arrays do not stop in time: this engine ends with them in use, and its supervisor says so");
	} else {
		log_notice("MDC5447", "there is no quorum to leave arrays in: who assembles them next finds what is left");
		e->is_alone = true;
	}
	loop_stop(e->loop);
}

void engine_set_last_word(struct engine *e)
{
	struct err err = ERR_INIT;

	loop_timer_cancel(e->last_word);
	e->last_word = loop_timer_start(e->loop, cluster_is_quorate(e->cluster) ? STOP_MS
										: STOP_ALONE_MS,
					it_takes_too_long, e, &err);
	if (!e->last_word)
		it_takes_too_long(e);
}

void engine_unit_is_gone(struct engine *e)
{
	if (!e->is_stopping || !qb_list_empty(&e->units))
		return;
	if (!e->is_clean && cluster_say_leaving(e->cluster)) {
		e->is_clean = true;
		return;
	}
	e->is_clean = true;
	cluster_leave(e->cluster);
}

/* A signal may come to all of a group, and the supervisor's word besides: once is enough. */
void engine_stop(struct engine *e)
{
	struct unit *u = NULL;
	struct err err = ERR_INIT;

	if (e->is_stopping)
		return;
	e->is_stopping = true;
	while ((u = unit_next(e, u)) != NULL)
		if (unit_stop(u, true, NULL, &err) < 0)
			log_error("MDC5439", "an array does not stop: %s", err.text);
	engine_set_last_word(e);
	engine_unit_is_gone(e);
}

/*
 * Arrays that are still in use go with the process, whose death their other members
 * have proven by the supervisor: their threads are not waited for.
 */
static void break_off(struct engine *e)
{
	int code = e->is_alone && !e->is_broken && !e->is_orphaned ? EXIT_FINE : EXIT_FAILED;

	cluster_close(e->cluster);
	log_close();
	_exit(code);
}

static void end(struct engine *e)
{
	loop_timer_cancel(e->alive);
	loop_timer_cancel(e->last_word);
	methods_close(e);
	engine_guard_close(e);
	units_free(e);
	kernel_watch_close(e->kernels);
	autostart_free(e->autostart);
	re_add_free(e->re_add);
	engine_proof_close(e);
	cluster_close(e->cluster);
	engine_guard_free(e);
	event_hub_free(e->events);
	loop_free(e->loop);
	config_free(e->config);
}

int engine_run(const struct options *options)
{
	struct engine e = { .options = options };
	struct err err = ERR_INIT;

	e.config = daemon_config_read(options->config_path, &err);
	if (!e.config) {
		log_error("MDC5424", "the configuration cannot be used by the engine: %s", err.text);
		return daemon_config_exit(&err);
	}
	if (begin(&e, &err) < 0) {
		log_error("MDC5425", "the engine does not start: %s", err.text);
		e.exit_code = EXIT_FAILED;
	} else {
		supervisor_tell(options->engine_fd, "ready");
		be_alive(&e);
		loop_run(e.loop);
		if (!e.is_clean)
			break_off(&e);
		cluster_set_stopped(e.cluster);
		if (e.is_broken || e.is_orphaned)
			e.exit_code = EXIT_FAILED;
	}
	end(&e);
	supervisor_tell(options->engine_fd, "goodbye");
	return e.exit_code;
}
