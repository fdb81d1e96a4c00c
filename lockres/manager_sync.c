/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sync service: all tell which lockspaces they have and how new these are; of each
 * the newest wins (M4), and one who has that tells it: who is in, and the locks if
 * somebody lacks them.
 *
 *	HEAD --told--> HEADS --all known--> STATE --told--> TOLD
 *
 * Messages, little endian, a kind byte, then
 *
 *	1 heads   incarnation u64, count u16, count x (id, version, digest u64,
 *	          length u8, name), count u32, count x (id, member that is over)
 *	2 space   id, version, LVB bytes u8, slots u8, last ticket u32, generation
 *	          u32, thaw u32, count u8, count x member, count u8, count x (node
 *	          u32, last slot u16), name
 *	3 locks   id, what lock_table_save() wrote
 *	4 end     count u16, of lockspaces that this node told
 *
 * A version is: rep u32, ring seq u64, operations u64. A member: node u32, incarnation
 * u64, opening u32, ticket u32, slot u8, serial u64, flags u8 (1 gone, 2 proven, 4 with
 * its node).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "lockres/manager_private.h"

enum {
	TELL_HEADS = 1,
	TELL_SPACE,
	TELL_LOCKS,
	TELL_END,

	MEMBER_GONE = 1,
	MEMBER_PROVEN = 2,
	MEMBER_NODE_DEAD = 4,

	HEAD_BYTES = 12 + 20 + 8 + 1,
	MEMBER_BYTES = 4 + 8 + 4 + 4 + 1 + 8 + 1,
	SPACE_BYTES = 1 + 12 + 20 + 1 + 1 + 4 + 4 + 4 + 1 + TOTEM_MAX_NODES * MEMBER_BYTES +
		      1 + TOTEM_MAX_NODES * 6 + LOCKSPACE_MAX_NAME,
	LOCKS_HEAD_BYTES = 1 + 12,
	LOCKS_BYTES = LOCKS_HEAD_BYTES + 256 * 1024, /* a message; more for one resource */
};

static void fault(struct lock_manager *m, enum lock_manager_fault f)
{
	m->stats.faults[f]++;
}

void manager_sync_drop(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		free(p->heads[i].spaces);
		free(p->heads[i].marks);
	}
	for (size_t i = 0; i < p->candidate_count; i++)
		space_free(p->candidates[i].temp);
	free(p->candidates);
	memset(p, 0, sizeof(*p));
}

/* --- codecs ------------------------------------------------------------------------------- */

static void write_id(struct wr *wr, struct space_id id)
{
	wr_u64(wr, id.ring_seq);
	wr_u32(wr, id.count);
}

static struct space_id read_id(struct rd *rd)
{
	struct space_id id;

	id.ring_seq = rd_u64(rd);
	id.count = rd_u32(rd);
	return id;
}

static void write_version(struct wr *wr, const struct space_version *v)
{
	wr_u32(wr, v->epoch.rep);
	wr_u64(wr, v->epoch.seq);
	wr_u64(wr, v->operations);
}

static struct space_version read_version(struct rd *rd)
{
	struct space_version v;

	v.epoch.rep = rd_u32(rd);
	v.epoch.seq = rd_u64(rd);
	v.operations = rd_u64(rd);
	return v;
}

static void write_member(struct wr *wr, const struct space_member *member)
{
	unsigned flags = (member->is_gone ? MEMBER_GONE : 0) |
			 (member->is_proven ? MEMBER_PROVEN : 0) |
			 (member->death == LOCK_DEATH_NODE ? MEMBER_NODE_DEAD : 0);

	wr_u32(wr, member->node);
	wr_u64(wr, member->incarnation);
	wr_u32(wr, member->opening);
	wr_u32(wr, member->ticket);
	wr_u8(wr, (uint8_t)member->slot);
	wr_u64(wr, member->serial);
	wr_u8(wr, (uint8_t)flags);
}

static struct space_member read_member(struct rd *rd)
{
	struct space_member member = { 0 };
	uint8_t flags;

