/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: operations as they come in the group's order, and who looks at them. */
#include "totem/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "totem/checkpoint_private.h"

const char *checkpoint_why(int result)
{
	switch (result) {
	case 0:
		return "is done";
	case -ENOENT:
		return "does not exist";
	case -EEXIST:
		return "exists already";
	case -ENOSPC:
		return "does not fit: the checkpoint store is at its limit";
	case -EMFILE:
		return "cannot be opened: this node has too many checkpoints open";
	case -EROFS:
		return "cannot be changed: this part of the cluster has no quorum";
	case -EAGAIN:
		return "cannot be changed now: the cluster is changing, or too much is waiting";
	case -ESTALE:
		return "is gone: the cluster went on without it";
	case -ECANCELED:
		return "may be changed or not: the cluster came apart meanwhile";
	case -ESHUTDOWN:
		return "cannot be changed: this node is leaving the cluster";
	case -EINVAL:
		return "cannot be: names have 1 to 64 bytes, sections up to 64 KiB";
	case -ENOMEM:
		return "cannot be changed: out of memory";
	default:
		return strerror(-result);
	}
}

void checkpoint_break(struct checkpoint_store *s, const char *why)
{
	if (s->is_broken)
		return;
	s->is_broken = true;
	sync_break(s->sync, why);
	checkpoint_requests_fail(s);
}

bool checkpoint_is_complete(const struct checkpoint_store *s)
{
	return set_is_subset(s->members, s->in_group);
}

bool checkpoint_is_ready(const struct checkpoint_store *s)
{
	return s->is_active && !s->is_syncing && !s->is_broken &&
	       checkpoint_is_complete(s);
}

/* --- operations ----------------------------------------------------------------- */

static int apply_open(struct checkpoint_tree *t, int node,
		      const struct checkpoint_operation *o, struct checkpoint_id *id)
{
	struct checkpoint *c = checkpoint_tree_named(t, o->name, o->name_length);
	int r;

	if (c && (o->flags & CHECKPOINT_CREATE) && (o->flags & CHECKPOINT_EXCLUSIVE))
		return -EEXIST;
	if (!c && !(o->flags & CHECKPOINT_CREATE))
		return -ENOENT;
	if (t->opens[node] >= CHECKPOINT_MAX_OPENS)
		return -EMFILE;
	if (!c) {
		id->number = t->next;
		r = checkpoint_tree_add(t, id, o->name, o->name_length, false);
		if (r < 0)
			return r;
		t->next++;
		c = checkpoint_tree_numbered(t, id->number);
	}
	*id = c->id;
	checkpoint_tree_refer(t, c, node, 1);
	return 0;
}

static int apply_unlink(struct checkpoint_tree *t, const struct checkpoint_operation *o)
{
	struct checkpoint *c = checkpoint_tree_named(t, o->name, o->name_length);

	if (!c)
		return -ENOENT;
	checkpoint_tree_unlink(t, c);
	checkpoint_tree_reap(t, c);
	return 0;
}

static int apply_close(struct checkpoint_tree *t, struct checkpoint *c, int node,
		       bool is_quorate)
{
	checkpoint_tree_forget(t, c, node);
	if (is_quorate) /* C2: without, it is there for who has it open elsewhere */
		checkpoint_tree_reap(t, c);
	return 0;
}

/* What needs the sender to have it open. */
static int apply_opened(struct checkpoint_tree *t, int node,
			const struct checkpoint_operation *o, bool is_quorate)
{
	struct checkpoint *c = checkpoint_tree_find(t, &o->id);

	if (!c || c->opens[node] == 0)
		return -ESTALE;
	if (o->kind == CHECKPOINT_CLOSE)
		return apply_close(t, c, node, is_quorate);
	if (o->kind == CHECKPOINT_WRITE)
		return checkpoint_section_put(t, c, o->name, o->name_length, o->data,
					      o->length);
	return checkpoint_section_delete(t, c, o->name, o->name_length);
}

/* The same at all members; only -ENOMEM is this node's own. */
static int apply(struct checkpoint_store *s, int node,
		 const struct checkpoint_operation *o, struct checkpoint_id *id)
{
	bool is_quorate = sync_is_quorate(s->sync);

	if (!checkpoint_is_complete(s))
		return -EAGAIN; /* who is not in the group yet does not see it */
	if (!is_quorate && o->kind != CHECKPOINT_CLOSE)
		return -EROFS;
	if (is_quorate)
		checkpoint_tree_count(&s->live, &id->birth);
	if (o->kind == CHECKPOINT_OPEN)
		return apply_open(&s->live, node, o, id);
	if (o->kind == CHECKPOINT_UNLINK)
		return apply_unlink(&s->live, o);
	return apply_opened(&s->live, node, o, is_quorate);
}

static void take(struct checkpoint_store *s, int node,
		 const struct checkpoint_operation *o)
{
	struct checkpoint_id id = {
		.birth = { s->config.nodes.ids[node], o->incarnation, o->serial },
	};
	int result;

	if (!s->is_transitional)
		checkpoint_held_confirm(s); /* it is safe: all are active */
	if (o->kind == CHECKPOINT_MARK || s->is_broken)
		return;
	result = apply(s, node, o, &id);
	if (result == -ENOMEM) {
		checkpoint_break(s, "has no memory for a checkpoint");
		return;
	}
	if (result == 0)
		s->stats.applied++;
	else
		s->stats.refused++;
	if (node == s->self && o->incarnation == s->config.incarnation)
		checkpoint_answer(s, o, result, &id);
}

