/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A role without a disk gets a spare, and a disk in REBUILD becomes equal to the others. Every
 * node that sees such a thing asks for `resync`; who has it does all of it:
 *
 *	assign   TOKEN -> REBUILD (all slots on it, D10) -> the plane -> METADATA_UPDATED
 *	copy     a sweep over all of the array; from time to time TOKEN -> PROGRESS
 *	finish   TOKEN -> IN_SYNC -> the plane -> METADATA_UPDATED
 *
 * It dies, or leaves: the next one has the lock, reads the superblocks anew, and goes on from
 * the position that they have; what was written below it was flushed before it was saved. So
 * exactly one rebuilds, and somebody always does (B29).
 *
 * A disk that comes back is rebuilt by the bitmap: since it went no node has cleared a bit (D2),
 * so each made what its slot covers needed before it acknowledged the disk, and resyncs that
 * itself. It is in sync when nobody owes a resync, and no slot is left over: looked at with
 * TOKEN, for then all have acknowledged it, and their lock values say what they owe.
 *
 * Nothing is copied, and nothing is called done, before all have acknowledged METADATA_UPDATED of
 * this very node since it saw the disk there.
 *
 * A pass is for disks that it began with: one that comes meanwhile has its own, later.
 *
 * What no disk can read ends it, as with md where it records no bad blocks: a disk without that
 * place is never in sync. The disk is faulty then, and the event says which sectors they are.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"

/* --- what there is to do ---------------------------------------------------------------- */

static uint32_t roles(const struct array *a)
{
	return (uint32_t)min_u64(a->view.raid_disks, METADATA_MAX_DISKS);
}

static bool is_rebuilt(const struct metadata_disk *d)
{
	return d->state == METADATA_DISK_REBUILD;
}

static bool is_empty(const struct metadata_disk *d)
{
	return d->state != METADATA_DISK_REBUILD && d->state != METADATA_DISK_IN_SYNC;
}

static bool is_refused(const struct array *a, const struct metadata_disk *d)
{
	return d->dev_number == a->rebuild.refused &&
	       array_now(a) < a->rebuild.refused_until_ns;
}

static const struct metadata_disk *spare(const struct array *a)
{
	for (uint32_t i = 0; i < a->view.disk_count; i++)
		if (a->view.disks[i].state == METADATA_DISK_SPARE &&
		    !is_refused(a, &a->view.disks[i]))
			return &a->view.disks[i];
	return NULL;
}

static uint32_t empty_role(const struct array *a)
{
	for (uint32_t role = 0; role < roles(a); role++)
		if (is_empty(&a->view.disks[role]))
			return role;
	return ARRAY_NO_ROLE;
}

static bool can_assign(const struct array *a)
{
	return spare(a) && empty_role(a) != ARRAY_NO_ROLE;
}

bool rebuild_is_wanted(const struct array *a)
{
	for (uint32_t role = 0; role < roles(a); role++)
		if (is_rebuilt(&a->view.disks[role]))
			return true;
	return can_assign(a);
}

/* --- positions --------------------------------------------------------------------------- */

/*
 * A superblock says how far its disk is in sectors of that disk. In a raid1 that is the array's
 * address; in a raid10, copies of a unit stand side by side: below the first row in which one of
 * the units that are left has a copy all is done; and the first unit that has a copy in that row
 * is where to go on.
 */
static uint64_t to_disk(const struct array *a, uint64_t position)
{
	uint64_t copies = a->view.layout & 0xff, unit = a->view.chunk_sectors;

	if (position >= a->view.sync_size)
		return a->view.member_sectors;
	if (a->view.level != MD_LEVEL_RAID10)
		return position;
	return position / unit * copies / a->view.raid_disks * unit;
}

static uint64_t to_array(const struct array *a, uint64_t offset)
{
	uint64_t copies = a->view.layout & 0xff, unit = a->view.chunk_sectors;

	if (offset >= a->view.member_sectors)
		return a->view.sync_size;
	if (a->view.level != MD_LEVEL_RAID10)
		return offset;
	return offset / unit * a->view.raid_disks / copies * unit;
}

/* --- the pass ---------------------------------------------------------------------------- */

static bool is_in_pass(const struct array *a, uint32_t role)
{
	return a->rebuild.pass >> role & 1 && is_rebuilt(&a->view.disks[role]) &&
	       !a->view.disks[role].is_by_bitmap;
}

