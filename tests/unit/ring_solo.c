/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/ring_solo.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

static uint8_t packet[WIRE_MAX_PACKET];

static struct wire_context voice_of(const struct solo *s, int as)
{
	return (struct wire_context){ .nodes = &s->nodes,
				      .self = (uint32_t)as + 1,
				      .cluster = wire_cluster_hash("solo") };
}

/* --- its owner ------------------------------------------------------------------- */

static void note(struct solo *s, struct node_set to, const uint8_t *bytes,
		 size_t length)
{
	const struct wire_context ear = voice_of(s, s->self == 0 ? 1 : 0);
	struct solo_packet p = { .to = to.bits[0] };
	enum wire_fault fault;
	int from;

	assert_int_equal(wire_open(&ear, bytes, length, &p.type, &from), WIRE_OK);
	assert_int_equal(from, s->self);
	assert_true(s->out_count < SOLO_MAX_OUT);
	switch (p.type) {
	case WIRE_TOKEN:
		fault = wire_read_token(bytes, length, &p.token);
		s->token = p.token;
		break;
	case WIRE_DATA:
		fault = wire_read_data(&ear, bytes, length, &p.data);
		p.data.payload = NULL;
		break;
	case WIRE_JOIN:
		fault = wire_read_join(&ear, bytes, length, &p.join);
		break;
	case WIRE_COMMIT:
		fault = wire_read_commit(&ear, bytes, length, &s->commit);
		break;
	default:
		fault = wire_read_ring(bytes, length, &p.id);
		break;
	}
	assert_int_equal(fault, WIRE_OK);
	s->out[s->out_count++] = p;
}

static void op_send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	note(owner, set_of(to), bytes, length);
}

static void op_send_all(void *owner, struct node_set to, const uint8_t *bytes,
			size_t length)
{
	note(owner, to, bytes, length);
}

static size_t op_fill(void *owner, uint8_t *payload, size_t room, bool is_sync,
		      bool *is_safe)
{
	struct solo *s = owner;
	size_t length = min_u64(s->want_bytes, room);

	if (s->want == 0 || is_sync)
		return 0;
	s->want--;
	memset(payload, 's', length);
	*is_safe = s->want_safe;
	return length;
}

static size_t op_backlog(void *owner, bool is_sync)
{
	const struct solo *s = owner;

	return is_sync ? 0 : (size_t)s->want * s->want_bytes;
}

static void op_deliver(void *owner, const struct ring_message *m)
{
	struct solo *s = owner;

	assert_true(s->delivered_count < SOLO_MAX_OUT);
	s->delivered[s->delivered_count++] = m->seq;
	if (s->wants_again > 0) {
		s->wants_again--;
		s->want++;
		ring_wake(s->ring, s->now);
	}
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct solo *s = owner;

	if (c->is_transitional) {
		s->before_transitional = s->delivered_count;
		return;
	}
	s->regular = *c;
	s->id = c->ring;
	s->members = c->members.bits[0];
	s->high = max_u64(s->high, c->ring.seq);
	if (!s->is_slow)
		ring_synchronised(s->ring, s->now);
}

static void op_unplugged(void *owner)
{
	((struct solo *)owner)->unplugged++;
}

static void op_save_seq(void *owner, uint64_t seq)
{
	((struct solo *)owner)->save_seq = seq;
}

/* --- life ------------------------------------------------------------------------ */

struct solo *solo_new(int self, int count, const struct ring_config *config)
{
	static const struct ring_ops ops = {
		.send_one = op_send_one,
		.send_all = op_send_all,
		.fill = op_fill,
		.backlog = op_backlog,
		.deliver = op_deliver,
		.configured = op_configured,
		.unplugged = op_unplugged,
		.save_seq = op_save_seq,
	};
	struct ring_config c = config ? *config : (struct ring_config){ 0 };
	struct solo *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	for (s->nodes.count = 0; s->nodes.count < count; s->nodes.count++)
		s->nodes.ids[s->nodes.count] = (uint32_t)s->nodes.count + 1;
	s->self = self;
	s->now = 1000ull * SOLO_MS;
	s->high = SOLO_FIRST_SEQ;
	c.nodes = s->nodes;
	c.self = (uint32_t)self + 1;
	c.cluster = "solo";
	c.incarnation = 1;
	c.first_ring_seq = SOLO_FIRST_SEQ;
	c.token_ns = 1000ull * SOLO_MS;
	s->ring = ring_new(&c, &ops, s);
	assert_non_null(s->ring);
	ring_start(s->ring, s->now);
	solo_clear(s);
	return s;
}

void solo_free(struct solo *s)
{
	ring_free(s->ring);
	free(s);
}

void solo_clear(struct solo *s)
{
	s->out_count = s->delivered_count = 0;
	s->before_transitional = -1;
}

void solo_run(struct solo *s, uint64_t ms)
{
	uint64_t until = s->now + ms * SOLO_MS;

	while (ring_deadline(s->ring) <= until) {
		s->now = max_u64(s->now, ring_deadline(s->ring));
		ring_advance(s->ring, s->now);
	}
	s->now = until;
}

/* --- what others say --------------------------------------------------------------- */

void solo_say_join(struct solo *s, int from, struct wire_join join)
{
	const struct wire_context voice = voice_of(s, from);

	ring_receive(s->ring, s->now, packet,
		     wire_write_join(&voice, &join, packet));
}

void solo_join(struct solo *s, int from, uint64_t proc, uint64_t failed)
{
	solo_say_join(s, from, (struct wire_join){ .ring_seq = s->high,
						   .incarnation = 1,
						   .proc = { { proc } },
						   .failed = { { failed } } });
}

