/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sync service: who has the winning state tells it, everybody tells its own
 * counts, and all of it becomes the state at once (C7). The bytes: checkpoint.h.
 *
 *	HEAD --told--> HEADS --all known--> STATE --told--> COUNTS --told--> TOLD
 *	                                      (the chosen one)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "totem/checkpoint_private.h"

static void drop(struct checkpoint_store *s)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		free(s->phase.counts[i]);
	memset(&s->phase, 0, sizeof(s->phase));
	s->phase.chosen = TOTEM_NO_INDEX;
	checkpoint_tree_fini(&s->temp);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct checkpoint_store *s = owner;

	drop(s);
	s->phase.id = c->id;
	s->phase.members = c->members;
	s->is_syncing = true;
}

static void on_abort(void *owner)
{
	struct checkpoint_store *s = owner;

	s->stats.aborts++;
	drop(s);
}

/* --- telling -------------------------------------------------------------------- */

static int tell(struct checkpoint_store *s, const struct checkpoint_told *m)
{
	uint8_t head[CHECKPOINT_HEAD_BYTES];
	struct iovec parts[2] = {
		{ .iov_base = head },
		{ (void *)(uintptr_t)m->data, m->length },
	};
	int r;

	parts[0].iov_len = checkpoint_told_write(m, head);
	r = sync_tell(s->sync, SYNC_CHECKPOINTS, parts, 2);
	if (r < 0 && r != -EAGAIN)
		checkpoint_break(s, "has no memory to tell its checkpoints");
	return r;
}

static int tell_head(struct checkpoint_store *s)
{
	const struct checkpoint_told m = {
		.kind = CHECKPOINT_TELL_HEAD,
		.head = { s->epoch, s->live.operations, s->live.history, s->live.next },
	};

	return tell(s, &m);
}

static int tell_checkpoint(struct checkpoint_store *s, const struct checkpoint *c)
{
	const struct checkpoint_told m = {
		.kind = CHECKPOINT_TELL_CHECKPOINT,
		.id = c->id,
		.is_unlinked = c->is_unlinked,
		.name = (const uint8_t *)c->name,
		.name_length = c->name_length,
	};

	return tell(s, &m);
}

static int tell_section(struct checkpoint_store *s, const struct checkpoint *c,
			const struct checkpoint_section *section)
{
	const struct checkpoint_told m = {
		.kind = CHECKPOINT_TELL_SECTION,
		.id = c->id,
		.name = section->bytes,
		.name_length = section->name_length,
		.data = section->bytes + section->name_length,
		.length = section->length,
	};

	return tell(s, &m);
}

/* The cursor stays where -EAGAIN left it. */
static int tell_state(struct checkpoint_store *s)
{
	struct checkpoint_sync *p = &s->phase;
	int r = 0;

	while (r == 0 && p->checkpoint < s->live.count) {
		const struct checkpoint *c = s->live.numbered[p->checkpoint];

		if (p->section > c->count) {
			p->checkpoint++;
			p->section = 0;
			continue;
		}
		r = p->section == 0 ? tell_checkpoint(s, c) :
				      tell_section(s, c, c->sections[p->section - 1]);
		if (r < 0)
			break;
		p->sections_told += p->section > 0;
		p->section++;
	}
	return r < 0 ? r : tell(s, &(struct checkpoint_told){
					   .kind = CHECKPOINT_TELL_END,
					   .checkpoints = (uint32_t)s->live.count,
					   .sections = p->sections_told });
}

/* What this node has open, in its own state; also where another's is to win. */
static int tell_counts(struct checkpoint_store *s)
{
	struct checkpoint_told m = { .kind = CHECKPOINT_TELL_COUNTS };
	uint8_t *entries = malloc(s->live.count * CHECKPOINT_COUNT_BYTES + 1);
	int r;

	if (!entries) {
		checkpoint_break(s, "has no memory to tell its checkpoints");
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->live.count; i++) {
		const struct checkpoint *c = s->live.numbered[i];
		const struct checkpoint_count count = { c->id, c->opens[s->self] };

		if (count.opens == 0)
			continue;
		checkpoint_count_write(&count, entries + m.length);
		m.length += CHECKPOINT_COUNT_BYTES;
	}
	m.data = entries;
	r = tell(s, &m);
	free(entries);
	return r;
}

/* Of another version: it can tell nothing, and holds nobody up. */
static void leave_out_who_has_no_store(struct checkpoint_store *s)
{
	struct node_set *members = &s->phase.members;

	for (int i = set_next(*members, 0); i >= 0; i = set_next(*members, i + 1))
		if (!sync_has_service(s->sync, i, SYNC_CHECKPOINTS))
			set_remove(members, i);
}