static bool is_that_one(const struct array *a, uint32_t role)
{
	return memcmp(a->view.disks[role].device_uuid, a->rebuild.uuids[role], 16) == 0;
}

static void finished(struct array *a, uint32_t role)
{
	bool is_whole = a->view.disks[role].state == METADATA_DISK_IN_SYNC &&
			is_that_one(a, role);

	a->rebuild.seen &= ~(1u << role);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RECOVERY_FINISHED,
		.role = role,
		.text = is_whole	? "" :
			a->rebuild.why.code ? a->rebuild.why.text :
					      "the disk is gone",
	});
}

static void started(struct array *a, uint32_t role)
{
	struct array_rebuild *r = &a->rebuild;

	r->seen |= 1u << role;
	memcpy(r->uuids[role], a->view.disks[role].device_uuid, 16);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RECOVERY_STARTED,
		.role = role,
		.text = a->view.disks[role].is_by_bitmap ? "by the bitmap" : "",
	});
	/* who gave it the role may have died, or stopped, before all had acknowledged that */
	r->is_say_owed = true;
	r->fresh = role;
}

/* Disks that are in sync, that failed, or that are others by now; and new ones. */
static void look_at_disks(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	for (uint32_t role = 0; role < METADATA_MAX_DISKS; role++) {
		bool is_now = role < roles(a) && is_rebuilt(&a->view.disks[role]);

		if (r->seen >> role & 1 && !(is_now && is_that_one(a, role))) {
			finished(a, role);
			r->pass &= ~(1u << role);
		}
		if (is_now && !(r->seen >> role & 1))
			started(a, role);
		if (!is_in_pass(a, role))
			r->pass &= ~(1u << role);
	}
	if (r->pass == 0 && a->sweep.is_on) {
		a->sweep.is_on = false;
		sweep_break_off(a);
	}
}

static void begin_pass(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;
	uint64_t position = a->view.sync_size;

	/*
	 * What a node writes that does not know of the disk would not be there; nor what this one
	 * copies, while its plane does not have it.
	 */
	if (r->pass != 0 || r->is_say_owed || sweep_is_in_window(a) ||
	    !reload_is_done(a, a->reload.loaded))
		return;
	for (uint32_t role = 0; role < roles(a); role++) {
		const struct metadata_disk *d = &a->view.disks[role];

		if (!is_rebuilt(d) || d->is_by_bitmap)
			continue;
		r->pass |= 1u << role;
		position = min_u64(position, to_array(a, d->recovery_offset));
	}
	if (r->pass == 0)
		return;
	position = round_down(position, a->view.geo.chunk_bytes / SECTOR_BYTES);
	r->unread_tries = 0;
	r->why = (struct err)ERR_INIT;
	a->sweep.position = r->saved = position;
	a->sweep.began_ns = array_now(a);
	a->sweep.is_on = true;
	r->save_at_ns = array_now(a) + ARRAY_PROGRESS_NS;
	a->must_go = true;
}

/* Tried some times, for a path may be gone for a moment. */
void rebuild_unread(struct array *a, const struct err *why)
{
	struct array_rebuild *r = &a->rebuild;

	array_retry(a, &a->resync.retry, why);
	if (++r->unread_tries < ARRAY_UNREAD_TRIES)
		return;
	r->unread_tries = 0;
	r->why = *why;
	for (uint32_t role = 0; role < roles(a); role++)
		if (is_in_pass(a, role))
			fail_want(a, role, false);
}

/* --- by the bitmap ------------------------------------------------------------------------ */

static bool is_owed(const struct array *a)
{
	/* without the disk in its plane this node has not said yet what it needs there */
	if (a->needed_chunks > 0 || !members_all_recovered(a) || !a->is_thawed ||
	    !reload_is_done(a, a->reload.loaded))
		return true;
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (a->slots[i].is_member && i != a->our_slot &&
		    (a->slots[i].owes || a->slots[i].is_leaving))
			return true;
	return false;
}

static uint32_t role_by_bitmap(const struct array *a)
{
	for (uint32_t role = 0; role < roles(a); role++)
		if (is_rebuilt(&a->view.disks[role]) && a->view.disks[role].is_by_bitmap)
			return role;
	return ARRAY_NO_ROLE;
}

/* --- deeds ---------------------------------------------------------------------------------- */