/* --- the group ------------------------------------------------------------------ */

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct checkpoint_store *s = owner;
	int node = node_index(&s->config.nodes, sender->node);
	struct checkpoint_operation o;

	(void)group;
	if (s->is_broken)
		return;
	if (!s->is_active)
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++; /* the state is to come */
	else if (s->is_syncing) /* others applied it to what this node is taking */
		checkpoint_break(s, "was given a change while states are told");
	else if (node == TOTEM_NO_INDEX || !set_has(&s->members, node))
		s->stats.faults[CHECKPOINT_FAULT_STRANGER]++;
	else if (!checkpoint_operation_read(&o, message, length))
		s->stats.faults[CHECKPOINT_FAULT_MESSAGE]++;
	else
		take(s, node, &o);
}

static void on_changed(void *owner, struct group *group,
		       const struct group_change *change)
{
	struct checkpoint_store *s = owner;
	size_t i;

	(void)group;
	s->in_group = (struct node_set){ { 0 } };
	for (i = 0; i < change->member_count; i++) {
		int node = node_index(&s->config.nodes, change->members[i].node);

		if (node != TOTEM_NO_INDEX)
			set_add(&s->in_group, node);
	}
	checkpoint_go_on(s);
}

static void on_credit(void *owner, struct group *group)
{
	(void)group;
	checkpoint_go_on(owner);
}

static const struct group_handlers handlers = {
	.deliver = on_deliver,
	.changed = on_changed,
	.credit_opened = on_credit,
};

/* --- life ----------------------------------------------------------------------- */

struct checkpoint_store *checkpoint_store_new(const struct checkpoint_store_config *config,
					      struct sync *sync,
					      struct group_engine *engine,
					      const struct checkpoint_store_ops *ops,
					      void *owner, struct err *err)
{
	int self = node_index(&config->nodes, config->self);
	struct checkpoint_store *s;

	if (self == TOTEM_NO_INDEX) {
		err_set(err, -EINVAL, "node %u is not among the configured nodes",
			config->self);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		err_nomem(err, "checkpoints");
		return NULL;
	}
	s->config = *config;
	s->ops = *ops;
	s->owner = owner;
	s->self = self;
	s->sync = sync;
	checkpoint_tree_init(&s->live);
	checkpoint_tree_init(&s->temp);
	qb_list_init(&s->requests);
	qb_list_init(&s->held);
	qb_list_init(&s->handles);
	qb_list_init(&s->lost);
	if (group_join(engine, CHECKPOINT_GROUP, strlen(CHECKPOINT_GROUP), &handlers, s,
		       &s->group, err) < 0) {
		err_prefix(err, "checkpoints");
		free(s);
		return NULL;
	}
	sync_register(sync, SYNC_CHECKPOINTS, "checkpoints", &checkpoint_service_ops, s);
	return s;
}

void checkpoint_store_free(struct checkpoint_store *s)
{
	if (!s)
		return;
	group_abandon(s->group);
	checkpoint_service_ops.abort(s);
	checkpoint_requests_free(s);
	checkpoint_tree_fini(&s->live);
	free(s);
}

void checkpoint_transitional(struct checkpoint_store *s)
{
	s->is_transitional = true;
}

/* --- looking -------------------------------------------------------------------- */

bool checkpoint_at(const struct checkpoint_store *s, size_t index,
		   struct checkpoint_info *info)
{
	const struct checkpoint *c;

	if (index >= s->live.count)
		return false;
	c = s->live.numbered[index];
	*info = (struct checkpoint_info){
		.number = c->id.number,
		.name = c->name,
		.name_length = c->name_length,
		.is_unlinked = c->is_unlinked,
		.references = c->references,
		.sections = c->count,
	};
	return true;
}

bool checkpoint_section_at(const struct checkpoint_store *s, uint64_t number,
			   size_t index, struct checkpoint_section_info *info)
{
	const struct checkpoint *c = checkpoint_tree_numbered(&s->live, number);
	const struct checkpoint_section *section;

	if (!c || index >= c->count)
		return false;
	section = c->sections[index];
	*info = (struct checkpoint_section_info){
		.name = (const char *)section->bytes,
		.name_length = section->name_length,
		.data = section->bytes + section->name_length,
		.length = section->length,
	};
	return true;
}

uint32_t checkpoint_opens(const struct checkpoint_store *s, uint64_t number, int node)
{
	const struct checkpoint *c = checkpoint_tree_numbered(&s->live, number);

	return c ? c->opens[node] : 0;
}

uint64_t checkpoint_digest(const struct checkpoint_store *s)
{
	return checkpoint_tree_digest(&s->live);
}

size_t checkpoint_bytes(const struct checkpoint_store *s)
{
	return s->live.bytes;
}

const struct checkpoint_stats *checkpoint_stats(const struct checkpoint_store *s)
{
	return &s->stats;
}
