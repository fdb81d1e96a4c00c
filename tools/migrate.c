/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "base/printable.h"
#include "base/text.h"
#include "bitmap/disk.h"
#include "mdclusterd/array/metadata.h"
#include "tools/show.h"

enum { DEVFLAG_FAILFAST = 2 };

static struct migrate_finding *find(struct migration *to, enum migrate_weight weight,
				    const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Never NULL: what comes when there is no room takes the last place. */
static struct migrate_finding *find(struct migration *to, enum migrate_weight weight,
				    const char *kind, const char *fmt, ...)
{
	size_t at = min_u64(to->finding_count, MIGRATE_FINDINGS - 1);
	struct migrate_finding *f = &to->findings[at];
	va_list args;

	to->finding_count = at + 1;
	*f = (struct migrate_finding){ .weight = weight, .kind = kind };
	va_start(args, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, args);
	va_end(args);
	return f;
}

static void advise(struct migrate_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void advise(struct migrate_finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->remedy, sizeof(f->remedy), fmt, args);
	va_end(args);
}

/* --- the disks ------------------------------------------------------------------------------ */

static bool is_told(const struct migration *to, const char *kind)
{
	for (size_t i = 0; i < to->finding_count; i++)
		if (strcmp(to->findings[i].kind, kind) == 0)
			return true;
	return false;
}

/* Each kind once, by the first disk that has it. */
static void judge_rules(const struct migrate_facts *facts, struct migration *to)
{
	enum md_taker taker = facts->is_to_kernel ? MD_TAKER_KERNEL : MD_TAKER_US;
	const struct md_array *array = facts->array;

	for (size_t i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];
		const struct md_obstacle *o;
		size_t cursor = 0;

		if (md_array_is_stale(array, m))
			continue;
		while ((o = md_member_obstacle(m, taker, &cursor)) != NULL)
			if (!is_told(to, o->kind))
				advise(find(to, MIGRATE_BLOCKS, o->kind, "%s: %s", m->disk->name,
					    o->what),
				       "%s", o->remedy);
		if (!facts->is_to_kernel && m->sb.devflags & DEVFLAG_FAILFAST)
			find(to, MIGRATE_NOTE, "failfast",
			     "%s: it is marked failfast, which mdclusterd does not heed: it fails a disk that errs, and one that hangs, in any case",
			     m->disk->name);
	}
}

/* Roles that no disk has, by the superblocks. */
static uint32_t count_failed(const struct md_sb *sb)
{
	uint32_t failed = 0, dev;

	for (uint32_t role = 0; role < sb->raid_disks; role++) {
		for (dev = 0; dev < sb->max_dev && sb->roles[dev] != role; dev++)
			;
		failed += dev == sb->max_dev;
	}
	return failed;
}

static void judge_members(const struct migrate_facts *facts, struct migration *to)
{
	const struct md_array *array = facts->array;
	const struct md_member *best = md_array_freshest(array);
	uint32_t unnamed = md_array_missing(array), failed = count_failed(&best->sb);

	if (unnamed)
		advise(find(to, MIGRATE_BLOCKS, "members",
			    "%u of its %u disks were not named, and have not failed", unnamed,
			    best->sb.raid_disks),
		       "name all of them");

	if (array->is_halved)
		advise(find(to, MIGRATE_BLOCKS, "halved",
			    "a change of size, disks or bitmap was interrupted: the disks do not agree"),
		       "repeat the mdcluster grow that was interrupted; it finishes what was begun");
	if (!facts->is_to_kernel && best->sb.raid_disks > METADATA_MAX_DISKS)
		advise(find(to, MIGRATE_BLOCKS, "disks", "it has %u disks, mdclusterd serves %d",
			    best->sb.raid_disks, METADATA_MAX_DISKS),
		       "leave it to the kernel");
	if (failed)
		advise(find(to, MIGRATE_NOTE, "degraded", "%u of its %u disks have failed", failed,
			    best->sb.raid_disks),
		       "%s", facts->is_to_kernel ?
		       "give it its disks back before, with mdcluster: mdadm --re-add in Linux 6.1 loses what other nodes wrote meanwhile" :
		       "add them again afterwards");
	for (size_t i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (m->sb.feature_map & MD_FEATURE_RECOVERY_OFFSET)
			find(to, MIGRATE_NOTE, "rebuild",
			     "%s: it is being rebuilt; who runs the array next goes on with that",
			     m->disk->name);
		else if (md_array_is_stale(array, m))
			advise(find(to, MIGRATE_NOTE, "stale",
				    "%s: it is out of date, and is not started with the others",
				    m->disk->name),
			       "add it again afterwards");
	}
}

/* --- the slots ------------------------------------------------------------------------------ */