	member.node = rd_u32(rd);
	member.incarnation = rd_u64(rd);
	member.opening = rd_u32(rd);
	member.ticket = rd_u32(rd);
	member.slot = rd_u8(rd);
	member.serial = rd_u64(rd);
	flags = rd_u8(rd);
	member.is_gone = flags & MEMBER_GONE;
	member.is_proven = flags & MEMBER_PROVEN;
	member.death = flags & MEMBER_NODE_DEAD ? LOCK_DEATH_NODE : LOCK_DEATH_PROCESS;
	return member;
}

static void write_last_slots(struct wr *wr, const struct space *s)
{
	const struct node_table *nodes = &s->manager->config.nodes;
	uint8_t count = 0;

	for (int i = 0; i < nodes->count; i++)
		if (s->last_slot[i] >= 0)
			count++;
	wr_u8(wr, count);
	for (int i = 0; i < nodes->count; i++) {
		if (s->last_slot[i] < 0)
			continue;
		wr_u32(wr, nodes->ids[i]);
		wr_u16(wr, (uint16_t)s->last_slot[i]);
	}
}

static void write_space(struct wr *wr, const struct space *s)
{
	wr_u8(wr, TELL_SPACE);
	write_id(wr, s->id);
	write_version(wr, &s->version);
	wr_u8(wr, (uint8_t)s->lvb_bytes);
	wr_u8(wr, (uint8_t)s->slots);
	wr_u32(wr, s->last_ticket);
	wr_u32(wr, s->generation);
	wr_u32(wr, s->thaw);
	wr_u8(wr, (uint8_t)s->member_count);
	for (size_t i = 0; i < s->member_count; i++)
		write_member(wr, &s->members[i]);
	write_last_slots(wr, s);
	wr_bytes(wr, s->name, s->name_length);
}

/* A member that can be: a slot that is there, of a node that is, after the last one. */
static bool take_member(struct space *s, const struct space_member *member)
{
	size_t count = s->member_count;

	if (node_index(&s->manager->config.nodes, member->node) == TOTEM_NO_INDEX ||
	    member->slot >= s->slots || space_member_of(s, member->node) ||
	    (count > 0 && member->slot <= s->members[count - 1].slot) ||
	    member->ticket > s->last_ticket)
		return false;
	s->members[s->member_count++] = *member;
	return true;
}

static bool read_members(struct rd *rd, struct space *s)
{
	uint8_t count = rd_u8(rd);

	if (count > TOTEM_MAX_NODES)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const struct space_member member = read_member(rd);

		if (rd->failed || !take_member(s, &member))
			return false;
	}
	count = rd_u8(rd);
	for (unsigned i = 0; i < count && !rd->failed; i++) {
		int node = node_index(&s->manager->config.nodes, rd_u32(rd));
		uint16_t slot = rd_u16(rd);

		if (node == TOTEM_NO_INDEX || slot >= s->slots)
			return false;
		s->last_slot[node] = (int16_t)slot;
	}
	return !rd->failed;
}

/* NULL: nobody may tell this, or (is_memory) there is none. */
static struct space *read_space(struct lock_manager *m, struct rd *rd,
				const struct space_head *head, bool *is_memory)
{
	struct space_version version = read_version(rd);
	uint32_t lvb_bytes = rd_u8(rd);
	int slots = rd_u8(rd);
	struct space *s;

	*is_memory = false;
	if (rd->failed || space_version_compare(&version, &head->version) != 0 ||
	    (lvb_bytes != LOCK_SMALL_LVB && lvb_bytes != LOCK_LARGE_LVB) || slots < 1 ||
	    slots > LOCKSPACE_MAX_SLOTS)
		return NULL;
	s = space_new(m, head->id, head->name, head->name_length, lvb_bytes, slots);
	*is_memory = !s;
	if (!s)
		return NULL;
	s->version = version;
	s->last_ticket = rd_u32(rd);
	s->generation = rd_u32(rd);
	s->thaw = rd_u32(rd);
	if (read_members(rd, s) && rd->length - rd->at == head->name_length &&
	    memcmp(rd->base + rd->at, head->name, head->name_length) == 0)
		return s;
	space_free(s);
	return NULL;
}

/* --- telling ------------------------------------------------------------------------------ */

static int tell(struct lock_manager *m, const void *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };
	int r = sync_tell(m->sync, SYNC_LOCKS, &part, 1);

	if (r < 0 && r != -EAGAIN)
		manager_break(m, "has no memory to tell its locks");
	return r;
}

