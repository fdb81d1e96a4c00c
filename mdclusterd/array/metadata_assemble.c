/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks opened, and judged: what is not a member, or of an array that is not served, is
 * refused by name. A disk that cannot be opened or read counts as missing. Of two that claim
 * one number the one with the higher events is it: a number may be given again.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "base/log.h"
#include "bitmap/disk.h"
#include "bitmap/owner.h"

LOG_SUBSYSTEM(metadata);

/* --- reading ------------------------------------------------------------------------------- */

int metadata_try(struct metadata_member *m, struct err *err)
{
	struct md_member found;
	int r = md_member_load(&found, m->disk, err);

	if (r == 0)
		r = md_member_load_bitmap(&found, err);
	if (r == -ENOENT && found.sb.max_dev)
		r = 0; /* without a bitmap its clustered days are over: judge() says so */
	if (r == 0) {
		memcpy(m->set_uuid, found.sb.set_uuid, 16);
		m->dev_number = found.sb.dev_number;
		m->own_role = md_sb_role(&found.sb);
		m->own_events = found.sb.events;
		m->own_size = found.sb.size;
		m->own_raid_disks = found.sb.raid_disks;
		snprintf(m->last.path, sizeof(m->last.path), "%s", m->path);
		m->last.dev_number = found.sb.dev_number;
		memcpy(m->last.device_uuid, found.sb.device_uuid, 16);
		m->last.data_offset = found.sb.data_offset;
		m->last.recovery_offset = found.sb.recovery_offset;
		m->last.is_by_bitmap = found.sb.feature_map & MD_FEATURE_RECOVERY_BITMAP;
		m->last.bitmap_start_bytes = found.geo.start_bytes;
	}
	md_member_fini(&found);
	return r;
}

static bool is_asked(const struct metadata_member *m, uint32_t skip_role)
{
	return !m->is_candidate && m->last.state != METADATA_DISK_FAULTY &&
	       m->last.state != METADATA_DISK_STALE &&
	       (skip_role == METADATA_NO_ROLE || m->last.role != skip_role);
}

static bool is_lesser(const struct metadata_member *a, const struct metadata_member *b)
{
	if ((a->own_role == MD_ROLE_FAULTY) != (b->own_role == MD_ROLE_FAULTY))
		return a->own_role == MD_ROLE_FAULTY;
	return a->own_events < b->own_events;
}

static bool are_one(const struct metadata_member *a, const struct metadata_member *b)
{
	return a->dev_number == b->dev_number ||
	       memcmp(a->last.device_uuid, b->last.device_uuid, 16) == 0;
}

/* One of each number, and of each device. */
static void drop_doubles(const struct metadata *md, bool *chosen)
{
	for (size_t i = 0; i < md->count; i++)
		for (size_t j = 0; chosen[i] && j < i; j++) {
			const struct metadata_member *a = &md->members[i];
			const struct metadata_member *b = &md->members[j];

			if (!chosen[j] || !are_one(a, b))
				continue;
			if (is_lesser(b, a))
				chosen[j] = false;
			else
				chosen[i] = false;
			log_notice("MDC5310", "%s: it claims number %u, which %s has with newer superblocks; it is ignored",
				   chosen[i] ? b->path : a->path, a->dev_number,
				   chosen[i] ? a->path : b->path);
		}
}

static const struct metadata_member *freshest(const struct metadata *md, const bool *chosen)
{
	const struct metadata_member *best = NULL;

	for (size_t i = 0; i < md->count; i++)
		if (chosen[i] && md->members[i].own_role < MD_ROLE_MAX &&
		    (!best || md->members[i].own_events > best->own_events))
			best = &md->members[i];
	return best;
}

/* Failed before the array got another size: it may be added again, but is no member now. */
static void drop_left_behind(const struct metadata *md, bool *chosen)
{
	const struct metadata_member *best = freshest(md, chosen);

	for (size_t i = 0; best && i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		if (memcmp(m->set_uuid, best->set_uuid, sizeof(m->set_uuid)) == 0 &&
		    (m->own_size != best->own_size ||
		     m->own_raid_disks != best->own_raid_disks) &&
		    m->own_events + 1 < best->own_events)
			chosen[i] = false;
	}
}

