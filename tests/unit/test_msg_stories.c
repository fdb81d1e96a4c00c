/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thousands of stories from seeds: nodes speak, singly and in compounds, cancel, refuse,
 * are slow, deaf, cut off, late, die, leave, and join, while others are within any step. In
 * each second one the engine keeps no order but that of each lock. Checked, beside what
 * msg_rig.c checks of every message that is heard:
 *
 *	H2  who is told 0 was heard by all that were ready then and are still
 *	H3  nobody hears anything twice, or out of order; what a node did not hear
 *	    of what was said to the end, it was told of
 *	H4  each send ends
 *	H7  after the last death somebody said the recovery
 *	H8  when the faults end all ends
 *
 * STORY is the first seed, STORIES how many: for a soak, or for one that failed.
 */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/help.h"

enum { NODES = 5, ACTIONS = 150, MANY_ROUNDS = 400 };

#define SECOND_NS UINT64_C(1000000000)

struct plan {
	struct msg_compound c;
	bool is_there, is_begun;
};

static struct story {
	struct msg_rig *rig;
	uint64_t random;
	struct plan plans[NODES + 1];
	bool is_proof_missing[NODES + 1];
	bool is_out[NODES + 1]; /* taken for dead, and may not know it yet */
	uint32_t missed_before[NODES + 1]; /* in earlier lives */
} story;

static unsigned int draw(unsigned int below)
{
	story.random ^= story.random << 13;
	story.random ^= story.random >> 7;
	story.random ^= story.random << 17;
	return (unsigned int)(story.random >> 33) % below;
}

/* --- compounds ----------------------------------------------------------------------- */

static void on_begun(void *owner, struct msg_compound *c, const struct msg_result *r)
{
	struct plan *p = owner;

	(void)c;
	assert_true(p->is_there && !p->is_begun);
	p->is_begun = r->status == 0;
	p->is_there = p->is_begun;
}

static void on_ended(void *owner, struct msg_compound *c, int status)
{
	struct plan *p = owner;

	(void)c;
	(void)status;
	assert_true(p->is_there && p->is_begun);
	p->is_there = false;
}

static void begin_compound(int node)
{
	struct plan *p = &story.plans[node];
	struct err err = ERR_INIT;

	if (p->is_there)
		return;
	*p = (struct plan){ .c = { .begun = on_begun, .ended = on_ended, .owner = p } };
	p->is_there = true;
	if (msg_compound_begin(story.rig->nodes[node].channel, &p->c, &err) < 0)
		p->is_there = false;
}

static void go_on_with_compound(int node)
{
	struct plan *p = &story.plans[node];
	struct msg_channel *ch = story.rig->nodes[node].channel;

	if (!p->is_there)
		return;
	if (p->is_begun && !p->c.is_over && draw(3) && !story.is_out[node])
		msg_rig_say_in(story.rig, node, &p->c);
	else if (p->is_begun && !p->c.is_over)
		msg_compound_end(ch, &p->c);
	else if (!p->c.is_over && !draw(4) && msg_compound_cancel(ch, &p->c) == 0)
		p->is_there = false;
}

/* --- what nodes do ------------------------------------------------------------------- */

static bool may_say(const struct msg_node *n)
{
	struct msg_channel_look look;

	if (!n->channel || story.is_out[n->id])
		return false;
	msg_channel_look(n->channel, &look);
	return look.receiving != MSG_STEP_HANDLE || look.is_token_here;
}

static void cancel_one(int node)
{
	for (struct said *s = story.rig->said; s; s = s->next)
		if (s->node == node && s->status == PENDING && draw(2)) {
			if (msg_cancel(story.rig->nodes[node].channel, &s->send) == 0)
				s->status = -ESRCH;
			return;
		}
}

static void answer(struct msg_node *n)
{
	if (n->is_open)
		msg_rig_handle(n, draw(5) ? MSG_ACCEPTED : MSG_REFUSED_IO, "no");
}

static void set_mood(struct msg_node *n)
{
	n->is_slow = draw(3) == 0;
	n->refusal = draw(6) ? MSG_ACCEPTED : MSG_REFUSED_BUSY;
	n->is_unable = draw(4) == 0;
	n->is_thinking = draw(4) == 0;
	n->evicts = draw(2);
	n->evicted_count = 0;
}