static enum sync_progress on_process(void *owner)
{
	struct checkpoint_store *s = owner;
	struct checkpoint_sync *p = &s->phase;

	if (s->is_broken)
		return SYNC_AGAIN;
	if (p->phase == CHECKPOINT_PHASE_HEAD)
		leave_out_who_has_no_store(s);
	if (p->phase == CHECKPOINT_PHASE_HEAD && tell_head(s) == 0)
		p->phase = CHECKPOINT_PHASE_HEADS;
	if (p->phase == CHECKPOINT_PHASE_HEADS && set_equal(p->heads_of, p->members))
		p->phase = p->chosen == s->self ? CHECKPOINT_PHASE_STATE :
						  CHECKPOINT_PHASE_COUNTS;
	if (p->phase == CHECKPOINT_PHASE_STATE && tell_state(s) == 0)
		p->phase = CHECKPOINT_PHASE_COUNTS;
	if (p->phase == CHECKPOINT_PHASE_COUNTS && tell_counts(s) == 0)
		p->phase = CHECKPOINT_PHASE_TOLD;
	if (p->phase == CHECKPOINT_PHASE_HEADS)
		return SYNC_WAITS;
	return p->phase == CHECKPOINT_PHASE_TOLD ? SYNC_DONE : SYNC_AGAIN;
}

/* --- hearing -------------------------------------------------------------------- */

/* As epochs are compared in the sync phase. */
static bool is_newer(struct ring_id a, struct ring_id b)
{
	return a.seq > b.seq || (a.seq == b.seq && a.rep > b.rep);
}

static bool is_better(const struct checkpoint_head *a, const struct checkpoint_head *b)
{
	if (!ring_id_equal(a->epoch, b->epoch))
		return is_newer(a->epoch, b->epoch);
	return a->operations > b->operations;
}

/* The newest state, then the longest, then the lowest index. */
static int choose(const struct checkpoint_sync *p)
{
	int best = set_next(p->members, 0);

	for (int i = best; i >= 0; i = set_next(p->members, i + 1))
		if (is_better(&p->heads[i], &p->heads[best]))
			best = i;
	return best;
}

/* Somebody knows of a newer epoch, and nobody has its state any more. */
static bool is_outdated(const struct checkpoint_store *s)
{
	struct node_set winners = sync_winners(s->sync);

	return is_newer(sync_epoch_of(s->sync, set_next(winners, 0)),
			s->phase.heads[s->phase.chosen].epoch);
}

static void take_head(struct checkpoint_store *s, int from,
		      const struct checkpoint_told *m)
{
	struct checkpoint_sync *p = &s->phase;

	if (set_has(&p->heads_of, from)) {
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
		return;
	}
	p->heads[from] = m->head;
	set_add(&p->heads_of, from);
	if (!set_equal(p->heads_of, p->members))
		return;
	p->chosen = choose(p);
	s->temp.next = p->heads[p->chosen].next;
	s->temp.operations = p->heads[p->chosen].operations;
	s->temp.history = p->heads[p->chosen].history;
	sync_go_on(s->sync);
}

static void take_checkpoint(struct checkpoint_store *s, const struct checkpoint_told *m)
{
	struct checkpoint_tree *t = &s->temp;
	uint64_t last = t->count > 0 ? t->numbered[t->count - 1]->id.number : 0;
	int r;

	if (m->id.number <= last || m->id.number >= t->next ||
	    (!m->is_unlinked && checkpoint_tree_named(t, m->name, m->name_length))) {
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
		return;
	}
	r = checkpoint_tree_add(t, &m->id, m->name, m->name_length, m->is_unlinked);
	if (r == -ENOMEM)
		checkpoint_break(s, "has no memory for others' checkpoints");
	else if (r < 0)
		s->stats.faults[CHECKPOINT_FAULT_LIMIT]++;
}

static void take_section(struct checkpoint_store *s, const struct checkpoint_told *m)
{
	struct checkpoint_tree *t = &s->temp;
	struct checkpoint *c = t->count > 0 ? t->numbered[t->count - 1] : NULL;
	int r;

	if (!c || c->id.number != m->id.number ||
	    checkpoint_section(c, m->name, m->name_length)) {
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
		return;
	}
	r = checkpoint_section_put(t, c, m->name, m->name_length, m->data, m->length);
	if (r == 0)
		s->phase.sections++;
	else if (r == -ENOMEM)
		checkpoint_break(s, "has no memory for others' checkpoints");
	else
		s->stats.faults[CHECKPOINT_FAULT_LIMIT]++;
}

static void take_end(struct checkpoint_store *s, const struct checkpoint_told *m)
{
	if (m->checkpoints == s->temp.count && m->sections == s->phase.sections)
		s->phase.is_ended = true;
	else
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
}