static uint64_t slots_of_nobody(const struct array *a)
{
	uint64_t slots = 0;

	for (uint32_t i = 0; i < a->view.geo.nodes && i < ARRAY_MAX_NODES; i++)
		if (!a->slots[i].is_member)
			slots |= UINT64_C(1) << i;
	return slots;
}

static void give_up(struct array *a, const struct err *why)
{
	if (why)
		array_retry(a, &a->rebuild.retry, why);
	deed_end(a, &a->rebuild.deed);
}

static void assign(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	if (!can_assign(a)) {
		give_up(a, NULL);
		return;
	}
	r->step = REBUILD_WRITE;
	r->role = r->fresh = empty_role(a);
	r->deed.work.req = (struct metadata_request){
		.role = r->role,
		.number = spare(a)->dev_number,
	};
	deed_work(a, &r->deed, METADATA_REBUILD);
}

/* The next one of the pass whose superblock is behind. */
static void save(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	while (r->role < roles(a) && !is_in_pass(a, r->role))
		r->role++;
	if (r->role >= roles(a)) {
		r->saved = r->saving;
		retry_fine(&r->retry);
		deed_end(a, &r->deed);
		return;
	}
	r->step = REBUILD_SAVE;
	r->deed.work.req = (struct metadata_request){
		.role = r->role,
		.position = to_disk(a, r->saving),
	};
	deed_work(a, &r->deed, METADATA_PROGRESS);
}

static void write_in_sync(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	r->step = REBUILD_WRITE;
	r->fresh = ARRAY_NO_ROLE;
	r->deed.work.req = (struct metadata_request){
		.role = r->role,
		.slots = slots_of_nobody(a),
	};
	deed_work(a, &r->deed, METADATA_IN_SYNC);
}

static void finish(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	if (is_in_pass(a, r->role)) {
		write_in_sync(a);
	} else if (r->role == role_by_bitmap(a)) {
		r->step = REBUILD_LOOK;
		members_read_all(a);
		a->must_go = true;
	} else {
		give_up(a, NULL);
	}
}

/* All have acknowledged the disk, so what their values say now is what they owe. */
static void look_go(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	if (r->step != REBUILD_LOOK || !slots_are_settled(a))
		return;
	if (is_owed(a) || r->role != role_by_bitmap(a)) {
		retry_later(a, &r->retry);
		give_up(a, NULL);
	} else {
		write_in_sync(a);
	}
}

static void begun(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	if (r->is_say_owed) {
		r->step = REBUILD_SAY;
		deed_say_updated(a, &r->deed);
	} else if (r->deeds == REBUILD_ASSIGNS) {
		assign(a);
	} else if (r->deeds == REBUILD_SAVES) {
		r->role = 0;
		r->saving = a->sweep.position;
		save(a);
	} else {
		finish(a);
	}
}

/* The next one, if there is; and that one again, some time. */
static void refuse(struct array *a, uint32_t number)
{
	a->rebuild.refused = number;
	a->rebuild.refused_until_ns = array_now(a) + ARRAY_REFUSED_NS;
}

static void written(struct array *a, int result, const struct err *why)
{
	struct array_rebuild *r = &a->rebuild;

	if (result < 0 && r->is_taken_back)
		fail_want(a, r->fresh, false);
	else if (result < 0 && r->deeds == REBUILD_ASSIGNS)
		refuse(a, r->deed.work.req.number);
	if (result < 0) {
		r->is_say_owed |= result == -EIO; /* a spare that fails is faulty by now */
		(void)reload_want(a);
		give_up(a, why);
		return;
	}
	r->is_say_owed = true;
	r->step = REBUILD_PLANE;
	deed_plane(&r->deed);
}

static void was_saved(struct array *a, int result, const struct err *why)
{
	if (result < 0) {
		give_up(a, why);
		return;
	}
	a->rebuild.role++;
	save(a);
}

/* Nobody may take a disk for one that all write to: before TOKEN goes, it is none. */
static void take_back(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	r->is_taken_back = true;
	r->step = REBUILD_WRITE;
	r->deed.work.req = (struct metadata_request){ .role = r->fresh };
	deed_work(a, &r->deed, METADATA_FAIL);
}

