/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/nbd/server_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

LOG_SUBSYSTEM(nbd);

enum {
	DEFAULT_CLIENTS = 64,
	DEFAULT_REQUESTS = 128,
	DEFAULT_MEMORY_BYTES = 64 << 20,
	DEFAULT_HANDSHAKE_MS = 30000,
	DEFAULT_DRAIN_MS = 5000,
	ACCEPT_AGAIN_MS = 1000,
	MEMORY_IDLE_MS = 1000,
};

static uint32_t or_default(uint32_t value, uint32_t instead)
{
	return value ? value : instead;
}

/* --- clients come -------------------------------------------------------------------------- */

static int listen_on(struct nbd_server *server, struct err *err);

static void listen_again(void *owner)
{
	struct nbd_server *server = owner;
	struct err err = ERR_INIT;

	server->accept_timer = NULL;
	if (listen_on(server, &err) < 0)
		log_warning("MDC5204", "export %s: no client is taken any more: %s",
			    server->export.name, err.text);
}

static void stop_listening(struct nbd_server *server)
{
	if (server->is_listening)
		loop_fd_remove(server->loop, server->listener.fd);
	server->is_listening = false;
}

/* What is missing may come back; until then they wait to be accepted. */
static void cannot_accept(struct nbd_server *server, int error)
{
	struct err err = ERR_INIT;

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return;
	log_warning("MDC5205", "export %s: a client waits, it cannot be accepted: %s",
		    server->export.name, strerror(error));
	server->accept_timer = loop_timer_start(server->loop, ACCEPT_AGAIN_MS, listen_again,
						server, &err);
	if (server->accept_timer)
		stop_listening(server);
}

static void client_came(void *owner, int listener, uint32_t events)
{
	struct nbd_server *server = owner;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		cannot_accept(server, errno);
	} else if (server->client_count >= server->max_clients) {
		close(fd);
		server->export.counters.turned_away++;
		log_warning("MDC5202", "export %s: a client was turned away: there are %u",
			    server->export.name, server->client_count);
	} else {
		nbd_client_new(server, fd);
	}
}

static int listen_on(struct nbd_server *server, struct err *err)
{
	int r = loop_fd_add(server->loop, server->listener.fd, POLLIN, client_came, server,
			    err);

	server->is_listening = r == 0;
	return r;
}

/* --- clients go on --------------------------------------------------------------------------- */

/* Who waits for memory; who came first is asked first, what is reserved is everybody's. */
static void memory_came(void *owner)
{
	struct nbd_server *server = owner;
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &server->clients) {
		struct nbd_client *client = qb_list_entry(at, struct nbd_client, link);

		if (nbd_session_is_starved(client->session))
			loop_soon(server->loop, &client->job);
	}
}

static void memory_was_idle(void *owner)
{
	struct nbd_server *server = owner;

	server->memory_timer = NULL;
	if (nbd_memory_is_idle(&server->export.memory))
		nbd_memory_trim(&server->export.memory, NBD_KEPT_BYTES);
}

/* Also where it was used meanwhile: who does so all the time is seldom met without any. */
void nbd_server_look_at_memory(struct nbd_server *server)
{
	struct err err = ERR_INIT;

	if (server->memory_timer || !nbd_memory_is_idle(&server->export.memory))
		return;
	server->memory_timer = loop_timer_start(server->loop, MEMORY_IDLE_MS, memory_was_idle,
						server, &err);
	if (!server->memory_timer)
		memory_was_idle(server);
}

static void tell_news(void *owner)
{
	struct nbd_server *server = owner;

	if (server->ops->clients_changed)
		server->ops->clients_changed(server->owner, server->ready_count);
}

void nbd_server_client_ready(struct nbd_server *server, bool is_ready)
{
	if (is_ready)
		server->ready_count++;
	else
		server->ready_count--;
	loop_soon(server->loop, &server->news_job);
}

void nbd_server_client_gone(struct nbd_server *server)
{
	server->client_count--;
	if (server->client_count > 0)
		return;
	nbd_memory_trim(&server->export.memory, 0);
	if (server->is_closing)
		loop_soon(server->loop, &server->closed_job);
}

/* --- its life --------------------------------------------------------------------------------- */

static void tell_closed(void *owner)
{
	struct nbd_server *server = owner;

	loop_timer_cancel(server->drain_timer);
	server->drain_timer = NULL;
	if (server->ops->closed)
		server->ops->closed(server->owner);
}

static int set_config(struct nbd_server *server, const struct nbd_config *config,
		      struct err *err)
{
	struct nbd_export *export = &server->export;
	uint64_t memory_bytes = config->memory_bytes ? config->memory_bytes
						     : DEFAULT_MEMORY_BYTES;

