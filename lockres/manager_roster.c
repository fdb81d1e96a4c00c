/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * M8: who took part, and who of them is over. All nodes of a configuration have one
 * roster, for it is merged of what all of them told, and changes by what all apply.
 */
#include "lockres/manager_sync.h"

static void remember(struct lock_manager *m, const struct roster *roster)
{
	m->asked++;
	m->kept = *roster;
	if (m->ops.remember)
		m->ops.remember(m->owner, roster, m->asked);
	else
		m->remembered = m->asked;
}

void lock_manager_remembered(struct lock_manager *m, uint64_t version)
{
	m->remembered = version;
	if (m->is_syncing && !m->is_broken && version >= m->phase.to_remember)
		sync_go_on(m->sync);
}

/*
 * Also what others have told: they may not outlive this configuration. Whether it may decide is
 * not known yet: that too much is on disk costs a proof more, at worst.
 */
void roster_settle(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;

	p->noted = p->roster;
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		if (!p->heads[i].is_leaving)
			roster_note_here(&p->noted, i, p->heads[i].incarnation, p->ring.seq);
	if (!roster_is_equal(&p->noted, &m->kept))
		remember(m, &p->noted);
	p->to_remember = m->asked;
}

static bool is_away(const struct lock_manager *m, int node)
{
	return !set_has(&m->members, node) && roster_is_open(&m->roster, node);
}

/*
 * It was in a quorate configuration after all that is known here was all that there was, and
 * is not over: lockspaces may have gone on there, and it may act on what it was granted then.
 */
static bool may_have_newer(const struct lock_manager *m, int node)
{
	return is_away(m, node) &&
	       (m->config.decides_alone || m->roster.of[node].seen_on > m->settled_on);
}

bool roster_waits(const struct lock_manager *m)
{
	for (int i = 0; i < m->config.nodes.count; i++)
		if (may_have_newer(m, i))
			return true;
	return false;
}

static void settle(struct lock_manager *m)
{
	if (sync_is_quorate(m->sync) && !roster_waits(m))
		m->settled_on = m->ring.seq;
}

void roster_go_live(struct lock_manager *m)
{
	bool is_quorate = sync_is_quorate(m->sync);

	m->roster = is_quorate ? m->phase.noted : m->phase.roster;
	m->settled_on = m->phase.settled_on;
	m->is_wanted = false;
	if (!is_quorate && !roster_is_equal(&m->roster, &m->kept))
		remember(m, &m->roster); /* nothing was decided: nobody has to wait for that */
	settle(m);
}

/* Nobody has to be fenced for lockspaces of which there are none. */
static bool is_awaited(const struct lock_manager *m, int node)
{
	return (m->is_wanted && is_away(m, node)) ||
	       (m->space_count > 0 && may_have_newer(m, node));
}

bool roster_lets_found(const struct lock_manager *m, const void *name, size_t length)
{
	for (int i = 0; i < m->config.nodes.count; i++)
		if (is_away(m, i))
			return !roster_waits(m) && grave_is_there(m, name, length);
	return true;
}

static bool is_outlived(const struct lock_manager *m, int node, const struct space_head *head)
{
	return roster_is_outlived(&m->phase.roster, node, m->phase.heads[node].incarnation,
				  head->version.epoch.seq);
}

bool roster_is_void(const struct lock_manager *m, const struct space_head *head)
{
	const struct manager_sync *p = &m->phase;

	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *own = manager_head_of(&p->heads[i], head);

		if (own && !is_outlived(m, i, own))
			return false;
	}
	return true;
}

uint64_t roster_missing(const struct lock_manager *m, int node)
{
	return is_away(m, node) ? m->roster.of[node].incarnation : 0;
}

void roster_close(struct lock_manager *m, int node, uint64_t incarnation)
{
	if (!roster_note_over(&m->roster, node, incarnation, m->ring.seq))
		return;
	remember(m, &m->roster);
	settle(m);
	manager_wake_openers(m);
	for (size_t i = m->space_count; i > 0; i--)
		space_consider(m->spaces[i - 1]);
}

bool lock_manager_absent(const struct lock_manager *m, size_t index,
			 struct lock_manager_absent *absent)
{
	for (int i = 0; i < m->config.nodes.count; i++) {
		if (!is_awaited(m, i) || index-- > 0)
			continue;
		*absent = (struct lock_manager_absent){ m->config.nodes.ids[i],
							m->roster.of[i].incarnation };
		return true;
	}
	return false;
}
