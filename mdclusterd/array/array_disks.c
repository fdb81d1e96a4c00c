/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Superblocks read anew, and what differs told to the plane, one role after the other. Who
 * wants that has a ticket: it is done when a reading that began later is done and the plane
 * knows; so any number of wishes costs one or two readings. After a death it is wanted by
 * this node itself, before it believes any slot's copies (D7).
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"

/* --- what a view says ------------------------------------------------------------------------ */

static bool takes_part(enum metadata_disk_state state)
{
	return state == METADATA_DISK_IN_SYNC || state == METADATA_DISK_REBUILD;
}

static const struct metadata_disk *of_role(const struct metadata_view *view, uint32_t role)
{
	for (uint32_t i = 0; i < view->disk_count; i++)
		if (view->disks[i].role == role)
			return &view->disks[i];
	return NULL;
}

/* What is no use for data is all one. */
static enum metadata_disk_state state_of(const struct metadata_view *view, uint32_t role)
{
	const struct metadata_disk *d = of_role(view, role);

	return d && takes_part(d->state) ? d->state : METADATA_DISK_MISSING;
}

static uint32_t number_of(const struct metadata_view *view, uint32_t role)
{
	const struct metadata_disk *d = of_role(view, role);

	return d ? d->dev_number : ARRAY_NO_ROLE;
}

static uint32_t roles_of(const struct metadata_view *view)
{
	return (uint32_t)min_u64(view->raid_disks, METADATA_MAX_DISKS);
}

uint32_t disks_in_sync(const struct array *a)
{
	uint32_t count = 0;

	for (uint32_t role = 0; role < roles_of(&a->view); role++)
		count += state_of(&a->view, role) != METADATA_DISK_MISSING;
	return count;
}

uint32_t disks_good_one(const struct array *a)
{
	for (uint32_t i = 0; i < a->view.disk_count; i++)
		if (a->view.disks[i].state == METADATA_DISK_IN_SYNC)
			return a->view.disks[i].dev_number;
	return 0;
}

static void tell_degraded(struct array *a, const struct metadata_view *old)
{
	for (uint32_t role = 0; role < roles_of(&a->view); role++)
		if (state_of(old, role) == METADATA_DISK_IN_SYNC &&
		    state_of(&a->view, role) != METADATA_DISK_IN_SYNC)
			array_tell_event(a, (struct array_event){
				.kind = ARRAY_EVENT_DEGRADED,
				.role = role,
				.is_ours = members_is_reporter(a),
				.text = of_role(old, role)->path,
			});
}

/* A disk that others use, and this node does not see: nobody may read what it cannot write. */
uint32_t disks_unseen(const struct array *a)
{
	for (uint32_t role = 0; role < roles_of(&a->view); role++)
		if (a->view.disks[role].is_elsewhere)
			return role;
	return ARRAY_NO_ROLE;
}

static void take(struct array *a, const struct metadata_view *view)
{
	struct metadata_view old = a->view;

	a->view = *view;
	/* these do not change while an array runs: locks and maps rest on them */
	if (a->is_plane_started)
		a->view.geo = old.geo;
	if (view->degraded == 0)
		a->degraded_since_ns = 0;
	else if (a->degraded_since_ns == 0)
		a->degraded_since_ns = max_u64(1, array_now(a));
	if (a->is_plane_started) {
		tell_degraded(a, &old);
		fail_want(a, disks_unseen(a), true);
	}
	a->reload.must_tell = true;
}

void disks_take_view(struct array *a, const struct metadata_view *view)
{
	take(a, view);
	a->reload.loaded = ++a->reload.wanted;
}

/* --- tickets ------------------------------------------------------------------------------ */

uint64_t reload_want(struct array *a)
{
	a->must_go = true;
	return ++a->reload.wanted;
}

bool reload_is_done(const struct array *a, uint64_t ticket)
{
	return a->reload.done >= ticket;
}

bool reload_has_failed(const struct array *a, uint64_t ticket)
{
	return a->reload.done < ticket && a->reload.failed >= ticket;
}

static void reloaded(struct array *a, struct metadata_request *req, int result)
{
	struct array_reload *r = &a->reload;

	if (result < 0) {
		r->failed = r->running;
		r->why = req->err;
		array_retry(a, &r->retry, &req->err);
		return;
	}
	take(a, req->view);
	r->loaded = max_u64(r->loaded, r->running);
	retry_fine(&r->retry);
}

static void read_anew(struct array *a)
{
	struct array_reload *r = &a->reload;

	r->running = r->wanted;
	r->work.req = (struct metadata_request){ .view = &r->work.view };
	array_work(a, &r->work, METADATA_RELOAD, reloaded);
}

/* --- telling the plane ------------------------------------------------------------------------ */

