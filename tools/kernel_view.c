/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/kernel_view.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"
#include "base/slurp.h"
#include "base/text.h"
#include "bitmap/array.h"
#include "bitmap/disk.h"
#include "lockres/dlm_view.h"

enum { DEBUGFS_MOST = 1 << 24 };

static void say_unseen(struct kernel_view_array *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say_unseen(struct kernel_view_array *a, const char *fmt, ...)
{
	va_list args;

	if (a->unseen_count == KERNEL_VIEW_UNSEEN)
		return;
	va_start(args, fmt);
	vsnprintf(a->unseen[a->unseen_count++], KERNEL_VIEW_TEXT, fmt, args);
	va_end(args);
}

/* --- slots, on the disks -------------------------------------------------------------------- */

static void read_slot(struct kernel_view_array *a, const struct md_array *array,
		      uint32_t number)
{
	struct kernel_slot *s = &a->slots[number];
	struct err err = ERR_INIT;
	struct bitmap_slot slot;

	if (md_array_load_slot(array, number, &slot, &err) == 0) {
		s->has_bits = true;
		s->is_stale = bitmap_sb_is_stale(&slot.sb);
		s->dirty_chunks = bitmap_slot_dirty_chunks(&slot);
		s->dirty_bytes = bitmap_slot_dirty_bytes(&slot);
	} else {
		say_unseen(a, "the bits of slot %u: %s", number, err.text);
	}
	bitmap_slot_fini(&slot);
}

static uint64_t used_roles(const struct kernel_array *array)
{
	uint64_t used = 0;

	for (size_t i = 0; i < array->disk_count; i++)
		if (array->disks[i].role >= 0 && array->disks[i].role < 64 &&
		    !strstr(array->disks[i].state, "faulty"))
			used |= UINT64_C(1) << array->disks[i].role;
	return used;
}

static uint64_t unused_roles(const struct kernel_array *array, const struct md_sb *sb)
{
	uint64_t named = 0;

	for (uint32_t dev = 0; dev < sb->max_dev; dev++)
		if (sb->roles[dev] < min_u64(sb->raid_disks, 64))
			named |= UINT64_C(1) << sb->roles[dev];
	return kernel_array_is_run(array->state) ? named & ~used_roles(array) : 0;
}

static void read_superblocks(struct kernel_view_array *a, const struct md_array *array)
{
	const struct md_member *m = md_array_freshest(array);

	a->has_superblock = true;
	a->unused_roles = unused_roles(a->array, &m->sb);
	md_sb_name(&m->sb, a->name);
	if (!m->has_bitmap)
		return;
	(void)text_printable(m->bitmap.cluster_name, BITMAP_CLUSTER_NAME_BYTES, a->cluster,
			     sizeof(a->cluster));
	a->chunk_bytes = m->bitmap.chunksize;
	a->slot_count = (uint32_t)min_u64(m->bitmap.nodes, BITMAP_MAX_NODES);
	for (uint32_t i = 0; i < a->slot_count; i++)
		read_slot(a, array, i);
}

static const char *advice(int code)
{
	return code == -EACCES || code == -EPERM ? " (root may read it)" : "";
}

/* Those that have not failed; reading goes past the page cache of the array and its disks. */
static size_t open_disks(const char *root, const struct kernel_array *array,
			 struct disk **disks, struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < array->disk_count; i++) {
		char path[PATH_MAX];

		if (strstr(array->disks[i].state, "faulty"))
			continue;
		snprintf(path, sizeof(path), "%s/dev/%s", root, array->disks[i].name);
		for (char *c = path + strlen(root); *c; c++)
			if (*c == '!')
				*c = '/';
		disks[count] = disk_aio_open(path, DISK_RDONLY, err);
		if (disks[count])
			count++;
	}
	return count;
}

static int read_disks(struct kernel_view_array *a, const char *root, struct err *err)
{
	size_t most = a->array->disk_count;
	CLEANUP_FREE struct disk **disks = calloc(most + 1, sizeof(struct disk *));
	struct err why = ERR_INIT;
	struct md_array array;
	size_t count;

	if (!disks)
		return err_nomem(err, "the list of disks");
	count = open_disks(root, a->array, disks, &why);
	if (count && md_array_load(&array, disks, count, NULL, &why) == 0) {
		read_superblocks(a, &array);
		md_array_fini(&array);
	}
	if (!a->has_superblock)
		say_unseen(a, "what the slots on the disks hold: %s%s",
			   why.code ? why.text : "no disk of it is in use", advice(why.code));
	while (count > 0)
		disk_close(disks[--count]);
	return 0;
}

/* --- the lockspace -------------------------------------------------------------------------- */