static bool is_marked(const struct space_member *member)
{
	return member->is_gone || member->is_proven;
}

static size_t count_marks(const struct lock_manager *m)
{
	size_t count = 0;

	for (size_t i = 0; i < m->space_count; i++)
		for (size_t k = 0; k < m->spaces[i]->member_count; k++)
			count += is_marked(&m->spaces[i]->members[k]);
	return count;
}

static void write_marks(struct wr *wr, const struct lock_manager *m, size_t count)
{
	wr_u32(wr, (uint32_t)count);
	for (size_t i = 0; i < m->space_count; i++)
		for (size_t k = 0; k < m->spaces[i]->member_count; k++) {
			if (!is_marked(&m->spaces[i]->members[k]))
				continue;
			write_id(wr, m->spaces[i]->id);
			write_member(wr, &m->spaces[i]->members[k]);
		}
}

static void write_heads(struct wr *wr, const struct lock_manager *m)
{
	wr_u8(wr, TELL_HEADS);
	wr_u64(wr, m->config.incarnation);
	wr_u16(wr, (uint16_t)m->space_count);
	for (size_t i = 0; i < m->space_count; i++) {
		const struct space *s = m->spaces[i];

		write_id(wr, s->id);
		write_version(wr, &s->version);
		wr_u64(wr, lock_table_digest(s->table));
		wr_u8(wr, s->name_length);
		wr_bytes(wr, s->name, s->name_length);
	}
}

static int tell_heads(struct lock_manager *m)
{
	size_t marks = count_marks(m);
	size_t room = 1 + 8 + 2 + m->space_count * (HEAD_BYTES + LOCKSPACE_MAX_NAME) + 4 +
		      marks * (12 + MEMBER_BYTES);
	uint8_t *bytes = malloc(room);
	struct wr wr = wr_over(bytes, bytes ? room : 0);
	int r;

	if (!bytes) {
		manager_break(m, "has no memory to tell its locks");
		return -ENOMEM;
	}
	write_heads(&wr, m);
	write_marks(&wr, m, marks);
	r = tell(m, bytes, wr.at);
	free(bytes);
	return r;
}

/* The next part of a table; the cursor stays where -EAGAIN left it. */
static int tell_locks(struct lock_manager *m, const struct space *s, bool *has_more)
{
	uint64_t cursor = m->phase.cursor;
	size_t room = LOCKS_BYTES;
	uint8_t *bytes;
	struct wr wr;
	int r;

	do { /* a resource with thousands of locks needs more room */
		bytes = malloc(room);
		if (!bytes) {
			manager_break(m, "has no memory to tell its locks");
			return -ENOMEM;
		}
		cursor = m->phase.cursor;
		wr = wr_over(bytes, room);
		wr_u8(&wr, TELL_LOCKS);
		write_id(&wr, s->id);
		*has_more = lock_table_save(s->table, &cursor, &wr);
		room = SYNC_MAX_MESSAGE;
		if (*has_more && wr.at == LOCKS_HEAD_BYTES && wr.length < room)
			free(bytes);
		else
			break;
	} while (true);
	r = tell(m, bytes, wr.at);
	free(bytes);
	if (r == 0)
		m->phase.cursor = cursor;
	return r;
}

