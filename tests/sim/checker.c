/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/checker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

/*
 * One message of one ring, as somebody delivered it; and the reverse, under
 * ring {0, 0}: where the message of this id was delivered.
 */
struct fact {
	struct ring_id ring;
	uint64_t seq; /* 0: free */
	uint64_t id;
};

/* One ring, as its members installed it. */
struct ring_fact {
	struct ring_id id;
	struct node_set members;
	struct node_set installed_by, synchronised_by, left_by;
	uint64_t first_seq;  /* of all that is delivered on it; 0: none yet */
	uint64_t safe_max;   /* delivered as safe in the regular configuration */
	uint64_t left_at[SIM_MAX_NODES]; /* last delivered by those who left */
};

/* What was delivered on the way from one ring to the next (E3). */
struct passage {
	struct ring_id from, to;
	struct node_set trans;
	uint64_t before; /* digest up to the transitional configuration */
	uint64_t whole;  /* digest up to the next regular one */
};

/* One life of a node. */
struct life {
	bool is_alive;
	struct ring_id ring;       /* installed; {0, 0}: none yet */
	struct node_set members;
	uint64_t last_ring_seq;    /* survives restarts */
	uint64_t last_seq;         /* delivered on this ring */
	bool is_unplugged;
	bool is_transitional;
	bool is_behind_hole;       /* in the transitional configuration */
	struct node_set trans;
	uint64_t digest, before;
	uint64_t sent_pending;     /* own messages not delivered yet */
	uint64_t *pending;         /* their ids */
	size_t pending_room;
	uint64_t deliveries, installs;
};

struct sim_checker {
	struct sim_world *world;
	struct life lives[SIM_MAX_NODES];
	struct fact *facts; /* open addressing, power of two */
	size_t fact_room, fact_count;
	struct ring_fact *rings;
	size_t ring_count, ring_room;
	struct passage *passages;
	size_t passage_count, passage_room;
};

struct sim_checker *checker_new(struct sim_world *w)
{
	struct sim_checker *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->world = w;
	c->fact_room = 4096;
	c->facts = calloc(c->fact_room, sizeof(*c->facts));
	return c;
}

void checker_free(struct sim_checker *c)
{
	int i;

	for (i = 0; i < SIM_MAX_NODES; i++)
		free(c->lives[i].pending);
	free(c->facts);
	free(c->rings);
	free(c->passages);
	free(c);
}

