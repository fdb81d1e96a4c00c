/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of a server share: server.c (its life, accepting, closing), client.c (a
 * socket and its session), listen.c (the socket's path), look.c.
 */
#pragma once

#include <sys/stat.h>

#include <qb/qblist.h>

#include "base/loop.h"
#include "mdclusterd/nbd/session.h"

struct nbd_listener {
	int fd;
	char *path;
	dev_t device; /* what the path was made to be */
	ino_t inode;
};

struct nbd_server {
	struct loop *loop;
	struct nbd_export export;
	const struct nbd_server_ops *ops;
	void *owner;
	uint32_t max_clients, handshake_ms, drain_ms;

	struct nbd_listener listener;
	bool is_listening;
	struct loop_timer *accept_timer; /* no descriptors: tried again */

	struct qb_list_head clients;     /* in the order they came */
	uint32_t client_count;           /* with those that leave */
	uint32_t ready_count;            /* through their handshake, not leaving */
	uint32_t last_id;
	struct loop_job memory_job;      /* for who is starved */
	struct loop_timer *memory_timer; /* what nobody needs goes back */
	struct loop_job news_job;        /* clients_changed() */

	bool is_closing;
	struct loop_timer *drain_timer;
	struct loop_job closed_job;
};

struct nbd_client {
	struct qb_list_head link;
	struct nbd_server *server;
	struct nbd_session *session;
	int fd;                          /* -1: gone, its ios are awaited */
	uint32_t poll_events;
	bool is_ready, is_send_blocked, is_broken;
	struct loop_job job;             /* go on */
	struct loop_timer *handshake_timer;
	uint32_t id;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint64_t since_ns;
};

/* listen.c */
int nbd_listen(struct nbd_listener *listener, const struct nbd_config *config,
	       struct err *err);
void nbd_unlisten(struct nbd_listener *listener);

/* client.c: takes the descriptor, whatever comes of it. */
void nbd_client_new(struct nbd_server *server, int fd);
/* Cut, and logged; freed when its ios are over, perhaps at once. */
void nbd_client_cut(struct nbd_client *client, const char *why);
void nbd_client_free(struct nbd_client *client);
/* It may have something to do. Freed perhaps. */
void nbd_client_go_on(struct nbd_client *client);

/* server.c */
void nbd_server_look_at_memory(struct nbd_server *server);
void nbd_server_client_ready(struct nbd_server *server, bool is_ready);
/* One less is on its list. */
void nbd_server_client_gone(struct nbd_server *server);