static size_t choose_readable(struct metadata *md, bool *chosen, struct disk **disks,
			      struct err *why)
{
	size_t count = 0;

	for (size_t i = 0; i < md->count; i++)
		chosen[i] = chosen[i] && metadata_try(&md->members[i], why) == 0;
	drop_doubles(md, chosen);
	drop_left_behind(md, chosen);
	for (size_t i = 0; i < md->count; i++)
		if (chosen[i])
			disks[count++] = md->members[i].disk;
	return count;
}

static int check_kind(const struct md_member *m, struct err *err)
{
	const char *why_not = md_member_kind_refusal(m);
	char words[MD_OWNER_WORDS_BYTES];
	struct md_owner owner;

	if (!why_not)
		return 0;
	if (!md_owner_read(&m->sb, m->block, &owner))
		return err_set(err, -EOPNOTSUPP, "%s: %s", m->disk->name, why_not);
	return err_set(err, -EOPNOTSUPP, "%s: %s: %s", m->disk->name, why_not,
		       md_owner_words(&owner, words));
}

/* Those of `chosen` that can be read; *why: what kept the last one from it. */
static int load(struct metadata *md, bool *chosen, struct err *why, struct err *err)
{
	struct disk *disks[METADATA_MAX_DISKS];
	size_t count, before = SIZE_MAX;
	int r;

	metadata_forget(md);
	for (;;) {
		count = choose_readable(md, chosen, disks, why);
		if (count == 0)
			return err_set(err, why->code ? why->code : -ENOENT, "%s",
				       why->code ? why->text :
						   "no disk of the array can be read");
		r = md_array_load_halves(&md->array, disks, count, err);
		if (r == 0)
			break;
		if (count == before)
			return r;
		before = count; /* one may have failed since it was tried */
		*err = (struct err)ERR_INIT;
	}
	if (check_kind(md_array_freshest(&md->array), err) < 0) {
		md_array_fini(&md->array);
		return err->code;
	}
	md->is_loaded = true;
	count = 0;
	for (size_t i = 0; i < md->count; i++)
		if (chosen[i]) {
			md->members[i].is_read = true;
			md->members[i].member = count++;
		}
	return 0;
}

/* The superblocks have it by now: as a spare, or in a role. */
static bool has_come(const struct metadata *md, const struct metadata_member *m)
{
	uint16_t role = metadata_role_of(md, m->dev_number);

	if (role == MD_ROLE_SPARE)
		return m->own_role == MD_ROLE_SPARE;
	return role < MD_ROLE_MAX && m->own_role < MD_ROLE_MAX &&
	       !md_array_is_stale(&md->array, &md->array.members[m->member]);
}

/* It had failed, and takes part by the superblocks that were read. */
static bool is_back(const struct metadata *md, const struct metadata_member *m)
{
	return !m->is_candidate && m->last.state == METADATA_DISK_FAULTY &&
	       metadata_role_of(md, m->dev_number) < MD_ROLE_MAX;
}

/*
 * Where the disks that were written last are not seen, or not asked, those that are left tell of
 * times gone by: who had failed since would be back, and is not. An update that was cut short
 * may be an event ahead on one disk.
 */
static int check_age(const struct metadata *md, struct err *err)
{
	uint64_t freshest = md_array_freshest(&md->array)->sb.events;
	bool is_stale = freshest + 1 < md->known_events;

	for (size_t i = 0; i < md->count; i++)
		is_stale |= freshest < md->known_events && is_back(md, &md->members[i]);
	if (!is_stale)
		return 0;
	return err_set(err, -ESTALE, "the superblocks that are left have %" PRIu64
		       " events: those in use have %" PRIu64, freshest, md->known_events);
}

static int load_more(struct metadata *md, bool *chosen, struct err *why, struct err *err)
{
	bool is_newer = md_array_freshest(&md->array)->sb.events > md->known_events;
	bool with[METADATA_MAX_DISKS];
	bool is_any = false;
	int r;

	memcpy(with, chosen, sizeof(with));
	for (size_t i = 0; i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		/* one that had failed may have been taken in again since, by another node */
		if (m->is_candidate || (is_newer && is_back(md, m)))
			with[i] = is_any = true;
	}
	if (!is_any)
		return 0;
	r = load(md, with, why, err);
	if (r < 0) { /* what comes does not fit, and is nobody's loss yet */
		*err = (struct err)ERR_INIT;
		return load(md, chosen, why, err);
	}
	for (size_t i = 0; i < md->count; i++) {
		struct metadata_member *m = &md->members[i];

		if (m->is_candidate && m->is_read && has_come(md, m))
			m->is_candidate = m->is_new = false;
	}
	return 0;
}