static void *grown(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? 2 * *room : 64;
	list = realloc(list, *room * size);
	if (!list)
		abort();
	return list;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

static struct fact *find_fact(struct fact *facts, size_t room,
			      struct ring_id ring, uint64_t seq)
{
	size_t at = mix(mix(ring.seq, ring.rep), seq) & (room - 1);

	while (facts[at].seq && (facts[at].seq != seq ||
				 !ring_id_equal(facts[at].ring, ring)))
		at = (at + 1) & (room - 1);
	return &facts[at];
}

static void grow_facts(struct sim_checker *c)
{
	size_t room = 2 * c->fact_room, i;
	struct fact *facts = calloc(room, sizeof(*facts));

	if (!facts)
		abort();
	for (i = 0; i < c->fact_room; i++)
		if (c->facts[i].seq)
			*find_fact(facts, room, c->facts[i].ring,
				   c->facts[i].seq) = c->facts[i];
	free(c->facts);
	c->facts = facts;
	c->fact_room = room;
}

static struct ring_fact *ring_of(struct sim_checker *c, struct ring_id id)
{
	size_t i = c->ring_count;

	while (i-- > 0) /* the newest are asked for most */
		if (ring_id_equal(c->rings[i].id, id))
			return &c->rings[i];
	c->rings = grown(c->rings, c->ring_count, &c->ring_room,
			 sizeof(*c->rings));
	memset(&c->rings[c->ring_count], 0, sizeof(*c->rings));
	c->rings[c->ring_count].id = id;
	return &c->rings[c->ring_count++];
}

void checker_started(struct sim_checker *c, int node)
{
	struct life *l = &c->lives[node];
	uint64_t last = l->last_ring_seq;

	free(l->pending);
	memset(l, 0, sizeof(*l));
	l->is_alive = true;
	l->last_ring_seq = last;
}

void checker_crashed(struct sim_checker *c, int node)
{
	c->lives[node].is_alive = false;
}

void checker_sent(struct sim_checker *c, int node, uint64_t id)
{
	struct life *l = &c->lives[node];

	l->pending = grown(l->pending, l->sent_pending, &l->pending_room,
			   sizeof(*l->pending));
	l->pending[l->sent_pending++] = id;
}

/* E1: nobody else's message, and each once. */
static void check_own(struct sim_checker *c, int node, uint64_t id)
{
	struct life *l = &c->lives[node];

	/* own messages come back in the order in which they were sent */
	if (l->sent_pending == 0 || l->pending[0] != id) {
		sim_fail(c->world, "E1/E2: n%d delivers its message %" PRIx64 " out of order, twice, or after one that it lost",
			 node + 1, id);
		return;
	}
	l->sent_pending--;
	memmove(l->pending, l->pending + 1,
		l->sent_pending * sizeof(*l->pending));
}

/* E4, at the moment of delivery: all have installed it, who left had it. */
static void check_safe(struct sim_checker *c, int node,
		       const struct ring_message *m)
{
	struct ring_fact *r = ring_of(c, m->ring);
	int i;

	if (m->seq > r->safe_max)
		r->safe_max = m->seq;
	for (i = set_next(r->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(r->members, i + 1)) {
		if (!set_has(&r->installed_by, i))
			sim_fail(c->world,
				 "E4: n%d delivers %" PRIu64 " as safe on n%u.%" PRIu64
				 ", which n%d never installed",
				 node + 1, m->seq, m->ring.rep, m->ring.seq, i + 1);
		if (set_has(&r->left_by, i) && r->left_at[i] < m->seq)
			sim_fail(c->world,
				 "E4: n%d delivers %" PRIu64 " as safe on n%u.%" PRIu64
				 ", which n%d has left without it",
				 node + 1, m->seq, m->ring.rep, m->ring.seq, i + 1);
	}
}

/* E1: what was sent, by whom, unharmed, and only here. */
static void check_content(struct sim_checker *c, int node,
			  const struct ring_message *m, uint64_t id)
{
	const struct ring_id nowhere = { 0, 0 };
	uint64_t place = mix(mix(m->ring.seq, m->ring.rep), m->seq);
	struct fact *f = find_fact(c->facts, c->fact_room, m->ring, m->seq);

	if (!sim_is_sent(c->world, id) || (id >> 48) != m->origin ||
	    m->payload[m->length - 1] != (uint8_t)(m->length > sizeof(id) ? id : id >> 56))
		sim_fail(c->world, "E1: n%d delivers a message that n%u did not send",
			 node + 1, m->origin);
	if (f->seq == 0) {
		c->fact_count++;
		*f = (struct fact){ m->ring, m->seq, id };
	} else if (f->id != id) {
		sim_fail(c->world, "E1: n%d delivers another message than others as %" PRIu64 " of n%u.%" PRIu64,
			 node + 1, m->seq, m->ring.rep, m->ring.seq);
	}
	f = find_fact(c->facts, c->fact_room, nowhere, id);
	if (f->seq == 0) {
		c->fact_count++;
		*f = (struct fact){ nowhere, id, place };
	} else if (f->id != place) {
		sim_fail(c->world, "E1: n%d delivers %" PRIx64 " as %" PRIu64 " of n%u.%" PRIu64 " and it has another place, too",
			 node + 1, id, m->seq, m->ring.rep, m->ring.seq);
	}
}

/* E1: the order, and the gaps that may be. */
static void check_order(struct sim_checker *c, int node,
			const struct ring_message *m)
{
	struct life *l = &c->lives[node];
	struct ring_fact *r = ring_of(c, m->ring);
	int origin = (int)m->origin - 1;

	if (m->seq <= l->last_seq)
		sim_fail(c->world, "E1: n%d delivers %" PRIu64 " after %" PRIu64,
			 node + 1, m->seq, l->last_seq);
	if (r->first_seq == 0 && !l->is_transitional)
		r->first_seq = m->seq;
	if (m->seq != (l->last_seq ? l->last_seq + 1 : r->first_seq))
		l->is_behind_hole = true;
	if (l->is_behind_hole && !l->is_transitional)
		sim_fail(c->world, "E1: n%d leaves a gap before %" PRIu64
			 " in a regular configuration", node + 1, m->seq);
	/* it may depend on what is missing, unless we know what its sender had */
	if (r->first_seq && l->is_behind_hole && !set_has(&l->trans, origin))
		sim_fail(c->world, "E1: n%d delivers %" PRIu64 " of n%u, that left, behind a hole",
			 node + 1, m->seq, m->origin);
}

/* The plug: first all synchronise, then all else flows. */
static void check_plug(struct sim_checker *c, int node,
		       const struct ring_message *m)
{
	const struct ring_fact *r = ring_of(c, m->ring);

	if (m->is_sync == c->lives[node].is_unplugged)
		sim_fail(c->world, "plug: n%d delivers %" PRIu64 " %s it is unplugged",
			 node + 1, m->seq, m->is_sync ? "when" : "before");
	if (!m->is_sync && !set_is_subset(r->members, r->synchronised_by))
		sim_fail(c->world, "plug: n%d delivers %" PRIu64 " and not all have synchronised",
			 node + 1, m->seq);
}

void checker_delivered(struct sim_checker *c, int node,
		       const struct ring_message *m)
{
	struct life *l = &c->lives[node];
	uint64_t id;

	if (m->length < sizeof(id)) {
		sim_fail(c->world, "E1: n%d delivers a piece of a message", node + 1);
		return;
	}
	if (2 * (c->fact_count + 2) > c->fact_room)
		grow_facts(c);
	memcpy(&id, m->payload, sizeof(id));
	if (!ring_id_equal(m->ring, l->ring))
		sim_fail(c->world, "E3: n%d delivers a message of a ring that it is not on",
			 node + 1);
	check_content(c, node, m, id);
	check_order(c, node, m);
	check_plug(c, node, m);
	if (m->origin == (uint32_t)node + 1)
		check_own(c, node, id);
	if (m->is_safe && !l->is_transitional)
		check_safe(c, node, m);
	l->last_seq = m->seq;
	l->digest = mix(mix(l->digest, m->seq), id);
	l->deliveries++;
}

void checker_synchronised(struct sim_checker *c, int node)
{
	set_add(&ring_of(c, c->lives[node].ring)->synchronised_by, node);
}

void checker_unplugged(struct sim_checker *c, int node)
{
	c->lives[node].is_unplugged = true;
}

/* E3: who goes the same way knows of each other, and has delivered the same. */
static void check_companion(struct sim_checker *c, int node,
			    const struct passage *p)
{
	const struct life *l = &c->lives[node];
	bool is_same = ring_id_equal(p->from, l->ring);

	if (is_same != set_has(&p->trans, node) ||
	    (is_same && !set_equal(p->trans, l->trans)))
		sim_fail(c->world, "E3: n%d goes from n%u.%" PRIu64 " to n%u.%" PRIu64 " with others than they think",
			 node + 1, l->ring.rep, l->ring.seq, p->to.rep, p->to.seq);
	else if (is_same && (p->before != l->before || p->whole != l->digest))
		sim_fail(c->world, "E3: n%d goes from n%u.%" PRIu64 " to n%u.%" PRIu64
			 " having delivered other messages than its companions",
			 node + 1, l->ring.rep, l->ring.seq, p->to.rep, p->to.seq);
}

static void check_passage(struct sim_checker *c, int node, struct ring_id to)
{
	struct life *l = &c->lives[node];
	bool is_known = false;
	size_t i;

	for (i = 0; i < c->passage_count; i++) {
		if (!ring_id_equal(c->passages[i].to, to))
			continue;
		check_companion(c, node, &c->passages[i]);
		if (ring_id_equal(c->passages[i].from, l->ring))
			is_known = true;
	}
	if (is_known)
		return;
	c->passages = grown(c->passages, c->passage_count, &c->passage_room,
			    sizeof(*c->passages));
	c->passages[c->passage_count++] = (struct passage){
		l->ring, to, l->trans, l->before, l->digest
	};
}

/* E4, when it leaves the ring: what others delivered as safe, it delivered. */
static void check_left_ring(struct sim_checker *c, int node)
{
	struct life *l = &c->lives[node];
	struct ring_fact *r = ring_of(c, l->ring);

	if (l->sent_pending)
		sim_fail(c->world, "E2: n%d leaves n%u.%" PRIu64 " without having delivered its own message %" PRIx64,
			 node + 1, l->ring.rep, l->ring.seq, l->pending[0]);
	if (r->safe_max > l->last_seq)
		sim_fail(c->world, "E4: n%d leaves n%u.%" PRIu64 " without %" PRIu64
			 ", which was delivered as safe", node + 1, l->ring.rep,
			 l->ring.seq, r->safe_max);
	set_add(&r->left_by, node);
	r->left_at[node] = l->last_seq;
}

/* What a configuration says of itself: sets that fit each other. */
static void check_sets(struct sim_checker *c, int node,
		       const struct ring_configuration *conf)
{
	const struct life *l = &c->lives[node];
	bool ok;

	if (conf->is_transitional)
		ok = ring_id_equal(conf->ring, l->ring) &&
		     set_has(&conf->members, node) &&
		     set_is_subset(conf->members, l->members) &&
		     set_is_empty(conf->joined) &&
		     set_equal(conf->left, set_minus(l->members, conf->members));
	else
		ok = set_has(&conf->members, node) &&
		     set_has(&conf->members, (int)conf->ring.rep - 1) &&
		     set_is_subset(l->trans, conf->members) &&
		     set_equal(conf->joined, set_minus(conf->members, l->trans)) &&
		     set_equal(conf->left, set_minus(l->members, l->trans)) &&
		     l->is_transitional == (l->ring.rep != 0);
	if (!ok)
		sim_fail(c->world, "E3: n%d is told a configuration that does not fit the last one",
			 node + 1);
}

static void install(struct sim_checker *c, int node,
		    const struct ring_configuration *conf)
{
	struct life *l = &c->lives[node];
	struct ring_fact *r = ring_of(c, conf->ring);

	if (set_is_empty(r->members))
		r->members = conf->members;
	else if (!set_equal(r->members, conf->members))
		sim_fail(c->world, "E5: n%d installs n%u.%" PRIu64 " with other members than others",
			 node + 1, conf->ring.rep, conf->ring.seq);
	if (set_has(&r->installed_by, node))
		sim_fail(c->world, "E5: n%d installs n%u.%" PRIu64 " again", node + 1,
			 conf->ring.rep, conf->ring.seq);
	set_add(&r->installed_by, node);
	if (conf->ring.seq <= l->last_ring_seq)
		sim_fail(c->world, "E5: n%d installs ring seq %" PRIu64 " after %" PRIu64,
			 node + 1, conf->ring.seq, l->last_ring_seq);
	/* a restart begins a stride above what is on disk */
	if (conf->ring.seq >= c->world->nodes[node].disk_seq + RING_SEQ_STRIDE)
		sim_fail(c->world, "E5: n%d installs ring seq %" PRIu64 " when its disk has %" PRIu64,
			 node + 1, conf->ring.seq, c->world->nodes[node].disk_seq);
}

void checker_configured(struct sim_checker *c, int node,
			const struct ring_configuration *conf)
{
	struct life *l = &c->lives[node];

	sim_say(c->world, node, "%s n%u.%" PRIu64 " members %" PRIx64 " joined %" PRIx64 " left %" PRIx64,
		conf->is_transitional ? "transitional" : "regular", conf->ring.rep,
		conf->ring.seq, conf->members.bits[0], conf->joined.bits[0],
		conf->left.bits[0]);
	check_sets(c, node, conf);
	if (conf->is_transitional) {
		l->is_transitional = true;
		l->trans = conf->members;
		l->before = l->digest;
		return;
	}
	if (l->ring.rep) {
		check_left_ring(c, node);
		check_passage(c, node, conf->ring);
	}
	install(c, node, conf);
	l->ring = conf->ring;
	l->members = conf->members;
	l->trans = (struct node_set){ { 0 } };
	l->last_ring_seq = conf->ring.seq;
	l->last_seq = 0;
	l->is_transitional = l->is_behind_hole = l->is_unplugged = false;
	l->digest = l->before = 0;
	l->installs++;
}

uint64_t checker_deliveries(const struct sim_checker *c, int node)
{
	return c->lives[node].deliveries;
}

uint64_t checker_installs(const struct sim_checker *c, int node)
{
	return c->lives[node].installs;
}
