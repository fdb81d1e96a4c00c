/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Corosync's nodes, as it runs with them, and what its errors mean. */
#include "totem/corosync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corosync/cmap.h>
#include <corosync/corotypes.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "totem/corosync_private.h"

bool corosync_is_built_in(void)
{
	return true;
}

int corosync_refusal(int error, const char *what, struct err *err)
{
	switch (error) {
	case CS_ERR_LIBRARY:
	case CS_ERR_NOT_EXIST:
	case CS_ERR_BAD_HANDLE:
	case CS_ERR_TRY_AGAIN:
		return err_set(err, -ECONNREFUSED,
			       "%s: corosync does not run on this host: start it (systemctl start corosync), or say engine = totem",
			       what);
	case CS_ERR_ACCESS:
	case CS_ERR_SECURITY:
		return err_set(err, -EACCES,
			       "%s: corosync lets only root in, and whom its uidgid.d names", what);
	default:
		return err_set(err, -EIO, "%s: corosync answers with error %d", what, error);
	}
}

/* "nodelist.node.3.name" */
static bool get_text(cmap_handle_t map, uint32_t position, const char *field, char *to)
{
	char key[CMAP_KEYNAME_MAXLEN];
	char *value = NULL;

	(void)snprintf(key, sizeof(key), "nodelist.node.%" PRIu32 ".%s", position, field);
	if (cmap_get_string(map, key, &value) != CS_OK)
		return false;
	(void)snprintf(to, COROSYNC_NAME_BYTES, "%s", value);
	free(value);
	return *to != '\0';
}

struct entry {
	uint32_t id, votes;
	char name[COROSYNC_NAME_BYTES];
};

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_node(cmap_handle_t map, uint32_t position, struct entry *e, struct err *err)
{
	char key[CMAP_KEYNAME_MAXLEN];

	(void)snprintf(key, sizeof(key), "nodelist.node.%" PRIu32 ".nodeid", position);
	if (cmap_get_uint32(map, key, &e->id) != CS_OK)
		return err_set(err, -EINVAL,
			       "corosync's nodelist: a node has no nodeid: give each one in corosync.conf");
	if (!get_text(map, position, "name", e->name) &&
	    !get_text(map, position, "ring0_addr", e->name))
		(void)snprintf(e->name, sizeof(e->name), "node%" PRIu32, e->id);
	(void)snprintf(key, sizeof(key), "nodelist.node.%" PRIu32 ".quorum_votes", position);
	if (cmap_get_uint32(map, key, &e->votes) != CS_OK)
		e->votes = 1;
	return 0;
}

static int read_nodes(cmap_handle_t map, struct corosync_map *m, struct err *err)
{
	static const char prefix[] = "nodelist.node.";
	struct entry *entries = calloc(TOTEM_MAX_NODES, sizeof(*entries));
	char key[CMAP_KEYNAME_MAXLEN];
	cmap_iter_handle_t iter;
	cmap_value_types_t type;
	size_t size;
	int count = 0, r = 0;

	if (!entries)
		return err_nomem(err, "corosync's nodelist");
	if (cmap_iter_init(map, prefix, &iter) != CS_OK) {
		free(entries);
		return err_set(err, -EIO, "corosync's nodelist cannot be read");
	}
	while (r == 0 && cmap_iter_next(map, iter, key, &size, &type) == CS_OK) {
		char field[CMAP_KEYNAME_MAXLEN];
		uint32_t position;

		if (sscanf(key, "nodelist.node.%" SCNu32 ".%254s", &position, field) != 2 ||
		    strcmp(field, "ring0_addr") != 0)
			continue;
		if (count == TOTEM_MAX_NODES)
			r = err_set(err, -EINVAL, "corosync's nodelist has more than %d nodes",
				    TOTEM_MAX_NODES);
		else
			r = read_node(map, position, &entries[count++], err);
	}
	(void)cmap_iter_finalize(map, iter);
	qsort(entries, (size_t)count, sizeof(*entries), by_id);
	for (int i = 0; i < count; i++) {
		m->nodes.ids[i] = entries[i].id;
		m->votes[i] = entries[i].votes;
		memcpy(m->names[i], entries[i].name, COROSYNC_NAME_BYTES);
	}
	m->nodes.count = count;
	free(entries);
	return r;
}

static int read_rest(cmap_handle_t map, struct corosync_map *m, struct err *err)
{
	CLEANUP_FREE char *cluster = NULL;
	uint32_t token = 0;
	uint8_t two_node = 0;

	if (cmap_get_uint32(map, "runtime.votequorum.this_node_id", &m->self) != CS_OK &&
	    cmap_get_uint32(map, "runtime.members.local", &m->self) != CS_OK)
		m->self = 0; /* the group tells it as well */
	if (cmap_get_string(map, "totem.cluster_name", &cluster) != CS_OK || !*cluster)
		return err_set(err, -EINVAL,
			       "corosync has no totem.cluster_name: give it one in corosync.conf");
	if (strlen(cluster) >= sizeof(m->cluster))
		return err_set(err, -EINVAL, "corosync's cluster_name is longer than %zu bytes",
			       sizeof(m->cluster) - 1);
	(void)snprintf(m->cluster, sizeof(m->cluster), "%s", cluster);
	(void)cmap_get_uint32(map, "runtime.config.totem.token", &token);
	m->token_ms = token;
	(void)cmap_get_uint8(map, "quorum.two_node", &two_node);
	m->is_two_node = two_node == 1;
	if (m->nodes.count == 0)
		return err_set(err, -EINVAL,
			       "corosync has no nodelist: name its nodes in corosync.conf");
	return 0;
}

/* --- corosync may hang ------------------------------------------------------------------- */

struct reading {
	struct errand errand;
	struct corosync_map map;
	struct err err;
};

static void read_map(struct errand *errand)
{
	struct reading *r = (struct reading *)errand;
	cmap_handle_t map;
	cs_error_t e = cmap_initialize(&map);

	if (e != CS_OK) {
		corosync_refusal((int)e, "the nodes of the cluster", &r->err);
		return;
	}
	if (read_nodes(map, &r->map, &r->err) == 0)
		(void)read_rest(map, &r->map, &r->err);
	(void)cmap_finalize(map);
}

static void forget_map(struct errand *errand)
{
	free(errand);
}

int corosync_map_read(struct corosync_map *m, struct err *err)
{
	struct reading *r = calloc(1, sizeof(*r));

	memset(m, 0, sizeof(*m));
	if (!r)
		return err_nomem(err, "the nodes of the cluster");
	r->errand.work = read_map;
	r->errand.drop = forget_map;
	if (corosync_wait(&r->errand, COROSYNC_MAP_MS, "the nodes of the cluster", err) < 0)
		return err->code;
	*m = r->map;
	*err = r->err;
	free(r);
	return err->code;
}