static int tell_space(struct lock_manager *m, const struct candidate *c)
{
	const struct space *s = space_find(m, c->head.id);
	uint8_t bytes[SPACE_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	bool has_more = c->needs_table;
	int r = 0;

	if (!m->phase.is_record_told) {
		write_space(&wr, s);
		r = tell(m, bytes, wr.at);
		m->phase.is_record_told = r == 0;
	}
	while (r == 0 && has_more)
		r = tell_locks(m, s, &has_more);
	return r;
}

static int tell_state(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	uint8_t bytes[3];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	uint16_t count = 0;

	for (; p->at < p->candidate_count; p->at++) {
		if (p->candidates[p->at].provider != m->self)
			continue;
		if (tell_space(m, &p->candidates[p->at]) < 0)
			return -EAGAIN;
		p->is_record_told = false;
		p->cursor = 0;
	}
	for (size_t i = 0; i < p->candidate_count; i++)
		if (p->candidates[i].provider == m->self)
			count++;
	wr_u8(&wr, TELL_END);
	wr_u16(&wr, count);
	return tell(m, bytes, wr.at);
}

static void find_partners(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	for (int i = set_next(p->members, 0); i >= 0; i = set_next(p->members, i + 1))
		set_put(&p->partners, i, sync_has_service(m->sync, i, SYNC_LOCKS));
}

static enum sync_progress process(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	if (p->phase == MANAGER_PHASE_HEAD) {
		find_partners(m);
		if (tell_heads(m) == 0)
			p->phase = MANAGER_PHASE_HEADS;
	}
	if (p->phase == MANAGER_PHASE_HEADS && set_equal(p->heads_of, p->partners))
		p->phase = set_has(&p->providers, m->self) ? MANAGER_PHASE_STATE :
							     MANAGER_PHASE_TOLD;
	if (p->phase == MANAGER_PHASE_STATE && tell_state(m) == 0)
		p->phase = MANAGER_PHASE_TOLD;
	if (p->phase == MANAGER_PHASE_HEADS)
		return SYNC_WAITS;
	return p->phase == MANAGER_PHASE_TOLD ? SYNC_DONE : SYNC_AGAIN;
}

/* --- choosing ------------------------------------------------------------------------------ */

static struct candidate *find_candidate(const struct manager_sync *p, struct space_id id)
{
	for (size_t i = 0; i < p->candidate_count; i++)
		if (space_id_equal(p->candidates[i].head.id, id))
			return &p->candidates[i];
	return NULL;
}

static struct candidate *named_candidate(const struct manager_sync *p,
					 const struct space_head *head)
{
	for (size_t i = 0; i < p->candidate_count; i++) {
		const struct space_head *other = &p->candidates[i].head;

		if (other->name_length == head->name_length &&
		    memcmp(other->name, head->name, head->name_length) == 0)
			return &p->candidates[i];
	}
	return NULL;
}

static const struct space_head *head_of(const struct manager_heads *heads,
					struct space_id id)
{
	for (size_t i = 0; i < heads->count; i++)
		if (space_id_equal(heads->spaces[i].id, id))
			return &heads->spaces[i];
	return NULL;
}

/* One lockspace a name: the newest; of equal ones that of the lowest index. */
static void propose(struct manager_sync *p, int node, const struct space_head *head)
{
	struct candidate *c = named_candidate(p, head);

	if (!c)
		c = &p->candidates[p->candidate_count++];
	else if (space_version_compare(&head->version, &c->head.version) <= 0)
		return;
	*c = (struct candidate){ .head = *head, .provider = node };
}

/* How many have this state of it, with this digest. */
static int count_equal(const struct manager_sync *p, const struct space_head *head)
{
	int count = 0;

	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *other = head_of(&p->heads[i], head->id);

		count += other && other->digest == head->digest &&
			 space_version_compare(&other->version, &head->version) == 0;
	}
	return count;
}

/*
 * M6: of those who have the newest state, what most have; who has another is named,
 * and this node, if it is the one, leaves.
 */
static void settle_digest(struct lock_manager *m, struct candidate *c)
{
	struct manager_sync *p = &m->phase;
	struct candidate best = *c;
	int most = count_equal(p, &c->head);

	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = head_of(&p->heads[i], c->head.id);

		if (!head || space_version_compare(&head->version, &c->head.version) != 0)
			continue;
		if (count_equal(p, head) > most) {
			most = count_equal(p, head);
			best.head = *head;
			best.provider = i;
		}
	}
	*c = best;
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = head_of(&p->heads[i], c->head.id);
		bool is_same_version =
			head && space_version_compare(&head->version, &c->head.version) == 0;
		bool is_equal = is_same_version && head->digest == c->head.digest;

		c->needs_table |= !is_equal;
		if (!is_same_version || is_equal)
			continue;
		m->stats.diverged++;
		p->is_deviant |= i == m->self;
		manager_tell_diverged(m, i, &c->head);
	}
}

