/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * REBUILD, PROGRESS, IN_SYNC: a disk gets a role, and all that the others hold.
 *
 * All slots are on it before its superblock gives it the role (D10, B45), and that one is
 * the first to be written: no superblock ever says of it that it is active before its own
 * says that it is not in sync.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <inttypes.h>

#include "base/arith.h"
#include "base/log.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

/* --- slots -------------------------------------------------------------------------------------- */

/*
 * Copies of `slots` (bits) as all in sync have them. -> cleared: the highest events_cleared;
 * is_lost: it is the disk itself that did not take it.
 */
static int copy_slots(struct metadata *md, const struct md_member *m, uint64_t slots,
		      uint64_t *cleared, bool *is_lost, struct err *err)
{
	uint32_t nodes = md_array_freshest(&md->array)->geo.nodes;
	struct bitmap_copy copy = md_member_copy(m);
	int r = 0;

	*cleared = 0;
	*is_lost = false;
	for (uint32_t n = 0; r == 0 && n < nodes; n++) {
		struct bitmap_slot slot;
		uint32_t ignored;

		if (n < 64 && !(slots >> n & 1))
			continue;
		r = metadata_load_slot(md, n, &slot, &ignored, err);
		if (r == 0) {
			*cleared = max_u64(*cleared, slot.sb.events_cleared);
			r = bitmap_slot_store(&slot, &copy, 1, err);
			*is_lost = metadata_is_disk_fault(r);
		}
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* --- REBUILD ------------------------------------------------------------------------------------ */

static bool has_disk(const struct metadata *md, uint32_t role)
{
	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];

		if (metadata_is_written(md, m) && md_array_role(&md->array, m) == role)
			return true;
	}
	return false;
}

/* Its own fault, or that of the moment. */
static int why_unread(struct metadata_member *m, bool *is_lost, struct err *err)
{
	int r = metadata_try(m, err);

	*is_lost = metadata_is_disk_fault(r);
	if (r == 0)
		return err_set(err, -EAGAIN, "%s: it could not be read a moment ago", m->path);
	return *is_lost ? err_set(err, -EIO, "%s: its superblock cannot be read", m->path) : r;
}

static int choose(struct metadata *md, struct metadata_request *req, struct md_member **m,
		  bool *is_lost)
{
	uint32_t raid_disks = md_array_freshest(&md->array)->sb.raid_disks;
	size_t i = metadata_with_number(md, req->number);

	*m = i < md->count && md->members[i].is_read ? metadata_member_of(md, req->number) : NULL;
	if (!*m && i < md->count)
		return why_unread(&md->members[i], is_lost, &req->err);
	if (!*m)
		return err_set(&req->err, -ENODEV, "number %u is not open here", req->number);
	if (req->is_re_add)
		req->role = md_sb_role(&(*m)->sb);
	if (req->role >= raid_disks)
		return err_set(&req->err, -EINVAL, "there is no disk %u", req->role);
	if (has_disk(md, req->role))
		return err_set(&req->err, -EALREADY, "disk %u is there by now", req->role);
	/* a spare that was about to get a role counts as one still */
	if (!req->is_re_add && (md->members[i].is_candidate ||
				md_sb_role(&(*m)->sb) != MD_ROLE_SPARE ||
				metadata_role_of(md, req->number) == MD_ROLE_FAULTY))
		return err_set(&req->err, -EINVAL, "%s: it is no spare", md->members[i].path);
	return 0;
}

/* A spare that cannot be read or written would be tried for ever. */
static int give_up(struct metadata *md, uint32_t number, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct metadata_change c;

	metadata_change_init(md, &c, NULL);
	c.wanted.roles[number] = MD_ROLE_FAULTY;
	log_warning("MDC5312", "%s; it is a spare no more", err->text);
	if (metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		(void)metadata_store(md, &c, &ignored);
	return err->code;
}

int metadata_rebuild(struct metadata *md, struct metadata_request *req)
{
	struct metadata_change c;
	struct md_member *m = NULL;
	uint64_t cleared = 0;
	bool is_lost = false;
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);

	if (r == 0) {
		r = choose(md, req, &m, &is_lost);
		is_lost &= metadata_role_of(md, req->number) == MD_ROLE_SPARE;
	}
	if (r == 0)
		r = copy_slots(md, m, UINT64_MAX, &cleared, &is_lost, &req->err);
	if (is_lost && !req->is_re_add)
		return give_up(md, req->number, &req->err);
	if (r < 0)
		return r;
	if (req->is_re_add && m->sb.events < cleared)
		return err_set(&req->err, -ESTALE, "%s: bits of what it missed were cleared since",
			       m->disk->name);
	metadata_change_init(md, &c, NULL);
	c.number = req->number;
	c.is_first = true;
	c.features = MD_FEATURE_RECOVERY_OFFSET |
		     (req->is_re_add ? (uint32_t)MD_FEATURE_RECOVERY_BITMAP : 0);
	c.wanted.roles[req->number] = (uint16_t)req->role;
	if (!metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		return err_set(&req->err, -ENODEV, "too few disks are there and in sync");
	r = metadata_store(md, &c, &req->err);
	if (r == 0 && c.wanted.roles[req->number] != req->role)
		return req->err.code;
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

/* --- PROGRESS, IN_SYNC ---------------------------------------------------------------------------- */

static struct md_member *rebuilt(struct metadata *md, uint32_t role)
{
	for (size_t i = 0; i < md->array.count; i++) {
		struct md_member *m = &md->array.members[i];

		if (metadata_is_written(md, m) && md_array_role(&md->array, m) == role)
			return m;
	}
	return NULL;
}

static int find_rebuilt(struct metadata *md, struct metadata_request *req, struct md_member **m)
{
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);

	if (r < 0)
		return r;
	*m = rebuilt(md, req->role);
	return *m ? 0 : err_set(&req->err, -ENODEV, "disk %u is not here, or failed", req->role);
}

int metadata_progress(struct metadata *md, struct metadata_request *req)
{
	struct md_member *m;
	struct metadata_change c;
	int r = find_rebuilt(md, req, &m);

	if (r < 0)
		return r;
	if (!(m->sb.feature_map & MD_FEATURE_RECOVERY_OFFSET) ||
	    m->sb.recovery_offset >= req->position)
		return 0;
	/* what the freshest says besides: it may be an event behind */
	c = (struct metadata_change){
		.wanted = md_array_freshest(&md->array)->sb,
		.number = m->sb.dev_number,
		.features = m->sb.feature_map &
			    (MD_FEATURE_RECOVERY_OFFSET | MD_FEATURE_RECOVERY_BITMAP),
		.recovery_offset = req->position,
	};
	m->sb = metadata_make(m, &c);
	return md_member_store(m, &req->err);
}

int metadata_in_sync(struct metadata *md, struct metadata_request *req)
{
	struct metadata_change c;
	struct md_member *m = NULL;
	uint64_t ignored;
	bool is_lost;
	int r = find_rebuilt(md, req, &m);

	if (r == 0 && m->sb.feature_map & MD_FEATURE_RECOVERY_OFFSET)
		r = copy_slots(md, m, req->slots, &ignored, &is_lost, &req->err);
	if (r < 0)
		return r;
	metadata_change_init(md, &c, NULL);
	c.number = m->sb.dev_number;
	if (!metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		return err_set(&req->err, -ENODEV, "too few disks are there and in sync");
	if (metadata_is_so(md, &c))
		return 0;
	r = metadata_store(md, &c, &req->err);
	if (r == 0 && c.wanted.roles[m->sb.dev_number] != req->role)
		return req->err.code;
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, &req->err);
}
