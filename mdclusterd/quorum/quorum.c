/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life and events of the machine; the promises are in quorum.h. */
#include "mdclusterd/quorum/quorum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "mdclusterd/quorum/quorum_private.h"

/* --- life --------------------------------------------------------------------------------- */

static void remember(struct quorum *q, const struct quorum_memory *m)
{
	bool is_same_boot = memcmp(m->boot, q->boot, sizeof(q->boot)) == 0;

	q->record = m->record;
	if (m->has_seen_all && is_same_boot && !q->options.is_two_node) /* Q4 */
		q->waits = false;
}

struct quorum *quorum_new(const struct quorum_options *options,
			  const uint8_t boot[QUORUM_BOOT_BYTES], const uint8_t *memory,
			  struct err *err)
{
	struct quorum *q = calloc(1, sizeof(*q));
	struct quorum_memory m;

	if (q)
		q->told = calloc((size_t)options->nodes.count, sizeof(*q->told));
	if (!q || !q->told) {
		quorum_free(q);
		err_nomem(err, "the quorum");
		return NULL;
	}
	q->options = q->first = *options;
	memcpy(q->boot, boot, sizeof(q->boot));
	q->waits = options->waits_for_all;
	q->window_end = UINT64_MAX;
	if (!memory)
		return q;
	if (!quorum_get_memory(memory, &m)) {
		quorum_free(q);
		err_set(err, -EBADMSG, "is damaged, or of another version");
		return NULL;
	}
	remember(q, &m);
	return q;
}

void quorum_free(struct quorum *q)
{
	if (!q)
		return;
	free(q->told);
	free(q);
}

void quorum_memory(struct quorum *q, uint8_t to[QUORUM_MEMORY_BYTES])
{
	struct quorum_memory m = {
		.has_seen_all = q->options.waits_for_all && !q->waits && !q->has_stopped,
		.record = q->record,
	};

	memcpy(m.boot, q->boot, sizeof(m.boot));
	quorum_put_memory(to, &m);
	q->has_changed = false;
}

bool quorum_memory_has_changed(const struct quorum *q)
{
	return q->has_changed;
}

/* --- a configuration ------------------------------------------------------------------------ */

void quorum_end(struct quorum *q)
{
	q->phase = PHASE_IDLE;
	q->heard = (struct node_set){ { 0 } };
}

void quorum_begin(struct quorum *q, uint64_t now, struct node_set members)
{
	(void)now;
	quorum_end(q);
	if (!set_equal(members, q->window_of)) {
		q->window_end = UINT64_MAX;
		q->is_window_over = false;
	}
	q->members = members;
	q->phase = PHASE_TELLING;
	memset(&q->verdict, 0, sizeof(q->verdict));
	q->verdict.device_holder = q->verdict.device_taker = TOTEM_NO_INDEX;
}

size_t quorum_tell(struct quorum *q, uint64_t now, uint8_t to[QUORUM_MEMORY_BYTES])
{
	struct quorum_told t = {
		.waits = q->waits,
		.is_leaving = q->is_leaving,
		.is_window_over = q->is_window_over,
		.can_use_device = q->can_use_device,
		.by_hand = q->by_hand,
		.device_left_ns = q->device_until > now ? q->device_until - now : 0,
		.first_origin = quorum_origin(&q->first),
		.origin = quorum_origin(&q->options),
		.record = q->record,
	};
	struct wr wr = wr_over(to, QUORUM_MEMORY_BYTES);

	quorum_rules_of(&q->first, &t.first);
	quorum_rules_of(&q->options, &t.rules);
	quorum_put_told(&wr, &t, q->options.nodes.count);
	q->has_news = false;
	q->by_hand = 0; /* said once, whatever comes of it */
	return wr.at;
}

int quorum_hear(struct quorum *q, uint64_t now, int from, const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);

	if (q->phase != PHASE_TELLING || !set_has(&q->members, from) ||
	    !quorum_get_told(&rd, &q->told[from], q->options.nodes.count))
		return -EBADMSG;
	set_add(&q->heard, from);
	if (q->told[from].device_left_ns > 0 && from != q->options.self)
		q->verdict.device_until = now + q->told[from].device_left_ns;
	return 0;
}

bool quorum_has_heard_all(const struct quorum *q)
{
	return q->phase == PHASE_TELLING && set_equal(q->heard, q->members);
}

bool quorum_decide(struct quorum *q, uint64_t now)
{
	struct quorum_verdict *v = &q->verdict;
	uint64_t device_until = v->device_until;

	(void)now;
	quorum_verdict(&q->options.nodes, q->members, q->told, v);
	v->device_until = device_until;
	q->phase = PHASE_DECIDED;
	if (!v->has_candidate)
		return false;
	/* Q5; if this ends early, it may have been formed or not */
	q->record = v->known;
	q->record.candidates[q->record.candidate_count++] = v->candidate;
	q->has_changed = true;
	return true;
}

static void take_over(struct quorum *q)
{
	struct quorum_verdict *v = &q->verdict;

	if (v->has_candidate) {
		v->known.formed = v->basis = v->candidate;
		v->known.candidate_count = 0;
		q->is_window_over = false;
		v->votes = basis_votes(&v->basis, &q->options.nodes, q->members,
				       v->device_holder != TOTEM_NO_INDEX);
		q->has_changed = true;
	}
	q->record = v->known;
	if (v->is_released && q->waits) {
		q->waits = false;
		q->has_changed = true;
	}
}