static void choose(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	size_t room = 0;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		room += p->heads[i].count;
	p->candidates = calloc(room + 1, sizeof(*p->candidates));
	if (!p->candidates) {
		manager_break(m, "has no memory for others' locks");
		return;
	}
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		for (size_t k = 0; k < p->heads[i].count; k++)
			propose(p, i, &p->heads[i].spaces[k]);
	for (size_t k = 0; k < p->candidate_count; k++) {
		settle_digest(m, &p->candidates[k]);
		set_add(&p->providers, p->candidates[k].provider);
	}
	if (p->is_deviant)
		manager_break(m, "has a lock table that differs from the others'");
}

/* --- hearing ------------------------------------------------------------------------------- */

static bool read_head(struct rd *rd, struct space_head *head)
{
	head->id = read_id(rd);
	head->version = read_version(rd);
	head->digest = rd_u64(rd);
	head->name_length = rd_u8(rd);
	if (rd->failed || head->name_length < 1 || head->name_length > LOCKSPACE_MAX_NAME)
		return false;
	rd_bytes(rd, head->name, head->name_length);
	return !rd->failed;
}

static bool read_spaces(struct rd *rd, struct manager_heads *heads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!read_head(rd, &heads->spaces[i]) ||
		    head_of(heads, heads->spaces[i].id))
			return false;
		heads->count++;
	}
	return !rd->failed;
}

static bool read_marks(struct rd *rd, struct manager_heads *heads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		heads->marks[i].id = read_id(rd);
		heads->marks[i].member = read_member(rd);
	}
	heads->mark_count = count;
	return !rd->failed && rd->at == rd->length;
}

static void *allocate(struct lock_manager *m, size_t count, size_t size)
{
	void *list = calloc(count + 1, size);

	if (!list)
		manager_break(m, "has no memory for others' locks");
	return list;
}

/* False: damaged, or this node is broken. */
static bool read_heads(struct lock_manager *m, struct rd *rd, struct manager_heads *heads)
{
	size_t count;

	heads->incarnation = rd_u64(rd);
	count = rd_u16(rd);
	if (rd->failed || count > LOCK_MANAGER_MAX_SPACES)
		return false;
	heads->spaces = allocate(m, count, sizeof(*heads->spaces));
	if (!heads->spaces || !read_spaces(rd, heads, count))
		return false;
	count = rd_u32(rd);
	if (rd->failed || count != (rd->length - rd->at) / (12 + MEMBER_BYTES))
		return false;
	heads->marks = allocate(m, count, sizeof(*heads->marks));
	return heads->marks && read_marks(rd, heads, count);
}

static void take_heads(struct lock_manager *m, int from, struct rd *rd)
{
	struct manager_sync *p = &m->phase;
	struct manager_heads *heads = &p->heads[from];

	if (set_has(&p->heads_of, from)) {
		fault(m, LOCK_FAULT_ORDER);
		return;
	}
	if (!read_heads(m, rd, heads)) {
		fault(m, LOCK_FAULT_MESSAGE);
		free(heads->spaces);
		free(heads->marks);
		*heads = (struct manager_heads){ 0 };
		return;
	}
	set_add(&p->heads_of, from);
	if (set_equal(p->heads_of, p->partners)) {
		choose(m);
		sync_go_on(m->sync);
	}
}

/* What this node has of it is what was chosen. */
static bool is_kept(const struct lock_manager *m, const struct candidate *c)
{
	const struct space_head *own = head_of(&m->phase.heads[m->self], c->head.id);

	return own && own->digest == c->head.digest &&
	       space_version_compare(&own->version, &c->head.version) == 0;
}

/* Of the one who was chosen to tell it; else NULL, and counted. */
static struct candidate *candidate_of(struct lock_manager *m, int from, struct rd *rd)
{
	struct candidate *c = find_candidate(&m->phase, read_id(rd));

	if (rd->failed) {
		fault(m, LOCK_FAULT_MESSAGE);
		return NULL;
	}
	if (!c || c->provider != from) {
		fault(m, c ? LOCK_FAULT_STRANGER : LOCK_FAULT_SPACE);
		return NULL;
	}
	if (set_has(&m->phase.ended, from)) {
		fault(m, LOCK_FAULT_ORDER);
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
		fault(m, LOCK_FAULT_ORDER);
		return;
	}
	c->temp = read_space(m, rd, &c->head, &is_memory);
	if (is_memory)
		manager_break(m, "has no memory for others' locks");
	else if (!c->temp)
		fault(m, LOCK_FAULT_MESSAGE);
}

