/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/nbd/server_private.h"

void nbd_server_look(const struct nbd_server *server, struct nbd_server_look *look)
{
	const struct nbd_export *export = &server->export;

	*look = (struct nbd_server_look){
		.socket_path = server->listener.path,
		.export_name = export->name,
		.size_bytes = export->volume ? export->volume->size_bytes : 0,
		.clients = server->client_count,
		.memory_bytes = export->memory.used_bytes + export->memory.free_bytes,
		.memory_limit_bytes = export->memory.limit_bytes,
		.counters = export->counters,
	};
}

void nbd_server_each_client(const struct nbd_server *server,
			    void (*each)(void *owner, const struct nbd_client_look *look),
			    void *owner)
{
	const struct nbd_client *client;

	qb_list_for_each_entry(client, &server->clients, link) {
		struct nbd_client_look look = {
			.id = client->id,
			.pid = client->pid,
			.uid = client->uid,
			.gid = client->gid,
			.since_ns = client->since_ns,
		};

		nbd_session_look(client->session, &look);
		if (!look.waits_for && client->is_send_blocked)
			look.waits_for = "it to take replies";
		each(owner, &look);
	}
}
