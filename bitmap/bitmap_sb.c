/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/bitmap_sb.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"

enum { PAD_BYTES = 120 };

static int check_version(const struct bitmap_sb *sb, struct err *err)
{
	switch (sb->version) {
	case BITMAP_VERSION_PLAIN:
	case BITMAP_VERSION_CLUSTERED:
		return 0;
	case 3:
		return err_set(err, -EOPNOTSUPP,
			       "bitmap version 3 (host-endian) is not supported");
	case BITMAP_VERSION_LOCKLESS:
		return err_set(err, -EOPNOTSUPP,
			       "bitmap version 6 (llbitmap, lockless) has no slots and cannot be clustered: where the kernel runs it, mdadm --grow --bitmap=none, then --bitmap=internal");
	default:
		return err_set(err, -EOPNOTSUPP, "bitmap version %u is unknown",
			       sb->version);
	}
}

static int check_fields(const struct bitmap_sb *sb, struct err *err)
{
	if (!is_power_of_two(sb->chunksize) || sb->chunksize < 512)
		return err_set(err, -EBADMSG,
			       "bitmap chunksize %u is not a power of two of at least 512",
			       sb->chunksize);
	if (sb->sync_size == 0)
		return err_set(err, -EBADMSG, "bitmap sync_size is 0");
	if (sb->daemon_sleep < 1)
		return err_set(err, -EBADMSG, "bitmap daemon_sleep is 0 seconds");
	if (sb->write_behind > BITMAP_MAX_WRITE_BEHIND)
		return err_set(err, -EBADMSG,
			       "bitmap write_behind %u is larger than %d",
			       sb->write_behind, BITMAP_MAX_WRITE_BEHIND);
	if (sb->nodes > BITMAP_SANE_NODES)
		return err_set(err, -EBADMSG,
			       "bitmap nodes %u is larger than %d", sb->nodes,
			       BITMAP_SANE_NODES);
	if (sb->version == BITMAP_VERSION_CLUSTERED && sb->nodes == 0)
		return err_set(err, -EBADMSG,
			       "bitmap nodes is 0 in a clustered (version 5) bitmap");
	if (memchr(sb->cluster_name, 0, sizeof(sb->cluster_name)) == NULL)
		return err_set(err, -EBADMSG,
			       "bitmap cluster_name has no terminating NUL");
	return 0;
}

int bitmap_sb_parse(const uint8_t bytes[BITMAP_SB_BYTES], struct bitmap_sb *sb,
		    struct err *err)
{
	struct rd rd = rd_over(bytes, BITMAP_SB_BYTES);
	uint32_t magic = rd_u32(&rd);
	uint8_t pad[PAD_BYTES];
	int r, i;

	memset(sb, 0, sizeof(*sb));
	if (magic != BITMAP_SB_MAGIC)
		return err_set(err, -ENOENT,
			       "no bitmap superblock (magic %08x, expected %08x)",
			       magic, BITMAP_SB_MAGIC);
	sb->version = rd_u32(&rd);
	rd_bytes(&rd, sb->uuid, sizeof(sb->uuid));
	sb->events = rd_u64(&rd);
	sb->events_cleared = rd_u64(&rd);
	sb->sync_size = rd_u64(&rd);
	sb->state = rd_u32(&rd);
	sb->chunksize = rd_u32(&rd);
	sb->daemon_sleep = rd_u32(&rd);
	sb->write_behind = rd_u32(&rd);
	sb->sectors_reserved = rd_u32(&rd);
	sb->nodes = rd_u32(&rd);
	rd_bytes(&rd, sb->cluster_name, sizeof(sb->cluster_name));
	rd_bytes(&rd, pad, sizeof(pad));

	r = check_version(sb, err);
	if (r == 0)
		r = check_fields(sb, err);
	for (i = 0; r == 0 && i < PAD_BYTES; i++)
		if (pad[i])
			r = err_set(err, -EOPNOTSUPP,
				    "bitmap pad is not zero: written by a newer kernel or mdadm");
	return r;
}

void bitmap_sb_emit(const struct bitmap_sb *sb, uint8_t bytes[BITMAP_SB_BYTES])
{
	struct wr wr = wr_over(bytes, BITMAP_SB_BYTES);

	wr_u32(&wr, BITMAP_SB_MAGIC);
	wr_u32(&wr, sb->version);
	wr_bytes(&wr, sb->uuid, sizeof(sb->uuid));
	wr_u64(&wr, sb->events);
	wr_u64(&wr, sb->events_cleared);
	wr_u64(&wr, sb->sync_size);
	wr_u32(&wr, sb->state);
	wr_u32(&wr, sb->chunksize);
	wr_u32(&wr, sb->daemon_sleep);
	wr_u32(&wr, sb->write_behind);
	wr_u32(&wr, sb->sectors_reserved);
	wr_u32(&wr, sb->nodes);
	wr_bytes(&wr, sb->cluster_name, sizeof(sb->cluster_name));
	wr_zero(&wr, PAD_BYTES);
	assert(!wr.failed && wr.at == BITMAP_SB_BYTES);
}

bool bitmap_sb_is_stale(const struct bitmap_sb *sb)
{
	return sb->state != 0;
}

const char *bitmap_sb_cluster_name(const struct bitmap_sb *sb)
{
	return (const char *)sb->cluster_name;
}

int bitmap_sb_set_cluster_name(struct bitmap_sb *sb, const char *name,
			       struct err *err)
{
	size_t length = strlen(name), i;

	if (length == 0)
		return err_set(err, -EINVAL, "home-cluster: the name of the cluster is empty");
	if (length >= sizeof(sb->cluster_name))
		return err_set(err, -EINVAL,
			       "home-cluster: the name of the cluster has %zu bytes, at most %zu fit",
			       length, sizeof(sb->cluster_name) - 1);
	for (i = 0; i < length; i++)
		if (iscntrl((unsigned char)name[i]))
			return err_set(err, -EINVAL,
				       "home-cluster: byte %zu of the name is a control character",
				       i);
	memset(sb->cluster_name, 0, sizeof(sb->cluster_name));
	memcpy(sb->cluster_name, name, length);
	return 0;
}
