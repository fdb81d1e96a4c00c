/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is told in the sync phase, as bytes and back.
 *
 * Messages, little endian, a kind byte, then
 *
 *	1 heads   incarnation u64, flags u8 (1 leaving), roster, count u16, count x head
 *	          by name, count u16, count x head of what all have left, count u32,
 *	          count x (id, member that is over)
 *	2 space   id, version, LVB bytes u8, slots u8, last ticket u32, generation
 *	          u32, thaw u32, count u8, count x member, count u8, count x (node
 *	          u32, last slot u16), name
 *	3 locks   id, what lock_table_save() wrote
 *	4 end     count u16, of lockspaces that this node told
 *
 * A head is: id, version, digest u64, length u8, name. A version: rep u32, ring seq
 * u64, operations u64. A member: node u32, incarnation
 * u64, opening u32, ticket u32, slot u8, serial u64, flags u8 (1 gone, 2 proven, 4 with
 * its node).
 */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/manager_sync.h"

enum {
	MEMBER_GONE = 1,
	MEMBER_PROVEN = 2,
	MEMBER_NODE_DEAD = 4,
	NODE_LEAVING = 1,

	HEAD_BYTES = SPACE_ID_BYTES + 20 + 8 + 1,
	MARK_BYTES = SPACE_ID_BYTES + TOLD_MEMBER_BYTES,
};

/* --- a lockspace ---------------------------------------------------------------------------- */

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

void told_space_write(struct wr *wr, const struct space *s)
{
	wr_u8(wr, TELL_SPACE);
	space_id_write(wr, s->id);
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

struct space *told_space_read(struct lock_manager *m, struct rd *rd,
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

/* --- heads ---------------------------------------------------------------------------------- */

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

static void write_marks(struct wr *wr, const struct lock_manager *m)
{
	wr_u32(wr, (uint32_t)count_marks(m));
	for (size_t i = 0; i < m->space_count; i++)
		for (size_t k = 0; k < m->spaces[i]->member_count; k++) {
			if (!is_marked(&m->spaces[i]->members[k]))
				continue;
			space_id_write(wr, m->spaces[i]->id);
			write_member(wr, &m->spaces[i]->members[k]);
		}
}

static void write_head(struct wr *wr, const struct space_head *head)
{
	space_id_write(wr, head->id);
	write_version(wr, &head->version);
	wr_u64(wr, head->digest);
	wr_u8(wr, head->name_length);
	wr_bytes(wr, head->name, head->name_length);
}

static struct space_head head_of(const struct space *s)
{
	struct space_head head = { .id = s->id, .version = s->version,
				   .digest = lock_table_digest(s->table),
				   .name_length = s->name_length };

	memcpy(head.name, s->name, s->name_length);
	return head;
}

void told_heads_write(struct wr *wr, const struct lock_manager *m)
{
	wr_u8(wr, TELL_HEADS);
	wr_u64(wr, m->config.incarnation);
	wr_u8(wr, m->is_leaving ? NODE_LEAVING : 0);
	wr_u64(wr, m->settled_on);
	roster_write(wr, &m->roster, &m->config.nodes);
	wr_u16(wr, (uint16_t)m->space_count);
	for (size_t i = 0; i < m->space_count; i++) {
		const struct space_head head = head_of(m->spaces[i]);

		write_head(wr, &head);
	}
	wr_u16(wr, (uint16_t)m->grave_count);
	for (size_t i = 0; i < m->grave_count; i++)
		write_head(wr, &m->graves[i]);
	write_marks(wr, m);
}

size_t told_heads_bytes(const struct lock_manager *m)
{
	return 1 + 8 + 1 + 8 + ROSTER_MAX_BYTES + 2 + 2 + 4 + count_marks(m) * MARK_BYTES +
	       (m->space_count + m->grave_count) * (HEAD_BYTES + LOCKSPACE_MAX_NAME);
}

static bool read_head(struct rd *rd, struct space_head *head)
{
	head->id = space_id_read(rd);
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
		    (i > 0 && !manager_heads_in_order(&heads->spaces[i - 1],
						      &heads->spaces[i])))
			return false;
		heads->count++;
	}
	return !rd->failed;
}

static bool read_graves(struct rd *rd, struct manager_heads *heads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!read_head(rd, &heads->graves[i]))
			return false;
		heads->graves[i].is_over = true;
	}
	heads->grave_count = count;
	return !rd->failed;
}

static bool read_marks(struct rd *rd, struct manager_heads *heads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		heads->marks[i].id = space_id_read(rd);
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

bool told_heads_read(struct lock_manager *m, struct rd *rd, struct manager_heads *heads,
		     struct roster *roster)
{
	size_t count;
	uint8_t flags;

	heads->incarnation = rd_u64(rd);
	flags = rd_u8(rd);
	heads->is_leaving = flags & NODE_LEAVING;
	heads->settled_on = rd_u64(rd);
	if (!roster_read(rd, roster, &m->config.nodes) || flags & ~NODE_LEAVING)
		return false;
	count = rd_u16(rd);
	if (rd->failed || count > LOCK_MANAGER_MAX_SPACES)
		return false;
	heads->spaces = allocate(m, count, sizeof(*heads->spaces));
	if (!heads->spaces || !read_spaces(rd, heads, count))
		return false;
	count = rd_u16(rd);
	if (rd->failed || count > LOCK_MANAGER_MAX_GRAVES)
		return false;
	heads->graves = allocate(m, count, sizeof(*heads->graves));
	if (!heads->graves || !read_graves(rd, heads, count))
		return false;
	count = rd_u32(rd);
	if (rd->failed || count != (rd->length - rd->at) / MARK_BYTES)
		return false;
	heads->marks = allocate(m, count, sizeof(*heads->marks));
	return heads->marks && read_marks(rd, heads, count);
}