static void list_slot(char *list, size_t size, uint32_t number, uint64_t bytes)
{
	size_t at = strlen(list);
	char text[TEXT_SIZE_BYTES];

	snprintf(list + at, size - at, "%s%u (%s)", at ? ", " : "", number,
		 text_size(bytes, text));
}

static void tell_slots(const struct migrate_facts *facts, struct migration *to,
		       const char *list, bool is_behind)
{
	if (!facts->is_to_kernel)
		find(to, MIGRATE_NOTE, "dirty",
		     "slots that are dirty: %s; mdclusterd resyncs what they say, and loses none of it",
		     list);
	else if (is_behind)
		advise(find(to, MIGRATE_FIRST, "dirty",
			    "slots that are dirty: %s; Linux 6.1 loses bits where more than one is",
			    list),
		       "gather them in slot 0 before");
	else
		find(to, MIGRATE_NOTE, "dirty", "slot that is dirty: %s; the kernel resyncs it",
		     list);
	to->is_gather_due = facts->is_to_kernel && is_behind;
}

static void judge_slots(const struct migrate_facts *facts, struct migration *to)
{
	const struct md_member *best = md_array_freshest(facts->array);
	struct md_array strict = *facts->array;
	char list[MIGRATE_TEXT / 2] = "";
	bool is_behind = false;

	if (!best->has_bitmap || best->bitmap.version != BITMAP_VERSION_CLUSTERED)
		return;
	strict.policy = MD_SLOTS_STRICT;
	for (uint32_t i = 0; i < bitmap_slots(&best->geo); i++) {
		struct err err = ERR_INIT;
		struct bitmap_slot slot;
		uint64_t bytes = 0;

		if (md_array_load_slot(&strict, i, &slot, &err) == 0)
			bytes = bitmap_slot_dirty_bytes(&slot);
		bitmap_slot_fini(&slot);
		if (err.code && facts->is_to_kernel)
			advise(find(to, MIGRATE_BLOCKS, "slot", "%s", err.text),
			       "have mdclusterd fail that disk and add it again: it writes all slots");
		else if (err.code)
			find(to, MIGRATE_NOTE, "slot", "%s; all of it counts as dirty there", err.text);
		if (bytes && strlen(list) < sizeof(list) - 64)
			list_slot(list, sizeof(list), i, bytes);
		is_behind |= bytes && i > 0;
	}
	if (list[0])
		tell_slots(facts, to, list, is_behind);
	if (facts->is_to_kernel && best->bitmap.chunksize < BITMAP_MIN_CREATE_CHUNK)
		advise(find(to, MIGRATE_BLOCKS, "chunk",
			    "a bit of its bitmap covers %u bytes: the kernel needs %d at least",
			    best->bitmap.chunksize, BITMAP_MIN_CREATE_CHUNK),
		       "mdcluster grow --bitmap=none, then --bitmap=clustered, where nobody runs it");
}

/* --- who runs it ------------------------------------------------------------------------------ */