	server->max_clients = or_default(config->max_clients, DEFAULT_CLIENTS);
	server->handshake_ms = or_default(config->handshake_ms, DEFAULT_HANDSHAKE_MS);
	server->drain_ms = or_default(config->drain_ms, DEFAULT_DRAIN_MS);
	export->max_requests = or_default(config->max_requests, DEFAULT_REQUESTS);
	if (memory_bytes / 2 / NBD_RESERVE_BYTES < server->max_clients)
		return err_set(err, -EINVAL,
			       "export %s: %u clients need %llu MiB of memory at least",
			       config->export_name, server->max_clients,
			       (2ull * NBD_RESERVE_BYTES * server->max_clients) >> 20);
	if (strlen(config->export_name) > NBD_MAX_NAME_BYTES ||
	    (config->description && strlen(config->description) > NBD_MAX_NAME_BYTES))
		return err_set(err, -EINVAL,
			       "export %s: its name or description has more than %d bytes",
			       config->export_name, NBD_MAX_NAME_BYTES);
	snprintf(export->name, sizeof(export->name), "%s", config->export_name);
	snprintf(export->description, sizeof(export->description), "%s",
		 config->description ? config->description : "");
	nbd_memory_init(&export->memory, memory_bytes, server->max_clients);
	return 0;
}

static struct loop_job job_of(struct nbd_server *server, loop_fn fn)
{
	return (struct loop_job){ .fn = fn, .owner = server };
}

struct nbd_server *nbd_server_new(struct loop *loop, const struct nbd_config *config,
				  struct volume *volume,
				  const struct nbd_server_ops *ops, void *owner,
				  struct err *err)
{
	struct nbd_server *server = calloc(1, sizeof(*server));

	if (!server) {
		err_nomem(err, "an NBD server");
		return NULL;
	}
	server->loop = loop;
	server->ops = ops;
	server->owner = owner;
	server->export.volume = volume;
	server->listener.fd = -1;
	server->memory_job = job_of(server, memory_came);
	server->news_job = job_of(server, tell_news);
	server->closed_job = job_of(server, tell_closed);
	QB_INIT_LIST_HEAD(&server->clients);
	if (set_config(server, config, err) < 0 ||
	    nbd_listen(&server->listener, config, err) < 0 || listen_on(server, err) < 0) {
		nbd_server_free(server);
		return NULL;
	}
	return server;
}

void nbd_server_set_volume(struct nbd_server *server, struct volume *volume)
{
	server->export.volume = volume;
}

static void drained_long_enough(void *owner)
{
	struct nbd_server *server = owner;
	struct qb_list_head *at, *next;

	server->drain_timer = NULL;
	qb_list_for_each_safe(at, next, &server->clients)
		nbd_client_cut(qb_list_entry(at, struct nbd_client, link),
			       "it did not take its replies before the export was closed");
}

void nbd_server_close(struct nbd_server *server)
{
	struct err err = ERR_INIT;
	struct nbd_client *client;

	if (server->is_closing)
		return;
	server->is_closing = true;
	loop_timer_cancel(server->accept_timer);
	server->accept_timer = NULL;
	stop_listening(server);
	nbd_unlisten(&server->listener);
	qb_list_for_each_entry(client, &server->clients, link) {
		nbd_session_drain(client->session);
		loop_soon(server->loop, &client->job);
	}
	if (server->client_count == 0) {
		loop_soon(server->loop, &server->closed_job);
		return;
	}
	server->drain_timer = loop_timer_start(server->loop, server->drain_ms,
					       drained_long_enough, server, &err);
	if (!server->drain_timer)
		drained_long_enough(server);
}

void nbd_server_free(struct nbd_server *server)
{
	struct qb_list_head *at, *next;

	if (!server)
		return;
	qb_list_for_each_safe(at, next, &server->clients) {
		struct nbd_client *client = qb_list_entry(at, struct nbd_client, link);

		nbd_session_abandon(client->session);
		if (client->fd >= 0) {
			loop_fd_remove(server->loop, client->fd);
			close(client->fd);
		}
		nbd_client_free(client);
	}
	loop_timer_cancel(server->accept_timer);
	loop_timer_cancel(server->drain_timer);
	loop_timer_cancel(server->memory_timer);
	loop_soon_cancel(&server->memory_job);
	loop_soon_cancel(&server->news_job);
	loop_soon_cancel(&server->closed_job);
	stop_listening(server);
	nbd_unlisten(&server->listener);
	nbd_memory_fini(&server->export.memory);
	free(server);
}
