/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of the others where the build found no corosync. */
#include "totem/corosync.h"

#include <errno.h>

#include "base/err.h"

bool corosync_is_built_in(void)
{
	return false;
}

static int refuse(struct err *err)
{
	return err_set(err, -EOPNOTSUPP,
		       "this mdclusterd was built without corosync: build it with --with-corosync, or say engine = totem");
}

int corosync_map_read(struct corosync_map *map, struct err *err)
{
	(void)map;
	return refuse(err);
}

struct corosync_link *corosync_link_open(const char *cluster,
					 const struct corosync_link_ops *ops, void *owner,
					 struct loop *loop, struct err *err)
{
	(void)cluster;
	(void)ops;
	(void)owner;
	(void)loop;
	refuse(err);
	return NULL;
}

void corosync_link_start(struct corosync_link *l)
{
	(void)l;
}

void corosync_link_rejoin(struct corosync_link *l)
{
	(void)l;
}

void corosync_link_close(struct corosync_link *l)
{
	(void)l;
}

bool corosync_link_is_pending(const struct corosync_link *l)
{
	(void)l;
	return false;
}

struct cpg_process corosync_link_self(const struct corosync_link *l)
{
	(void)l;
	return (struct cpg_process){ 0, 0 };
}

int corosync_link_send(struct corosync_link *l, const uint8_t *bytes, size_t length)
{
	(void)l;
	(void)bytes;
	(void)length;
	return -EOPNOTSUPP;
}

int corosync_say_aside(const char *cluster, const void *bytes, size_t length,
		       uint32_t limit_ms, struct err *err)
{
	(void)cluster;
	(void)bytes;
	(void)length;
	(void)limit_ms;
	return refuse(err);
}

struct corosync_quorum *corosync_quorum_open(const struct node_table *nodes, uint32_t self,
					     corosync_quorum_fn changed, void *owner,
					     struct loop *loop, struct err *err)
{
	(void)nodes;
	(void)self;
	(void)changed;
	(void)owner;
	(void)loop;
	refuse(err);
	return NULL;
}

void corosync_quorum_close(struct corosync_quorum *q)
{
	(void)q;
}

uint64_t corosync_quorum_ring(const struct corosync_quorum *q)
{
	(void)q;
	return 0;
}

bool corosync_quorum_is_quorate(const struct corosync_quorum *q)
{
	(void)q;
	return false;
}

const struct corosync_votes *corosync_quorum_votes(const struct corosync_quorum *q)
{
	(void)q;
	return NULL;
}