static const char *list_nodes(const struct kernel_view_array *v, char *to, size_t size)
{
	size_t at = (size_t)snprintf(to, size, v->node_count == 1 ? "node " : "nodes ");

	for (size_t i = 0; i < v->node_count && at < size; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%u", i ? ", " : "", v->nodes[i]);
	return v->node_count ? to : "this host, and maybe others";
}

static void judge_kernel(const struct migrate_facts *facts, struct migration *to)
{
	const struct kernel_view_array *v = facts->running;
	const struct kernel_array *a = v->array;
	char nodes[KERNEL_VIEW_TEXT];

	if (facts->is_to_kernel) {
		advise(find(to, MIGRATE_BLOCKS, "owner", "the kernel runs it already, as /dev/%s",
			    a->name),
		       "nothing is to be done");
		return;
	}
	advise(find(to, MIGRATE_FIRST, "owner", "the kernel runs it now, as /dev/%s, on %s", a->name,
		    list_nodes(v, nodes, sizeof(nodes))),
	       "stop it on every node");
	if (v->unused_roles)
		advise(find(to, MIGRATE_BLOCKS, "kicked",
			    "the kernel of this host runs it without role %s, which the superblocks have in sync: what was written here is not there",
			    kernel_view_roles(v->unused_roles, nodes)),
		       "where the kernel has those disks: mdadm /dev/%s --fail DISK, so that nobody takes them for good; add them again afterwards",
		       a->name);
	if (strcmp(a->activity, "reshape") == 0 && !is_told(to, "reshape"))
		advise(find(to, MIGRATE_BLOCKS, "reshape", "a reshape is under way"),
		       "wait for its end");
	else if (a->total_sectors || a->holdup[0])
		find(to, MIGRATE_NOTE, "activity",
		     "%s goes on; who runs the array next goes on with what the disks say is left",
		     a->activity);
	if (strcmp(a->bitmap, "file") == 0)
		advise(find(to, MIGRATE_BLOCKS, "bitmap-file", "its bitmap is in a file"),
		       "mdadm --grow --bitmap=none /dev/%s, then --bitmap=internal", a->name);
}

static void judge_daemon(const struct migrate_facts *facts, struct migration *to)
{
	if (facts->is_daemons && facts->is_to_kernel)
		advise(find(to, MIGRATE_FIRST, "owner",
			    "mdclusterd runs it now, on this node at least, as %s",
			    facts->daemon_array),
		       "stop it on every node");
	else if (facts->is_daemons)
		advise(find(to, MIGRATE_BLOCKS, "owner", "mdclusterd runs it already, as %s",
			    facts->daemon_array),
		       "nothing is to be done");
	if (facts->has_daemon && !facts->is_to_kernel && to->cluster[0] &&
	    strcmp(facts->daemon_cluster, to->cluster) != 0)
		advise(find(to, MIGRATE_BLOCKS, "cluster",
			    "it is of the cluster \"%s\", the mdclusterd of this host is of \"%s\"",
			    to->cluster, facts->daemon_cluster),
		       "mdcluster update --home-cluster=%s, once nobody runs it", facts->daemon_cluster);
}

/* What corosync and dlm_controld did for the kernel, a configuration of ours says anew. */
static void judge_new_daemon(const struct migrate_facts *facts, struct migration *to)
{
	if (facts->is_to_kernel || facts->has_daemon)
		return;
	advise(find(to, MIGRATE_NOTE, "fencing",
		    "dlm_controld's fencing proves nothing to mdclusterd: what a dead node had dirty waits until its death is proven"),
	       "add a section fence to mdclusterd.conf; without one mdcluster confirm-dead is yours to say, each time");
	if (facts->node_count == 2)
		advise(find(to, MIGRATE_NOTE, "quorum",
			    "one of two nodes has no quorum: when the other is gone its writes wait"),
		       "add to mdclusterd.conf quorum { two_node = yes }, with a fence device that really ends the other, or a tie_breaker");
}

static void judge_host(const struct migrate_facts *facts, struct migration *to)
{
	if (!facts->running && !facts->is_daemons)
		advise(find(to, MIGRATE_NOTE, "elsewhere",
			    "nobody runs it on this host; whether another one does is not seen from here"),
		       "ask on every node");
	if (facts->is_to_kernel && !facts->has_modules)
		advise(find(to, MIGRATE_NOTE, "modules",
			    "the kernel of this host (%s) has no md-cluster, or no dlm", facts->release),
		       "install one that has both on each node that shall run it");
	if (facts->is_to_kernel)
		advise(find(to, MIGRATE_NOTE, "cluster",
			    "the kernel runs it only in a corosync cluster that is called \"%s\", with dlm_controld",
			    to->cluster),
		       "or give it that cluster's name: mdcluster update --home-cluster");
}

/* --- all of it -------------------------------------------------------------------------------- */

static void take_names(const struct md_array *array, struct migration *to)
{
	const struct md_member *m = md_array_freshest(array);
	char name[MD_NAME_BYTES + 1];
	const char *colon = strchr(md_sb_name(&m->sb, name), ':');

	to->is_known = true;
	snprintf(to->name, sizeof(to->name), "%s", colon ? colon + 1 : name);
	memcpy(to->uuid, m->sb.set_uuid, sizeof(to->uuid));
	to->level = m->sb.level;
	to->raid_disks = m->sb.raid_disks;
	if (!m->has_bitmap || m->bitmap.version != BITMAP_VERSION_CLUSTERED)
		return;
	to->slots = m->bitmap.nodes;
	(void)text_printable(m->bitmap.cluster_name, BITMAP_CLUSTER_NAME_BYTES, to->cluster,
			     sizeof(to->cluster));
}

static const char *kind_of(const struct err *err)
{
	if (strstr(err->text, "0.90"))
		return "metadata";
	return strstr(err->text, "llbitmap") ? "bitmap" : "disks";
}

void migrate_judge(const struct migrate_facts *facts, struct migration *to)
{
	memset(to, 0, sizeof(*to));
	to->is_to_kernel = facts->is_to_kernel;
	if (facts->array) {
		take_names(facts->array, to);
		judge_rules(facts, to);
		judge_members(facts, to);
		judge_slots(facts, to);
	} else {
		find(to, MIGRATE_BLOCKS, kind_of(&facts->load_err), "%s", facts->load_err.text);
	}
	if (facts->running)
		judge_kernel(facts, to);
	judge_daemon(facts, to);
	judge_new_daemon(facts, to);
	judge_host(facts, to);
	to->is_possible = true;
	for (size_t i = 0; i < to->finding_count; i++)
		to->is_possible = to->is_possible && to->findings[i].weight != MIGRATE_BLOCKS;
	if (to->is_possible)
		migrate_make_steps(facts, to);
}