static void kill_one(int node)
{
	story.plans[node].is_there = false;
	story.rig->is_cut[node] = false;
	msg_rig_kill(story.rig, node);
	story.is_proof_missing[node] = true;
}

/* Proves the death of who is missing, dead or cut off. */
static void prove(int node)
{
	if (!story.is_proof_missing[node])
		return;
	lock_rig_prove(story.rig->locks, node);
	story.is_out[node] = story.rig->is_cut[node];
	story.is_proof_missing[node] = false;
}

static void come_back(int node)
{
	struct msg_rig *rig = story.rig;

	if (rig->nodes[node].channel)
		return;
	if (!rig->is_alive[node])
		msg_rig_revive(rig, node);
	msg_rig_join(rig, node);
	story.is_out[node] = false;
	story.missed_before[node] = rig->nodes[node].missed;
}

static void cut(int node)
{
	if (story.rig->is_cut[node] || story.is_proof_missing[node])
		return;
	lock_rig_cut(story.rig->locks, node);
	story.rig->is_cut[node] = true;
	story.is_proof_missing[node] = true;
}

static void heal(int node)
{
	if (!story.rig->is_cut[node])
		return;
	lock_rig_heal(story.rig->locks, node);
	story.rig->is_cut[node] = false;
	story.is_proof_missing[node] = false;
}

/* Its lockspace is lost: it closes it, and is gone. */
static void give_up_lost(void)
{
	struct msg_rig *rig = story.rig;

	for (int i = 1; i <= NODES; i++) {
		struct msg_node *n = &rig->nodes[i];

		if (!n->channel || !n->is_lost)
			continue;
		lock_rig_deafen(rig->locks, i, false);
		story.plans[i].is_there = false;
		msg_rig_leave(rig, i);
	}
}

static void leave(int node)
{
	struct msg_rig *rig = story.rig;

	if (rig->is_cut[node] || lock_rig_is_frozen(rig->locks) || !rig->nodes[node].channel)
		return;
	lock_rig_deafen(rig->locks, node, false);
	msg_rig_leave(rig, node);
	story.plans[node].is_there = false;
}

static void trouble(int node)
{
	struct msg_node *n = &story.rig->nodes[node];

	switch (draw(9)) {
	case 0:
		if (n->channel)
			kill_one(node);
		break;
	case 1:
	case 2:
		prove(node);
		break;
	case 3:
		come_back(node);
		break;
	case 4:
		if (n->channel && !draw(2))
			cut(node);
		break;
	case 5:
		heal(node);
		break;
	case 6:
		leave(node);
		break;
	case 7:
		lock_rig_deafen(story.rig->locks, node, draw(2));
		break;
	default:
		lock_rig_advance_ns(story.rig->locks, (1 + draw(40)) * SECOND_NS);
		break;
	}
}

static void act(void)
{
	int node = 1 + (int)draw(NODES);
	struct msg_node *n = &story.rig->nodes[node];

	for (unsigned int i = draw(12); i > 0; i--)
		lock_rig_step(story.rig->locks);
	give_up_lost();
	if (draw(5) == 0) {
		trouble(node);
		return;
	}
	if (!n->channel || n->is_lost)
		return;
	switch (draw(8)) {
	case 0:
	case 1:
	case 2:
		if (may_say(n))
			msg_rig_say(story.rig, node);
		break;
	case 3:
		begin_compound(node);
		break;
	case 4:
		go_on_with_compound(node);
		break;
	case 5:
		cancel_one(node);
		break;
	case 6:
		answer(n);
		if (!n->is_thinking)
			msg_recovered(n->channel, 1);
		break;
	default:
		set_mood(n);
		break;
	}
}

/* --- what must hold ------------------------------------------------------------------ */