void disks_started(struct array *a)
{
	for (uint32_t role = 0; role < METADATA_MAX_DISKS; role++)
		a->reload.told[role] = METADATA_DISK_MISSING;
	/* disks in sync alone: one that is rebuilt comes now */
	for (uint32_t role = 0; role < roles_of(&a->plane_view); role++) {
		enum metadata_disk_state state = state_of(&a->plane_view, role);

		if (state == METADATA_DISK_IN_SYNC) {
			a->reload.told[role] = state;
			a->reload.told_number[role] = number_of(&a->plane_view, role);
		} else if (state == METADATA_DISK_MISSING) {
			fail_gone(a, role);
		} else {
			a->reload.must_tell = true;
		}
	}
}

/* The plane does not have it: nobody may count on it here. */
static void not_set(struct array *a, const struct plane_request *req)
{
	struct array_reload *r = &a->reload;

	if (state_of(&a->plane_view, req->role) == METADATA_DISK_REBUILD)
		fail_want(a, req->role, false);
	r->told[req->role] = METADATA_DISK_FAULTY; /* as no state_of() is: unknown */
	r->failed = r->loaded;
	r->must_tell = false; /* the next reading tells it again */
	r->why = req->err;
	array_retry(a, &r->retry, &req->err);
	a->is_reload_owed = true;
	a->death_ticket = UINT64_MAX;
}

static void disk_set(struct array *a, struct plane_request *req, int result)
{
	struct array_reload *r = &a->reload;

	r->setting = ARRAY_NO_ROLE;
	if (result == 0) {
		if (a->plane_view.disks[req->role].is_by_bitmap)
			resync_set_needed(a, req->needed_chunks);
		r->told[req->role] = state_of(&a->plane_view, req->role);
		r->told_number[req->role] = number_of(&a->plane_view, req->role);
		r->anew &= ~(1u << req->role);
	} else if (array_has_plane(a)) {
		not_set(a, req);
	}
}

void disks_again(struct array *a, uint32_t role)
{
	a->reload.anew |= 1u << role;
	a->reload.must_tell = a->must_go = true;
}

static void set_disk(struct array *a, uint32_t role)
{
	struct array_reload *r = &a->reload;

	a->plane_view = a->view;
	/* another one in its place, or the same anew: what was there goes first */
	if (r->anew >> role & 1 || (r->told[role] != METADATA_DISK_MISSING &&
				    r->told_number[role] != number_of(&a->view, role)))
		a->plane_view.disks[role].state = METADATA_DISK_MISSING;
	if (state_of(&a->plane_view, role) == METADATA_DISK_MISSING && !(r->anew >> role & 1))
		fail_gone(a, role);
	r->setting = role;
	r->set_disk.req = (struct plane_request){ .view = &a->plane_view, .role = role };
	array_ask(a, &r->set_disk, PLANE_SET_DISK, disk_set);
}

/* The plane reads plane_view until it is done with it. */
static bool is_borrowed(const struct array *a)
{
	return a->life_ask.is_out || a->reload.set_disk.is_out || a->fail.events.is_out;
}

static bool is_told(const struct array *a, uint32_t role)
{
	enum metadata_disk_state state = state_of(&a->view, role);

	return !(a->reload.anew >> role & 1) && state == a->reload.told[role] &&
	       (state == METADATA_DISK_MISSING ||
		a->reload.told_number[role] == number_of(&a->view, role));
}

static void tell_plane(struct array *a)
{
	struct array_reload *r = &a->reload;

	if (array_has_plane(a))
		for (uint32_t role = 0; role < roles_of(&a->view); role++) {
			if (is_told(a, role))
				continue;
			if (!is_borrowed(a))
				set_disk(a, role);
			return;
		}
	else if (a->life_ask.is_out)
		return; /* it starts, by a view that may be the old one */
	r->must_tell = false;
	r->done = max_u64(r->done, r->loaded);
	a->must_go = true; /* who waits for it may have had its turn */
}

void reload_go(struct array *a)
{
	struct array_reload *r = &a->reload;

	if (!a->has_view)
		return;
	if (a->is_reload_owed) {
		if (reload_is_done(a, a->death_ticket)) {
			a->is_reload_owed = false;
			a->must_go = true; /* GATHER looks at it before this */
		} else if ((a->death_ticket == UINT64_MAX ||
			  reload_has_failed(a, a->death_ticket)) &&
			 retry_may(a, &r->retry)) {
			a->death_ticket = reload_want(a);
		}
	}
	if (r->must_tell)
		tell_plane(a);
	if ((!a->ending || array_has_plane(a)) && !r->work.is_out && !r->must_tell &&
	    r->wanted > max_u64(r->done, r->failed))
		read_anew(a);
}
