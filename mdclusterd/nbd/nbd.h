/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The NBD server of one array: a unix socket, one export, any number of clients. Fixed
 * newstyle, structured replies, base:allocation; no TLS, no resize. What is promised, as
 * tests cite:
 *
 *	Z1  Nothing is acknowledged before the volume said that it is done; a FLUSH is
 *	    submitted behind all that was acknowledged, on whichever connection.
 *	Z2  Each request is answered, once; what is wrong with one is told by its error
 *	    alone, and the connection goes on wherever the protocol allows it.
 *	Z3  What goes to the volume is within its bounds, on its blocks, and no longer than
 *	    it takes at once: longer requests go in parts.
 *	Z4  A request that waits in the volume holds up no other, of its connection or
 *	    others, until that connection has max_requests under way.
 *	Z5  A client that reads no replies, or sends half a request, or vanishes, costs the
 *	    others nothing: requests, replies and memory of each are bounded, and what is
 *	    reserved for one is nobody else's.
 *	Z6  Data of all clients together take no more than memory_bytes; no allocation a
 *	    request, once there were as many as now.
 *	Z7  The memory of an io stays until it is done and released, whatever becomes of
 *	    its client.
 *
 * One thread, the volume's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mdclusterd/volume.h"

struct err;
struct loop;
struct nbd_server;

enum {
	NBD_MAX_BYTES = 32 << 20,       /* of one READ or WRITE */
	NBD_MAX_NAME_BYTES = 255,       /* of an export's name, and of its description */
	NBD_RESERVE_BYTES = 256 << 10,  /* of memory_bytes, for each of max_clients */
};

/* Copied. */
struct nbd_config {
	const char *socket_path;
	uint32_t socket_mode;      /* 0: 0600 */
	const char *socket_group;  /* NULL: the process's */
	const char *export_name;   /* the array's; "" means it, too */
	const char *description;   /* NULL: none */
	uint32_t max_clients;      /* 0: 64; more are turned away */
	uint32_t max_requests;     /* under way, a client; 0: 128 */
	uint64_t memory_bytes;     /* 0: 64 MiB; at least 2 * NBD_RESERVE_BYTES a client */
	uint32_t handshake_ms;     /* who is not through by then is cut; 0: 30 s */
	uint32_t drain_ms;         /* who does not take its replies is cut; 0: 5 s */
};

/* What happens, in callbacks that may call everything but nbd_server_free(). */
struct nbd_server_ops {
	/* After nbd_server_close(): no client and no io is left. */
	void (*closed)(void *owner);
	/* One came (it is through its handshake) or went; NULL: nobody asks. */
	void (*clients_changed)(void *owner, uint32_t count);
};

/*
 * Listens at once. A socket that nobody listens to is replaced; -EADDRINUSE if somebody does,
 * -EEXIST if there is something else. The volume is borrowed; NULL: to come.
 */
struct nbd_server *nbd_server_new(struct loop *loop, const struct nbd_config *config,
				  struct volume *volume,
				  const struct nbd_server_ops *ops, void *owner,
				  struct err *err);

/*
 * Requests that come from now on go to this one, of the same blocks; the old one ends what it
 * has. NULL: they are told ESHUTDOWN. Its size may also change in place: it is read at
 * each request, and told to clients when they connect.
 */
void nbd_server_set_volume(struct nbd_server *server, struct volume *volume);

/*
 * No new client, no new request; what is under way is ended, replies are sent, for drain_ms
 * at most. Requests that come, or whose io ends with -ESHUTDOWN, have no reply: the next
 * server's client sends them again. Then closed(), never from within this call. The socket's path goes
 * at once.
 */
void nbd_server_close(struct nbd_server *server);
/* After closed(), or when no io can be in flight. NULL is fine. */
void nbd_server_free(struct nbd_server *server);

/* --- what an operator sees ------------------------------------------------------------ */

struct nbd_counters {
	uint64_t requests[VOLUME_OPS]; /* by what the volume is asked for */
	uint64_t block_status;
	uint64_t bytes_read, bytes_written;
	uint64_t refused;              /* answered with an error without the volume */
	uint64_t failed;               /* the volume's errors */
	uint64_t clients;              /* that came through their handshake */
	uint64_t turned_away;          /* more than max_clients */
	uint64_t cut;                  /* for what they did, or did not do */
	uint64_t memory_waits;         /* a client had to wait for memory */
};

struct nbd_client_look {
	uint32_t id;               /* counts from 1 */
	pid_t pid;                 /* of who connected, if the kernel knows */
	uid_t uid;
	gid_t gid;
	uint64_t since_ns;         /* on the clock of boot */
	bool is_negotiating;
	bool is_leaving;           /* gone, or going; what it asked for is still under way */
	bool has_structured_replies;
	uint32_t requests;         /* under way, or their replies not yet taken */
	uint32_t in_volume;        /* ios that the volume has */
	uint64_t memory_bytes;
	/* Why nothing more is taken from it at the moment, or NULL. */
	const char *waits_for;
};

struct nbd_server_look {
	const char *socket_path, *export_name;
	uint64_t size_bytes;       /* 0: no volume */
	uint32_t clients;
	uint64_t memory_bytes, memory_limit_bytes;
	struct nbd_counters counters;
};

void nbd_server_look(const struct nbd_server *server, struct nbd_server_look *look);
/* Each client, in the order they came. */
void nbd_server_each_client(const struct nbd_server *server,
			    void (*each)(void *owner, const struct nbd_client_look *look),
			    void *owner);