static void dashed(const uint8_t uuid[16], char to[TEXT_UUID_BYTES])
{
	size_t at = 0;

	for (size_t i = 0; i < 16; i++)
		at += (size_t)snprintf(to + at, TEXT_UUID_BYTES - at, "%s%02x",
				       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static uint32_t find_self(const char *root)
{
	char path[PATH_MAX - 256], line[16];
	const struct dirent *e;
	uint32_t node = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/kernel/config/dlm/cluster/comms", root);
	dir = opendir(path);
	while (dir && !node && (e = readdir(dir)) != NULL)
		if (slurp_line(line, sizeof(line), "%s/%s/local", path, e->d_name) &&
		    strcmp(line, "1") == 0)
			node = (uint32_t)strtoul(e->d_name, NULL, 10);
	if (dir)
		closedir(dir);
	return node;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void read_nodes(struct kernel_view_array *a, const char *root, const char *space)
{
	const struct dirent *e;
	char path[PATH_MAX];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/kernel/config/dlm/cluster/spaces/%s/nodes", root,
		 space);
	dir = opendir(path);
	a->has_nodes = dir != NULL;
	while (dir && a->node_count < KERNEL_VIEW_NODES && (e = readdir(dir)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]))
			a->nodes[a->node_count++] = (uint32_t)strtoul(e->d_name, NULL, 10);
	if (dir)
		closedir(dir);
	else
		say_unseen(a, "which nodes have it in use: configfs has no lockspace of it: is dlm_controld running, and configfs mounted?");
	qsort(a->nodes, a->node_count, sizeof(a->nodes[0]), by_number);
}

/* Who has been granted this mode or a stronger one. */
static bool find_holder(const struct dlm_view *r, uint32_t self, enum lock_mode least,
			uint32_t *node, bool *is_self)
{
	for (size_t i = 0; i < min_u64(r->lock_count, DLM_VIEW_LOCKS); i++) {
		const struct dlm_view_lock *l = &r->locks[i];

		if (l->granted < least)
			continue;
		*is_self = l->node == 0;
		*node = l->node ? l->node : self;
		return true;
	}
	return false;
}

/* "bitmap0003" */
static void take_slot(struct kernel_view_array *a, const struct dlm_view *r, uint32_t self)
{
	char *end;
	unsigned long number = strtoul(r->name + strlen("bitmap"), &end, 10);
	struct kernel_window window;
	struct kernel_slot *s;

	if (*end || number >= BITMAP_MAX_NODES)
		return;
	s = &a->slots[number];
	if (find_holder(r, self, LOCK_PW, &s->node, &s->is_self)) {
		s->use = KERNEL_SLOT_HELD;
		if (s->is_self)
			a->own_slot = (int32_t)number;
	}
	if (r->master != 0)
		return; /* no value here */
	s->has_window = true;
	if (r->has_value && kernel_window_decode(r->value, r->value_length, &window) == MSG_SOUND &&
	    window.low < window.high) {
		s->low = window.low;
		s->high = window.high;
	}
}

static void take_resource(struct kernel_view_array *a, const struct dlm_view *r, uint32_t self)
{
	bool ignored;

	if (strncmp(r->name, "bitmap", 6) == 0)
		take_slot(a, r, self);
	else if (strcmp(r->name, "resync") == 0)
		(void)find_holder(r, self, LOCK_EX, &a->resyncer, &ignored);
	else if (strcmp(r->name, "token") == 0)
		(void)find_holder(r, self, LOCK_EX, &a->speaker, &ignored);
	else if (strcmp(r->name, "message") == 0 && r->has_value)
		a->has_message = kernel_message_decode(r->value, r->value_length,
						       &a->message) == MSG_SOUND;
}

static void explain_locks(struct kernel_view_array *a, const char *root, int error)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/sys/kernel/debug/dlm", root);
	if (error == EACCES || error == EPERM)
		say_unseen(a, "locks, resync windows and messages: only root may read debugfs (and nobody, where the kernel is locked down)");
	else if (stat(path, &st) < 0)
		say_unseen(a, "locks, resync windows and messages: debugfs shows no DLM; mount -t debugfs debugfs /sys/kernel/debug");
	else
		say_unseen(a, "locks, resync windows and messages: debugfs has no lockspace of its uuid (%s)",
			   strerror(error));
}

static void read_locks(struct kernel_view_array *a, const char *root, const char *space,
		       uint32_t self)
{
	CLEANUP_FREE char *text = NULL;
	struct dlm_view resource;
	char path[PATH_MAX];
	size_t length = 0;
	const char *at;

	snprintf(path, sizeof(path), "%s/sys/kernel/debug/dlm/%s_all", root, space);
	text = slurp(path, DEBUGFS_MOST, &length);
	if (!text) {
		explain_locks(a, root, errno);
		return;
	}
	a->has_locks = true;
	at = text;
	while (dlm_view_next(&at, text + length, &resource))
		take_resource(a, &resource, self);
}