/* Who refuses has heard it. */
static void said(struct array *a, int result, const struct err *why)
{
	struct array_rebuild *r = &a->rebuild;

	if (result == -EREMOTEIO && r->fresh != ARRAY_NO_ROLE && !r->is_taken_back) {
		a->why = *why;
		take_back(a);
		return;
	}
	if (result < 0 && result != -EREMOTEIO) {
		give_up(a, why);
		return;
	}
	r->is_say_owed = r->is_taken_back = false;
	r->fresh = ARRAY_NO_ROLE;
	retry_fine(&r->retry);
	deed_end(a, &r->deed);
}

static void next(struct array *a, struct array_deed *d, int result)
{
	const struct err why = d->why;

	switch (a->rebuild.step) {
	case REBUILD_TOKEN:
		begun(a);
		break;
	case REBUILD_WRITE:
		written(a, result, &why);
		break;
	case REBUILD_SAVE:
		was_saved(a, result, &why);
		break;
	case REBUILD_PLANE: /* where it could not be told, that is tried again */
		a->rebuild.step = REBUILD_SAY;
		deed_say_updated(a, d);
		break;
	case REBUILD_SAY:
		said(a, result, &why);
		break;
	case REBUILD_NONE:
	case REBUILD_LOOK:
		break;
	}
}

static void ended(struct array *a, struct array_deed *d)
{
	if (a->rebuild.step == REBUILD_TOKEN && d->why.code)
		array_retry(a, &a->rebuild.retry, &d->why);
	a->rebuild.step = REBUILD_NONE;
	a->rebuild.save_at_ns = array_now(a) + ARRAY_PROGRESS_NS;
	a->must_go = true;
}

static void begin(struct array *a, enum array_rebuild_deed deeds, uint32_t role)
{
	struct array_rebuild *r = &a->rebuild;

	r->deed.next = next;
	r->deed.ended = ended;
	if (!deed_begin(a, &r->deed))
		return;
	r->step = REBUILD_TOKEN;
	r->deeds = deeds;
	r->role = role;
}

/* --- what can be done now -------------------------------------------------------------------- */

void rebuild_granted(struct array *a, bool is_granted)
{
	struct array_rebuild *r = &a->rebuild;

	r->pass = r->seen = 0;
	r->is_say_owed = r->is_taken_back = false;
	r->fresh = METADATA_NO_ROLE;
	r->ticket = is_granted ? reload_want(a) : 0;
}

/* It was another one who did all this until now. */
static bool is_up_to_date(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	if (reload_is_done(a, r->ticket))
		return true;
	if (reload_has_failed(a, r->ticket) && retry_may(a, &a->reload.retry))
		r->ticket = reload_want(a);
	return false;
}

static void choose(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;
	bool is_through = r->pass != 0 && a->sweep.position >= a->view.sync_size &&
			  !sweep_is_in_window(a);

	if (r->is_say_owed)
		begin(a, r->deeds, r->role);
	else if (can_assign(a))
		begin(a, REBUILD_ASSIGNS, ARRAY_NO_ROLE);
	else if (is_through)
		begin(a, REBUILD_FINISHES, (uint32_t)__builtin_ctz(r->pass));
	else if (role_by_bitmap(a) != ARRAY_NO_ROLE && !is_owed(a))
		begin(a, REBUILD_FINISHES, role_by_bitmap(a));
	else if (r->pass != 0 && a->sweep.position > r->saved &&
		 (array_now(a) >= r->save_at_ns ||
		  a->sweep.position - r->saved >= a->view.sync_size / ARRAY_PROGRESS_PARTS))
		begin(a, REBUILD_SAVES, 0);
}

static void work_go(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;

	look_at_disks(a);
	if (!rebuild_is_wanted(a) && !r->is_say_owed) {
		if (deed_is_idle(&r->deed) && !sweep_is_in_window(a))
			sweep_end(a);
		return;
	}
	begin_pass(a);
	if (deed_is_idle(&r->deed) && retry_may(a, &r->retry))
		choose(a);
}

void rebuild_go(struct array *a)
{
	struct array_rebuild *r = &a->rebuild;
	struct array_sweep *s = &a->sweep;

	if (a->state != ARRAY_ACTIVE || a->ending || a->is_lost || a->is_broken)
		return;
	look_go(a);
	deed_go(a, &r->deed);
	if (s->step == SWEEP_NONE && s->has_null && a->is_gate_open && rebuild_is_wanted(a))
		(void)sweep_ask(a, PLANE_REBUILD, 0);
	else if (s->kind == PLANE_REBUILD && sweep_is_ours(a) && is_up_to_date(a))
		work_go(a);
}