static int read_anew(struct metadata *md, uint32_t skip_role, struct err *err)
{
	bool chosen[METADATA_MAX_DISKS] = { false };
	struct err why = ERR_INIT;
	int r;

	for (size_t i = 0; i < md->count; i++)
		chosen[i] = is_asked(&md->members[i], skip_role);
	r = load(md, chosen, &why, err);
	if (r == 0) {
		r = check_age(md, err);
		if (r < 0)
			metadata_forget(md);
	}
	if (r == 0)
		r = load_more(md, chosen, &why, err);
	return r;
}

static void note(struct metadata *md)
{
	md->known_events = max_u64(md->known_events, md_array_freshest(&md->array)->sb.events);
	metadata_note_states(md);
}

int metadata_reload(struct metadata *md, uint32_t skip_role, struct err *err)
{
	size_t i = md->count;
	int r = read_anew(md, skip_role, err);

	if (r == 0 && metadata_look_around(md, skip_role)) {
		r = read_anew(md, skip_role, err);
		while (r == 0 && i < md->count)
			if (md->members[i].is_read)
				i++;
			else
				metadata_drop(md, i);
	}
	if (r == 0)
		note(md);
	return r;
}

/* --- judging ------------------------------------------------------------------------------- */

static const char *refusal(const struct md_member *m)
{
	const uint32_t served = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_RECOVERY_OFFSET |
				MD_FEATURE_RECOVERY_BITMAP | MD_FEATURE_CLUSTERED;
	const char *why = md_member_our_refusal(m);

	if (why)
		return why;
	if (m->sb.feature_map & ~served)
		return "it has features that are not served";
	if (m->sb.raid_disks > METADATA_MAX_DISKS)
		return "it has too many disks";
	return NULL;
}

/* What is of one disk alone: it is marked, or has bad blocks. */
static int judge_members(const struct metadata *md, struct err *err)
{
	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];
		bool is_asked = md_array_is_in_sync(&md->array, m) &&
				md_array_is_like_freshest(&md->array, m);
		const char *why = is_asked ? md_member_our_refusal(m) : NULL;

		if (why)
			return err_set(err, -EOPNOTSUPP, "%s: %s", m->disk->name, why);
	}
	return 0;
}

static int judge(struct metadata *md, const struct metadata_request *req,
		 const struct err *missing, struct err *err)
{
	const struct md_member *f = md_array_freshest(&md->array);
	const char *why = refusal(f);

	if (why)
		return err_set(err, -EOPNOTSUPP, "%s: %s", f->disk->name, why);
	if (judge_members(md, err) < 0)
		return err->code;
	metadata_make_view(md, req->view);
	if (req->cluster && strcmp(req->cluster, req->view->cluster) != 0)
		return err_set(err, -EPERM,
			       "%s: the array is of the cluster \"%s\", this is \"%s\": if it shall be this one's, mdcluster update --home-cluster, where nobody runs it",
			       f->disk->name, req->view->cluster, req->cluster);
	if (!metadata_is_enough(req->view, METADATA_NO_ROLE))
		return err_set(err, -ENODEV, "%s: too few of its %u disks are there and in sync%s%s",
			       req->view->name, req->view->raid_disks,
			       missing->code ? ": " : "", missing->text);
	return 0;
}

/* Active roles whose disk is not here: none may be, but degraded. */
static int check_all_there(const struct metadata *md, const struct metadata_request *req,
			   const struct err *missing, struct err *err)
{
	uint32_t count = md_array_missing(&md->array);

	if (count == 0 || req->may_start_degraded)
		return 0;
	return err_set(err, -ENODEV,
		       "%s: %u of its %u disks are not here%s%s: it may not start degraded",
		       req->view->name, count, req->view->raid_disks,
		       missing->code ? ": " : "", missing->text);
}