static void take_locks(struct lock_manager *m, int from, struct rd *rd)
{
	struct candidate *c = candidate_of(m, from, rd);
	int r;

	if (!c)
		return;
	if (!c->temp || !c->needs_table) {
		fault(m, LOCK_FAULT_ORDER);
		return;
	}
	if (is_kept(m, c))
		return;
	r = lock_table_load(c->temp->table, rd);
	if (r == -ENOMEM)
		manager_break(m, "has no memory for others' locks");
	else if (r < 0)
		fault(m, LOCK_FAULT_MESSAGE);
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
		fault(m, LOCK_FAULT_ORDER);
	else
		set_add(&p->ended, from);
}

static void take(struct lock_manager *m, int from, struct rd *rd)
{
	const struct manager_sync *p = &m->phase;
	uint8_t kind = rd_u8(rd);

	if (from < 0 || from >= TOTEM_MAX_NODES || !set_has(&p->members, from))
		fault(m, LOCK_FAULT_STRANGER);
	else if (rd->failed || kind < TELL_HEADS || kind > TELL_END)
		fault(m, LOCK_FAULT_MESSAGE);
	else if (kind == TELL_HEADS)
		take_heads(m, from, rd);
	else if (!set_equal(p->heads_of, p->partners))
		fault(m, LOCK_FAULT_ORDER);
	else if (kind == TELL_SPACE)
		take_space(m, from, rd);
	else if (kind == TELL_LOCKS)
		take_locks(m, from, rd);
	else
		take_end(m, from, rd);
}

/* --- the new state ------------------------------------------------------------------------- */

/* All that was chosen is here, and is what its head said. */
static bool is_whole(const struct lock_manager *m)
{
	const struct manager_sync *p = &m->phase;

	if (!set_equal(p->heads_of, p->partners) || !set_is_subset(p->providers, p->ended))
		return false;
	for (size_t i = 0; i < p->candidate_count; i++) {
		const struct candidate *c = &p->candidates[i];

		if (!c->temp || (!is_kept(m, c) &&
				 lock_table_digest(c->temp->table) != c->head.digest))
			return false;
	}
	return true;
}

static struct space *find_old(struct space *const *old, size_t count, struct space_id id)
{
	for (size_t i = 0; i < count; i++)
		if (old[i] && space_id_equal(old[i]->id, id))
			return old[i];
	return NULL;
}

/* What was told of it, but for the locks: these it has. */
static void update(struct space *old, struct space *told)
{
	struct lock_table *table = old->table;
	struct lock_table *empty = told->table;
	bool is_taken = old->is_taken;

	*old = *told;
	old->is_taken = is_taken;
	old->table = table;
	told->table = empty;
	space_free(told);
}

static void take_over(struct lock_manager *m, struct candidate *c, struct space **old,
		      size_t old_count)
{
	struct space *s = c->temp;
	struct space *own = find_old(old, old_count, s->id);

	c->temp = NULL;
	if (is_kept(m, c)) {
		update(own, s);
		for (size_t i = 0; i < old_count; i++)
			old[i] = old[i] == own ? NULL : old[i];
		m->stats.kept++;
		space_insert(m, own);
	} else {
		s->is_taken = true;
		m->stats.taken++;
		space_insert(m, s);
	}
}

static void mark(struct lock_manager *m, const struct space_mark *told)
{
	struct space *s = space_find(m, told->id);
	struct space_member *member = s ? space_member_of(s, told->member.node) : NULL;

	if (!member || member->incarnation != told->member.incarnation ||
	    member->opening != told->member.opening)
		return;
	member->is_gone |= told->member.is_gone;
	if (told->member.is_proven && !member->is_proven)
		member->death = told->member.death;
	member->is_proven |= told->member.is_proven;
	if (told->member.death == LOCK_DEATH_NODE)
		member->death = LOCK_DEATH_NODE;
}

/*
 * A frozen lockspace has no newer state for it that a member is over: what any node knows
 * of that counts.
 */
