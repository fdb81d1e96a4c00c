/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others tell in the sync phase: believed of those who were chosen to tell it. */
#include <errno.h>
#include <stdlib.h>

#include "base/codec.h"
#include "lockres/manager_sync.h"

static void take_heads(struct lock_manager *m, int from, struct rd *rd)
{
	struct manager_sync *p = &m->phase;
	struct manager_heads *heads = &p->heads[from];
	struct roster roster;

	if (set_has(&p->heads_of, from)) {
		manager_fault(m, LOCK_FAULT_ORDER);
		return;
	}
	if (told_heads_read(m, rd, heads, &roster)) {
		roster_merge(&p->roster, &roster);
		if (heads->settled_on > p->settled_on)
			p->settled_on = heads->settled_on;
	} else {
		manager_fault(m, LOCK_FAULT_MESSAGE);
		free(heads->spaces);
		free(heads->graves);
		free(heads->marks);
		*heads = (struct manager_heads){ 0 };
	}
	set_add(&p->heads_of, from); /* or all wait for it, and none of them is to blame */
	if (set_equal(p->heads_of, p->partners) && !m->is_broken) {
		manager_choose(m);
		sync_go_on(m->sync);
	}
}

/* Of the one who was chosen to tell it; else NULL, and counted. */
static struct candidate *candidate_of(struct lock_manager *m, int from, struct rd *rd)
{
	struct candidate *c = manager_candidate(&m->phase, space_id_read(rd));

	if (rd->failed) {
		manager_fault(m, LOCK_FAULT_MESSAGE);
		return NULL;
	}
	if (!c || c->provider != from) {
		manager_fault(m, c ? LOCK_FAULT_STRANGER : LOCK_FAULT_SPACE);
		return NULL;
	}
	if (set_has(&m->phase.ended, from)) {
		manager_fault(m, LOCK_FAULT_ORDER);
		return NULL;
	}
	return c;
}

static void take_space(struct lock_manager *m, int from, struct rd *rd)
{
	struct candidate *c = candidate_of(m, from, rd);
	bool is_memory;

	if (!c)
		return;
	if (c->temp) {
		manager_fault(m, LOCK_FAULT_ORDER);
		return;
	}
	c->temp = told_space_read(m, rd, &c->head, &is_memory);
	if (is_memory)
		manager_break(m, "has no memory for others' locks");
	else if (!c->temp)
		manager_fault(m, LOCK_FAULT_MESSAGE);
}

static void take_locks(struct lock_manager *m, int from, struct rd *rd)
{
	struct candidate *c = candidate_of(m, from, rd);
	int r;

	if (!c)
		return;
	if (!c->temp || !c->needs_table) {
		manager_fault(m, LOCK_FAULT_ORDER);
		return;
	}
	if (manager_keeps(m, c))
		return;
	r = lock_table_load(c->temp->table, rd);
	if (r == -ENOMEM)
		manager_break(m, "has no memory for others' locks");
	else if (r < 0)
		manager_fault(m, LOCK_FAULT_MESSAGE);
}

static void take_end(struct lock_manager *m, int from, struct rd *rd)
{
	struct manager_sync *p = &m->phase;
	uint16_t count = rd_u16(rd), told = 0;

	for (size_t i = 0; i < p->candidate_count; i++)
		if (p->candidates[i].provider == from && p->candidates[i].temp)
			told++;
	if (rd->failed || rd->at != rd->length || count != told ||
	    set_has(&p->ended, from))
		manager_fault(m, LOCK_FAULT_ORDER);
	else
		set_add(&p->ended, from);
}

void manager_hear(struct lock_manager *m, int from, struct rd *rd)
{
	const struct manager_sync *p = &m->phase;
	uint8_t kind = rd_u8(rd);

	if (from < 0 || from >= TOTEM_MAX_NODES || !set_has(&p->members, from))
		manager_fault(m, LOCK_FAULT_STRANGER);
	else if (rd->failed || kind < TELL_HEADS || kind > TELL_END)
		manager_fault(m, LOCK_FAULT_MESSAGE);
	else if (kind == TELL_HEADS)
		take_heads(m, from, rd);
	else if (!set_equal(p->heads_of, p->partners))
		manager_fault(m, LOCK_FAULT_ORDER);
	else if (kind == TELL_SPACE)
		take_space(m, from, rd);
	else if (kind == TELL_LOCKS)
		take_locks(m, from, rd);
	else
		take_end(m, from, rd);
}