/* Of what came to an end since the last look. */
static void check_ends(void)
{
	struct msg_rig *rig = story.rig;

	for (struct said *s = rig->said; s; s = s->next) {
		if (s->status == PENDING || s->is_checked)
			continue;
		s->is_checked = true;
		for (int i = 1; i <= NODES; i++) {
			const struct msg_node *n = &rig->nodes[i];
			int times = msg_rig_heard(rig, i, s->number);

			assert_true(times <= 1);
			if (i == s->node || !n->channel || story.is_out[i] || rig->is_cut[i] ||
			    s->lives[i] != n->life)
				continue;
			if (s->status == 0)
				assert_int_equal(times, 1);
		}
	}
}

/* H3: what was said to the end, and this node did not hear, it was told of. */
static void check_missed(int node)
{
	const struct msg_node *n = &story.rig->nodes[node];
	uint32_t unheard = 0;

	for (const struct said *s = story.rig->said; s; s = s->next) {
		int times = msg_rig_heard(story.rig, node, s->number);

		assert_true(times <= 1);
		if (s->node != node && s->lives[node] == n->life && times == 0 &&
		    s->result.sequence && s->status != -ESTALE)
			unheard++;
	}
	assert_true(n->missed - story.missed_before[node] >= unheard);
}

static void calm_down(void)
{
	struct msg_rig *rig = story.rig;

	for (int i = 1; i <= NODES; i++) {
		struct msg_node *n = &rig->nodes[i];

		lock_rig_deafen(rig->locks, i, false);
		heal(i);
		prove(i);
		n->is_slow = n->is_unable = n->is_thinking = false;
		n->refusal = MSG_ACCEPTED;
		n->evicts = true;
		n->evicted_count = 0;
	}
}

static bool is_any_pending(void)
{
	for (const struct said *s = story.rig->said; s; s = s->next)
		if (s->status == PENDING)
			return true;
	for (int i = 1; i <= NODES; i++)
		if (story.plans[i].is_there)
			return true;
	return false;
}

/* H8: a bounded number of rounds, of which each answers and ends what owners hold. */
static void run_to_the_end(void)
{
	struct msg_rig *rig = story.rig;

	for (int round = 0; round < MANY_ROUNDS; round++) {
		msg_rig_run(rig);
		give_up_lost();
		for (int i = 1; i <= NODES; i++) {
			struct msg_node *n = &rig->nodes[i];

			if (!n->channel || n->is_lost)
				continue;
			if (n->is_open)
				msg_rig_handle(n, MSG_ACCEPTED, NULL);
			msg_recovered(n->channel, 1);
			msg_can_recover(n->channel);
			if (story.plans[i].is_begun && story.plans[i].is_there &&
			    !story.plans[i].c.is_over)
				msg_compound_end(n->channel, &story.plans[i].c);
		}
		check_ends();
		if (!*lock_rig_next(rig->locks) && !is_any_pending())
			return;
	}
	fail_msg("it does not end: next is '%s'", lock_rig_next(rig->locks));
}

static void tell(uint64_t seed)
{
	struct msg_rig *rig = msg_rig_empty(NODES);

	memset(&story, 0, sizeof(story));
	story.rig = rig;
	story.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (seed % 2) {
		rig->is_unordered = true;
		lock_rig_shuffle(rig->locks, seed);
	}
	if (seed % 3 == 0)
		rig->lvb_bytes = LOCK_LARGE_LVB;
	for (int i = 1; i <= NODES; i++)
		come_back(i);
	for (int i = 0; i < ACTIONS; i++) {
		act();
		check_ends();
	}
	calm_down();
	run_to_the_end();
	for (int i = 1; i <= NODES; i++)
		come_back(i);
	run_to_the_end();
	msg_rig_check_works(rig);
	for (int i = 1; i <= NODES; i++)
		check_missed(i);
	msg_rig_free(rig);
}

static uint64_t story_seed; /* of the story under way */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void stories_end_well(void **state)
{
	uint64_t first = from_environment("STORY", 1);
	uint64_t end = first + from_environment("STORIES", 1500);

	(void)state;
	for (story_seed = first; story_seed < end; story_seed++)
		tell(story_seed);
	story_seed = 0;
}

static int name_the_seed(void **state)
{
	(void)state;
	if (story_seed > 0)
		print_error("again with: STORY=%llu STORIES=1\n",
			    (unsigned long long)story_seed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(stories_end_well, name_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