static int any_other(const struct solo *s)
{
	return s->self == 0 ? 1 : 0;
}

int solo_predecessor(const struct solo *s, struct node_set members)
{
	int i = s->self, count = s->nodes.count;

	do
		i = (i + count - 1) % count;
	while (!set_has(&members, i) && i != s->self);
	return i == s->self ? any_other(s) : i;
}

void solo_commit(struct solo *s, int from, const struct wire_commit *commit)
{
	const struct wire_context voice = voice_of(s, from);

	ring_receive(s->ring, s->now, packet,
		     wire_write_commit(&voice, commit, commit->members, packet));
}

void solo_token(struct solo *s, struct wire_token token)
{
	const struct wire_context voice = voice_of(s, solo_predecessor(s, s->commit.members));

	ring_receive(s->ring, s->now, packet,
		     wire_write_token(&voice, &token, packet));
}

void solo_data(struct solo *s, int from, struct wire_data data)
{
	const struct wire_context voice = voice_of(s, from);

	data.payload = (const uint8_t *)"text";
	data.length = 4;
	ring_receive(s->ring, s->now, packet,
		     wire_write_data(&voice, &data, packet));
}

void solo_name(struct solo *s, int from, enum wire_type type, struct ring_id id)
{
	const struct wire_context voice = voice_of(s, from);

	ring_receive(s->ring, s->now, packet,
		     wire_write_ring(&voice, type, id, packet));
}

/* --- the usual course ---------------------------------------------------------------- */

void solo_agree(struct solo *s, uint64_t proc, uint64_t failed)
{
	int i;

	for (i = 0; i < s->nodes.count; i++)
		if (i != s->self && ((proc & ~failed) >> i & 1))
			solo_join(s, i, proc, failed);
}

static int position_of(const struct wire_commit *c, int index)
{
	int i, position = 0;

	for (i = 0; i < index; i++)
		position += set_has(&c->members, i);
	return position;
}

struct wire_commit_entry *solo_entry(struct wire_commit *c, int index)
{
	return &c->entries[index];
}

void solo_to_commit(struct solo *s, uint64_t proc, uint64_t failed)
{
	struct wire_commit first = { .token_seq = 1,
				     .members = { { proc & ~failed } } };
	int rep = set_next(first.members, 0);

	solo_agree(s, proc, failed);
	if (rep != s->self) {
		first.ring = (struct ring_id){ (uint32_t)rep + 1, s->high + 1 };
		solo_entry(&first, rep)->is_filled = true;
		solo_commit(s, solo_predecessor(s, first.members), &first);
	}
	assert_int_equal(ring_state(s->ring), RING_COMMIT);
}

struct wire_commit solo_full_commit(const struct solo *s)
{
	struct wire_commit c = s->commit;
	int i;

	for (i = set_next(c.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(c.members, i + 1)) {
		struct wire_commit_entry *e = solo_entry(&c, i);

		if (i == s->self)
			continue;
		*e = *solo_entry(&c, s->self);
		e->have_count = 0;
		if (!(s->members >> i & 1))
			*e = (struct wire_commit_entry){
				.old_ring = { (uint32_t)i + 1, 7 },
				.is_filled = true
			};
	}
	c.token_seq += (uint64_t)set_count(c.members) - 1;
	return c;
}

void solo_to_recovery(struct solo *s, const struct wire_commit *full)
{
	struct wire_commit c = *full;

	if (set_next(c.members, 0) == s->self) {
		solo_commit(s, solo_predecessor(s, c.members), &c);
		c = s->commit;
		c.token_seq += (uint64_t)set_count(c.members) - 1;
	} else {
		c.round = 1;
		s->token = (struct wire_token){ .ring = c.ring };
	}
	solo_commit(s, solo_predecessor(s, c.members), &c);
	assert_int_equal(ring_state(s->ring), RING_RECOVERY);
}

void solo_round(struct solo *s)
{
	struct wire_token t = s->token;

	t.token_seq += (uint64_t)(t.token_seq == 0 ?
					  position_of(&s->commit, s->self) :
					  set_count(s->commit.members) - 1);
	if (t.aru_node == 0)
		t.aru = t.seq;
	if (ring_state(s->ring) == RING_OPERATIONAL)
		t.plugged.bits[0] |= (1ull << set_count(s->commit.members)) - 1;
	if (s->is_slow)
		set_remove(&t.plugged, position_of(&s->commit, s->self));
	solo_token(s, t);
}

void solo_form(struct solo *s, uint64_t proc, uint64_t failed)
{
	struct wire_commit full;
	int i;

	solo_to_commit(s, proc, failed);
	full = solo_full_commit(s);
	solo_to_recovery(s, &full);
	for (i = 0; i < 10 && ring_state(s->ring) == RING_RECOVERY; i++)
		solo_round(s);
	assert_int_equal(ring_state(s->ring), RING_OPERATIONAL);
	solo_round(s);
	solo_run(s, 5); /* a join may go out at once again */
	solo_clear(s);
}

int solo_count(const struct solo *s, enum wire_type type)
{
	int i, n = 0;

	for (i = 0; i < s->out_count; i++)
		n += s->out[i].type == type;
	return n;
}

const struct solo_packet *solo_last(const struct solo *s, enum wire_type type)
{
	int i;

	for (i = s->out_count - 1; i >= 0; i--)
		if (s->out[i].type == type)
			return &s->out[i];
	fail_msg("it sent no packet of type %d", (int)type);
	return NULL;
}

const struct ring_stats *solo_stats(const struct solo *s)
{
	return ring_stats(s->ring);
}