/* A lockspace of this node alone: nobody else has a slot. */
static void find_vacant(struct kernel_view_array *a, uint32_t self)
{
	bool is_alone = a->has_nodes && self && a->node_count == 1 && a->nodes[0] == self;

	for (uint32_t i = 0; is_alone && a->own_slot >= 0 && i < a->slot_count; i++)
		if ((int32_t)i != a->own_slot)
			a->slots[i].use = KERNEL_SLOT_VACANT;
}

/* --- the view ------------------------------------------------------------------------------- */

static int take_array(struct kernel_view *view, const char *root,
		      const struct kernel_array *array, struct err *err)
{
	struct kernel_view_array *a = &view->arrays[view->count++];
	char space[TEXT_UUID_BYTES];
	int r;

	a->array = array;
	a->own_slot = -1;
	r = read_disks(a, root, err);
	if (r < 0)
		return r;
	if (!array->has_uuid) {
		say_unseen(a, "its lockspace: neither the kernel nor a disk tells the array's uuid");
		return 0;
	}
	dashed(array->uuid, space);
	read_nodes(a, root, space);
	read_locks(a, root, space, view->node);
	find_vacant(a, view->node);
	return 0;
}

int kernel_view_take(const char *root, struct kernel_view *view, struct err *err)
{
	int r;

	*view = (struct kernel_view){ .node = find_self(root) };
	r = kernel_arrays_read(root, &view->kernel, err);
	if (r < 0)
		return r;
	view->arrays = calloc(view->kernel.count + 1, sizeof(*view->arrays));
	if (!view->arrays)
		r = err_nomem(err, "the kernel's arrays");
	for (size_t i = 0; r == 0 && i < view->kernel.count; i++)
		if (view->kernel.arrays[i].is_clustered)
			r = take_array(view, root, &view->kernel.arrays[i], err);
	if (r < 0)
		kernel_view_fini(view);
	return r;
}

void kernel_view_fini(struct kernel_view *view)
{
	free(view->arrays);
	kernel_arrays_fini(&view->kernel);
	*view = (struct kernel_view){ 0 };
}

static bool is_name(const struct kernel_view_array *a, const char *word)
{
	const char *colon = strchr(a->name, ':');

	return strcmp(a->array->name, word) == 0 ||
	       (a->has_superblock && (strcmp(a->name, word) == 0 ||
				      (colon && strcmp(colon + 1, word) == 0)));
}

const struct kernel_view_array *kernel_view_find(const struct kernel_view *view,
						 const char *word)
{
	struct err ignored = ERR_INIT;
	uint8_t uuid[16];
	bool is_uuid = text_parse_uuid(word, "uuid", uuid, &ignored) == 0;

	if (strncmp(word, "/dev/", 5) == 0)
		word += 5;
	if (strncmp(word, "md/", 3) == 0)
		word += 3;
	for (size_t i = 0; i < view->count; i++) {
		const struct kernel_view_array *a = &view->arrays[i];

		if (is_name(a, word) || (is_uuid && a->array->has_uuid &&
					 memcmp(a->array->uuid, uuid, sizeof(uuid)) == 0))
			return a;
	}
	return NULL;
}

const char *kernel_view_roles(uint64_t roles, char to[KERNEL_VIEW_TEXT])
{
	size_t at = 0;

	to[0] = '\0';
	for (unsigned int i = 0; i < 64; i++)
		if (roles >> i & 1)
			at += (size_t)snprintf(to + at, KERNEL_VIEW_TEXT - at, "%s%u", at ? ", " : "", i);
	return to;
}

uint64_t kernel_view_orphaned_bytes(const struct kernel_view_array *a)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < a->slot_count; i++)
		if (a->slots[i].use == KERNEL_SLOT_VACANT)
			bytes += a->slots[i].dirty_bytes;
	return bytes;
}

enum status_health kernel_view_health(const struct kernel_view_array *a)
{
	static const char *const served[] = { "active", "clean", "active-idle", "write-pending",
					      "readonly", "read-auto" };
	const struct kernel_array *k = a->array;
	bool is_served = false;

	for (size_t i = 0; i < ARRAY_SIZE(served); i++)
		is_served |= strcmp(k->state, served[i]) == 0;
	if (!is_served)
		return STATUS_DOWN;
	return k->degraded || a->unused_roles || k->total_sectors || k->holdup[0] || kernel_view_orphaned_bytes(a) ?
		       STATUS_DEGRADED :
		       STATUS_FINE;
}