static void mark_all(struct lock_manager *m)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		for (size_t k = 0; k < m->phase.heads[i].mark_count; k++)
			mark(m, &m->phase.heads[i].marks[k]);
}

static void make_live(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	struct space *old[LOCK_MANAGER_MAX_SPACES];
	size_t count = m->space_count;

	memcpy(old, m->spaces, sizeof(old));
	m->space_count = 0;
	for (size_t i = 0; i < p->candidate_count; i++)
		take_over(m, &p->candidates[i], old, count);
	while (count > 0)
		space_free(old[--count]);
	m->ring = p->ring;
	m->made = 0;
	m->members = p->partners;
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		m->incarnations[i] = p->heads[i].incarnation;
		m->deaths[i].is_said = false;
	}
}

/* Who is not here as the process that it was. */
static void find_missing(struct lock_manager *m, struct space *s)
{
	for (size_t i = 0; i < s->member_count; i++) {
		struct space_member *member = &s->members[i];
		int node = node_index(&m->config.nodes, member->node);

		member->is_missing = !set_has(&m->members, node) ||
				     m->incarnations[node] != member->incarnation;
	}
}

static void prepare(struct handle *h)
{
	const struct notice n = { .kind = NOTICE_PREP, .handle = h };

	if (h->state != HANDLE_MEMBER || h->is_prepped)
		return;
	h->is_prepped = true;
	h->manager->stats.freezes++;
	notice_add(h->manager, &n);
}

static void prepare_if_stopped(struct lock_manager *m, struct handle *h)
{
	bool is_stopped = !sync_is_quorate(m->sync);

	if (!h->space)
		return;
	for (size_t i = 0; i < h->space->member_count; i++)
		is_stopped |= h->space->members[i].is_missing;
	if (is_stopped)
		prepare(h);
}

static void go_live(struct lock_manager *m)
{
	struct handle *h;

	make_live(m);
	mark_all(m);
	manager_sync_drop(m);
	m->is_active = m->has_ghosts = true;
	m->is_syncing = m->is_ending = false;
	for (size_t i = 0; i < m->space_count; i++)
		find_missing(m, m->spaces[i]);
	qb_list_for_each_entry(h, &m->handles, link) {
		handle_settle(h);
		prepare_if_stopped(m, h);
	}
	m->is_considering = true; /* the groups are told next who is there */
}

/* --- the service --------------------------------------------------------------------------- */

static void on_ending(void *owner)
{
	struct lock_manager *m = owner;

	m->is_ending = true;
}

/* A member of ours is not there any more: that is told before anything else. */
static void prepare_if_left(struct handle *h, const struct sync_configuration *c)
{
	const struct node_table *nodes = &h->manager->config.nodes;

	for (size_t i = 0; h->space && i < h->space->member_count; i++)
		if (!set_has(&c->members, node_index(nodes, h->space->members[i].node)))
			prepare(h);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct lock_manager *m = owner;
	struct handle *h;

	manager_enter(m);
	manager_sync_drop(m);
	m->phase.ring = c->id;
	m->phase.members = c->members;
	m->is_syncing = true;
	qb_list_for_each_entry(h, &m->handles, link)
		prepare_if_left(h, c);
	for (size_t i = 0; i < m->space_count; i++)
		m->spaces[i]->is_frozen = true;
	manager_leave(m);
}

static enum sync_progress on_process(void *owner)
{
	struct lock_manager *m = owner;

	return m->is_broken ? SYNC_AGAIN : process(m);
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct lock_manager *m = owner;
	struct rd rd = rd_over(bytes, length);

	if (!m->is_broken)
		take(m, from, &rd);
}

static void on_abort(void *owner)
{
	manager_sync_drop(owner);
}

static void on_activate(void *owner)
{
	struct lock_manager *m = owner;

	if (m->is_broken)
		return;
	manager_enter(m);
	if (is_whole(m))
		go_live(m);
	else
		manager_break(m, "was told that all are synchronised, and lacks locks");
	manager_leave(m);
}

const struct sync_service_ops manager_service_ops = {
	.ending = on_ending,
	.init = on_init,
	.process = on_process,
	.deliver = on_deliver,
	.abort = on_abort,
	.activate = on_activate,
};