/* What only the chosen one may tell. */
static void take_state(struct checkpoint_store *s, int from,
		       const struct checkpoint_told *m)
{
	if (from != s->phase.chosen)
		s->stats.faults[CHECKPOINT_FAULT_STRANGER]++;
	else if (s->phase.is_ended)
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
	else if (m->kind == CHECKPOINT_TELL_CHECKPOINT)
		take_checkpoint(s, m);
	else if (m->kind == CHECKPOINT_TELL_SECTION)
		take_section(s, m);
	else
		take_end(s, m);
}

/* They are of a state that may not be here yet: kept until all is. */
static void take_counts(struct checkpoint_store *s, int from,
			const struct checkpoint_told *m)
{
	struct checkpoint_sync *p = &s->phase;

	if (set_has(&p->counts_of, from)) {
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
		return;
	}
	p->counts[from] = malloc(m->length + 1);
	if (!p->counts[from]) {
		checkpoint_break(s, "has no memory for others' checkpoints");
		return;
	}
	memcpy(p->counts[from], m->data, m->length);
	p->counts_length[from] = m->length;
	set_add(&p->counts_of, from);
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct checkpoint_store *s = owner;
	struct checkpoint_told m;

	if (s->is_broken)
		return;
	if (from < 0 || from >= TOTEM_MAX_NODES || !set_has(&s->phase.members, from))
		s->stats.faults[CHECKPOINT_FAULT_STRANGER]++;
	else if (!checkpoint_told_read(&m, bytes, length))
		s->stats.faults[CHECKPOINT_FAULT_MESSAGE]++;
	else if (m.kind == CHECKPOINT_TELL_HEAD)
		take_head(s, from, &m);
	else if (!set_equal(s->phase.heads_of, s->phase.members))
		s->stats.faults[CHECKPOINT_FAULT_ORDER]++;
	else if (m.kind == CHECKPOINT_TELL_COUNTS)
		take_counts(s, from, &m);
	else
		take_state(s, from, &m);
}

/* --- the new state -------------------------------------------------------------- */

static bool is_whole(const struct checkpoint_sync *p)
{
	return set_equal(p->heads_of, p->members) &&
	       set_equal(p->counts_of, p->members) && p->is_ended;
}

/* C5: of members only; what they have open of a state that lost, they are told. */
static void refer(struct checkpoint_store *s, int node)
{
	const struct checkpoint_sync *p = &s->phase;

	for (size_t at = 0; at < p->counts_length[node]; at += CHECKPOINT_COUNT_BYTES) {
		struct checkpoint_count count = checkpoint_count_read(p->counts[node] + at);
		struct checkpoint *c = checkpoint_tree_find(&s->temp, &count.id);

		if (c)
			checkpoint_tree_refer(&s->temp, c, node, count.opens);
	}
}

static void make_live(struct checkpoint_store *s, bool is_quorate)
{
	const struct checkpoint_sync *p = &s->phase;

	for (int i = set_next(p->members, 0); i >= 0; i = set_next(p->members, i + 1))
		refer(s, i);
	if (is_quorate) {
		checkpoint_tree_reap_all(&s->temp);
		s->epoch = p->id;
	} else {
		s->epoch = p->heads[p->chosen].epoch;
	}
	checkpoint_tree_fini(&s->live);
	s->live = s->temp;
	checkpoint_tree_init(&s->temp);
	s->members = p->members;
}

static void on_activate(void *owner)
{
	struct checkpoint_store *s = owner;
	bool is_quorate = sync_is_quorate(s->sync), is_replaced;

	if (s->is_broken)
		return;
	if (!is_whole(&s->phase)) {
		checkpoint_break(s, "was told that all are synchronised, and lacks checkpoints");
		return;
	}
	if (is_quorate && is_outdated(s)) {
		s->stats.emptied++;
		checkpoint_tree_fini(&s->temp);
	}
	is_replaced = s->live.operations != s->temp.operations ||
		      s->live.history != s->temp.history;
	s->stats.activations++;
	s->stats.replaced += is_replaced;
	make_live(s, is_quorate);
	drop(s);
	s->is_active = true;
	s->is_syncing = s->is_transitional = false;
	checkpoint_handles_settle(s);
	if (is_quorate && !is_replaced)
		checkpoint_held_mark(s);
	else
		checkpoint_held_cancel(s);
	checkpoint_handles_tell(s);
	if (s->ops.activated && !s->is_broken)
		s->ops.activated(s->owner, is_replaced);
	checkpoint_go_on(s);
}

const struct sync_service_ops checkpoint_service_ops = {
	.init = on_init,
	.process = on_process,
	.deliver = on_deliver,
	.abort = on_abort,
	.activate = on_activate,
};
