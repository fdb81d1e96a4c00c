/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places that one disk could not read and another one could.
 *
 *	R1  What is read elsewhere is not written back by who read it, for another node may be
 *	    writing just there: the owner is told, once a place, and a window of this node's
 *	    does it (sync_piece.c), which reads back what it wrote.
 *	R2  A disk fails when more than max_read_errors such places were found lately: the
 *	    count is halved each hour, as md's. A place, with all that it touches, counts once
 *	    until it is corrected, however often it is read; one that no disk can read does not count, for nothing
 *	    is gained by doing without a disk there.
 *	R3  Memory is bounded: what does not fit is found again by the next read or scrub.
 *	    Nothing is lost with it, nor with a crash: what the owner was told is in its bits.
 */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/mirror/mirror_private.h"

#define HOUR_NS (3600 * NS_PER_S)
#define SAY_NS  (10 * NS_PER_S) /* corrections of a disk between two words on them */

/* --- how many, lately --------------------------------------------------------------------- */

static void decay(struct mirror_disk *d, uint64_t now)
{
	uint64_t hours = (now - d->halved_ns) / HOUR_NS;

	d->halved_ns += hours * HOUR_NS;
	d->recent_errors = hours < 32 ? d->recent_errors >> hours : 0;
	if (d->recent_errors == 0)
		d->halved_ns = d->recent_since_ns = now;
}

static void count(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];

	decay(d, m->now_ns);
	d->recent_errors++;
	if (d->recent_errors > m->max_read_errors)
		failure_of_many_reads(m, role);
}

/* --- which places ------------------------------------------------------------------------- */

static void drop(struct mirror *m, uint32_t at)
{
	m->unreadable[at] = m->unreadable[--m->unreadable_count];
}

/* Those that it touches are one with it. Returns whether it is one by itself. */
static bool remember(struct mirror *m, struct unreadable new)
{
	bool is_new = true;

	for (uint32_t i = 0; i < m->unreadable_count;) {
		const struct unreadable *u = &m->unreadable[i];

		if (u->role != new.role || u->high < new.low || new.high < u->low) {
			i++;
			continue;
		}
		if (u->low <= new.low && new.high <= u->high)
			return false;
		new.low = min_u64(new.low, u->low);
		new.high = max_u64(new.high, u->high);
		new.is_told &= u->is_told;
		is_new = false;
		drop(m, i);
	}
	if (m->unreadable_count < UNREADABLE_MAX)
		m->unreadable[m->unreadable_count++] = new;
	return is_new;
}

void unreadable_found(struct mirror *m, uint32_t role, uint64_t low, uint64_t high,
		      bool is_told)
{
	const struct unreadable new = { .low = low, .high = high, .role = (uint8_t)role,
					.is_told = is_told || !m->intent };

	if (m->writable >> role & 1 && remember(m, new))
		count(m, role);
}

uint32_t unreadable_roles(const struct mirror *m, uint64_t low, uint64_t high)
{
	uint32_t roles = 0;

	for (uint32_t i = 0; i < m->unreadable_count; i++)
		if (m->unreadable[i].low < high && low < m->unreadable[i].high)
			roles |= 1u << m->unreadable[i].role;
	return roles;
}

/* Of one that sticks out on both sides its end goes as well: R3. */
void unreadable_forget(struct mirror *m, uint64_t low, uint64_t high)
{
	for (uint32_t i = 0; i < m->unreadable_count;) {
		struct unreadable *u = &m->unreadable[i];

		if (u->low < high && low < u->high) {
			if (low <= u->low)
				u->low = min_u64(high, u->high);
			else
				u->high = low;
		}
		if (u->low < u->high)
			i++;
		else
			drop(m, i);
	}
}

void unreadable_forget_disk(struct mirror *m, uint32_t role)
{
	for (uint32_t i = 0; i < m->unreadable_count;)
		if (m->unreadable[i].role == role)
			drop(m, i);
		else
			i++;
}

/* --- what is said ------------------------------------------------------------------------- */

void unreadable_corrected(struct mirror *m, uint32_t role, uint64_t low, uint64_t high)
{
	struct mirror_disk *d = &m->disks[role];

	d->corrected_sectors += high - low;
	d->say_low = d->say_sectors ? min_u64(d->say_low, low) : low;
	d->say_high = d->say_sectors ? max_u64(d->say_high, high) : high;
	d->say_sectors += high - low;
}

static uint64_t say_at(const struct mirror_disk *d)
{
	if (d->say_sectors == 0)
		return NEVER;
	return d->has_said ? d->said_ns + SAY_NS : 0;
}

static void say(struct mirror *m, uint32_t role)
{
	struct mirror_disk *d = &m->disks[role];
	uint64_t sectors = d->say_sectors;

	d->has_said = true;
	d->said_ns = m->now_ns;
	d->say_sectors = 0;
	if (m->ops.corrected)
		m->ops.corrected(m->owner, role, d->say_low, d->say_high, sectors);
}

void unreadable_tell(struct mirror *m)
{
	for (uint32_t i = 0; i < m->unreadable_count; i++) {
		struct unreadable *u = &m->unreadable[i];

		if (u->is_told)
			continue;
		u->is_told = true;
		if (m->ops.unreadable)
			m->ops.unreadable(m->owner, u->low, u->high);
	}
	for (uint32_t role = 0; role < m->map.disks; role++)
		if (say_at(&m->disks[role]) <= m->now_ns)
			say(m, role);
}

uint64_t unreadable_deadline(const struct mirror *m)
{
	uint64_t at = NEVER;

	for (uint32_t i = 0; i < m->unreadable_count; i++)
		if (!m->unreadable[i].is_told)
			return 0;
	for (uint32_t role = 0; role < m->map.disks; role++)
		at = min_u64(at, say_at(&m->disks[role]));
	return at;
}