/* --- ASSEMBLE -------------------------------------------------------------------------------- */

int metadata_open(struct metadata *md, const char *path, struct err *err)
{
	struct metadata_member *m = &md->members[md->count];

	if (md->count == METADATA_MAX_DISKS)
		return err_set(err, -ENOSPC, "%s: the array has %d disks, more are not served",
			       path, METADATA_MAX_DISKS);
	memset(m, 0, sizeof(*m));
	m->disk = md->ops->open(md->owner, path, err);
	if (!m->disk)
		return err->code;
	snprintf(m->path, sizeof(m->path), "%s", path);
	m->dev_number = METADATA_NO_NUMBER;
	m->own_role = MD_ROLE_FAULTY;
	md->count++;
	return 0;
}

void metadata_drop(struct metadata *md, size_t index)
{
	if (md->members[index].is_read)
		metadata_forget(md);
	disk_close(md->members[index].disk);
	md->count--;
	memmove(&md->members[index], &md->members[index + 1],
		(md->count - index) * sizeof(md->members[0]));
}

static int open_disks(struct metadata *md, const struct metadata_request *req,
		      struct err *missing, struct err *err)
{
	if (req->path_count == 0)
		return err_set(err, -EINVAL, "the array has no disks to look at");
	if (req->path_count > METADATA_MAX_DISKS)
		return err_set(err, -EINVAL, "%zu disks: at most %d are served",
			       req->path_count, METADATA_MAX_DISKS);
	for (size_t i = 0; i < req->path_count; i++)
		if (metadata_open(md, req->paths[i], missing) < 0)
			log_warning("MDC5300", "%s; it counts as missing", missing->text);
	return 0;
}

/* Those that were never added, or removed as spares: their own superblocks say so. */
static void drop_outsiders(struct metadata *md, struct err *why)
{
	size_t i = 0;

	while (i < md->count) {
		struct metadata_member *m = &md->members[i];

		if (metadata_try(m, why) == 0 && m->own_role == MD_ROLE_FAULTY) {
			err_set(why, -ENOENT, "%s: it is not part of its array: add it", m->path);
			metadata_drop(md, i);
		} else {
			i++;
		}
	}
}

/* Disks that hold no member are closed: nothing here will ask them again. */
static void drop_unread(struct metadata *md)
{
	size_t kept = 0;

	for (size_t i = 0; i < md->count; i++) {
		if (md->members[i].is_read)
			md->members[kept++] = md->members[i];
		else
			disk_close(md->members[i].disk);
	}
	md->count = kept;
}

/*
 * Who has failed before this start is no member, as with md, until it is added again: nothing
 * tells whether it was removed since, and who holds it keeps it from all others.
 */
static bool drop_failed(struct metadata *md)
{
	bool has_failed[METADATA_MAX_DISKS];
	size_t before = md->count;

	for (size_t i = 0; i < before; i++)
		has_failed[i] = metadata_role_of(md, md->members[i].dev_number) == MD_ROLE_FAULTY;
	for (size_t i = before; i-- > 0;) {
		if (!has_failed[i])
			continue;
		log_notice("MDC5950", "%s: it failed, or was removed, before: it is none of the array's until it is added again",
			   md->members[i].path);
		metadata_drop(md, i);
	}
	return md->count < before;
}

int metadata_assemble(struct metadata *md, struct metadata_request *req)
{
	bool chosen[METADATA_MAX_DISKS];
	struct err missing = ERR_INIT;
	int r;

	metadata_close(md);
	memset(chosen, true, sizeof(chosen));
	r = open_disks(md, req, &missing, &req->err);
	if (r == 0)
		drop_outsiders(md, &missing);
	if (r == 0)
		r = load(md, chosen, &missing, &req->err);
	if (r == 0) {
		drop_unread(md);
		if (drop_failed(md)) {
			memset(chosen, true, sizeof(chosen));
			r = load(md, chosen, &missing, &req->err);
		}
	}
	if (r == 0) {
		md->assembled_events = md_array_freshest(&md->array)->sb.events;
		r = judge(md, req, &missing, &req->err);
	}
	if (r == 0)
		r = check_all_there(md, req, &missing, &req->err);
	if (r < 0)
		metadata_close(md);
	return r;
}