/* Somebody of the basis is missing, and the rest may go on without. */
static bool has_window(const struct quorum *q)
{
	const struct basis *b = &q->verdict.basis;

	if (!q->options.is_last_man_standing || !q->verdict.is_won || q->is_window_over)
		return false;
	for (uint32_t i = 0; i < b->count; i++) {
		int index = node_index(&q->options.nodes, b->ids[i]);

		if (b->votes[i] > 0 && (index == TOTEM_NO_INDEX || !set_has(&q->members, index)))
			return true;
	}
	return false;
}

void quorum_activate(struct quorum *q, uint64_t now)
{
	struct quorum_verdict *v = &q->verdict;

	take_over(q);
	q->phase = PHASE_ACTIVE;
	if (v->counts_device && v->device_holder == q->options.self)
		v->device_until = q->device_until;
	q->is_device_late = v->counts_device && now >= v->device_until;
	if (q->is_device_late)
		q->has_news = true;
	if (!has_window(q)) {
		q->window_end = UINT64_MAX;
	} else if (q->window_end == UINT64_MAX) {
		q->window_end = now + q->options.last_man_standing_window_ns;
		q->window_of = q->members;
	}
}

bool quorum_is_won(const struct quorum *q)
{
	return q->phase >= PHASE_DECIDED && q->verdict.is_won;
}

bool quorum_is_quorate(const struct quorum *q, uint64_t now)
{
	if (q->phase != PHASE_ACTIVE || !q->verdict.is_won || q->is_device_late)
		return false;
	return !q->verdict.counts_device || q->verdict.device_holder != q->options.self ||
	       now < q->device_until; /* Q7 */
}

/* --- what happens within one ------------------------------------------------------------------ */

bool quorum_wants_again(const struct quorum *q)
{
	return q->phase == PHASE_ACTIVE && q->has_news;
}

static bool relies_on_own_device(const struct quorum *q)
{
	return q->phase == PHASE_ACTIVE && q->verdict.counts_device &&
	       q->verdict.device_holder == q->options.self;
}

void quorum_advance(struct quorum *q, uint64_t now)
{
	if (now >= q->window_end) {
		q->window_end = UINT64_MAX;
		q->is_window_over = q->has_news = true;
	}
	if (relies_on_own_device(q) && now >= q->device_until)
		q->is_device_late = q->has_news = true;
}

uint64_t quorum_deadline(const struct quorum *q)
{
	if (relies_on_own_device(q) && !q->is_device_late)
		return min_u64(q->window_end, q->device_until);
	return q->window_end;
}

void quorum_set_votes(struct quorum *q, const struct quorum_options *options)
{
	uint64_t before = quorum_origin(&q->options);

	memcpy(q->options.votes, options->votes, sizeof(q->options.votes));
	q->options.expected = options->expected;
	if (quorum_origin(&q->options) != before)
		q->has_news = true;
}

int quorum_set_expected(struct quorum *q, uint32_t expected, struct err *err)
{
	struct basis here = { 0 };
	uint32_t votes;

	if (q->phase != PHASE_ACTIVE)
		return err_set(err, -EAGAIN, "the cluster is between two configurations: try again");
	for (int i = set_next(q->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(q->members, i + 1))
		basis_add(&here, q->options.nodes.ids[i], q->options.votes[i]);
	votes = basis_sum(&here);
	here.expected = expected > votes ? expected : votes;
	if (expected == 0 || expected > QUORUM_MAX_EXPECTED ||
	    votes < basis_quorum(&here, false))
		return err_set(err, -EINVAL,
			       "%u expected votes: the nodes that are here have %u, and would have no quorum: at most %u",
			       expected, votes, votes ? 2 * votes - 1 : 0);
	q->by_hand = expected;
	q->has_news = true;
	return 0;
}

void quorum_set_leaving(struct quorum *q)
{
	q->is_leaving = true;
	if (q->options.allows_downscale)
		q->has_news = true;
}

void quorum_set_stopped(struct quorum *q)
{
	q->has_stopped = q->has_changed = true;
}

void quorum_set_device(struct quorum *q, uint64_t now, uint64_t until)
{
	bool had = q->device_until > now, has = until > now;

	q->device_until = until;
	if (has && !had && q->phase == PHASE_ACTIVE && q->verdict.would_win_by_device)
		q->has_news = true;
	if (!has && relies_on_own_device(q))
		q->is_device_late = q->has_news = true;
}

void quorum_set_device_usable(struct quorum *q, bool is_usable)
{
	if (q->can_use_device == is_usable)
		return;
	q->can_use_device = is_usable;
	if (q->verdict.would_win_by_device)
		q->has_news = true;
}

bool quorum_wants_device(const struct quorum *q)
{
	const struct quorum_verdict *v = &q->verdict;

	if (q->phase < PHASE_DECIDED)
		return q->device_until > 0; /* not let go while it is not known */
	return (v->counts_device && v->device_holder == q->options.self) ||
	       (v->would_win_by_device && v->device_taker == q->options.self);
}
