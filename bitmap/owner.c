/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/owner.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/fnv.h"
#include "base/printable.h"

/*
 *	0   magic     "mdcowner"
 *	8   u32       1, the version
 *	12  u32       0
 *	16  uuid[16]  the array's
 *	32  host[64]  zero padded, maybe full
 *	96  cluster[64]
 *	160 u64       FNV-1a of the 160 before
 *	168           zeroes, as far as the sector goes
 */
enum {
	MARK_AT = MD_SB_BYTES - SECTOR_BYTES,
	MARK_VERSION = 1,
	MARK_SUMMED = 160,
};

static const uint8_t magic[8] = { 'm', 'd', 'c', 'o', 'w', 'n', 'e', 'r' };

static_assert(MARK_SUMMED == 32 + MD_OWNER_HOST_BYTES + BITMAP_CLUSTER_NAME_BYTES,
	      "the sum covers all of the mark");

static bool has_room(const struct md_sb *sb)
{
	return MD_SB_HEADER_BYTES + 2 * sb->max_dev <= MARK_AT;
}

static uint64_t sum(const uint8_t *mark)
{
	return fnv_add(FNV_START, mark, MARK_SUMMED);
}

/* The host before the colon; "": there is none. Its length. */
static size_t host_in_name(const struct md_sb *sb, char to[MD_NAME_BYTES + 1])
{
	char *colon;

	md_sb_name(sb, to);
	colon = strchr(to, ':');
	if (colon)
		*colon = '\0';
	else
		to[0] = '\0';
	return strlen(to);
}

static bool is_short_of(const char *host, const char *whole)
{
	size_t length = strcspn(whole, ".");

	return strlen(host) == length && memcmp(host, whole, length) == 0;
}

bool md_owner_read(const struct md_sb *sb, const uint8_t block[MD_SB_BYTES],
		   struct md_owner *owner)
{
	struct rd rd = rd_over(block, MD_SB_BYTES);
	char host[MD_NAME_BYTES + 1], raw[MD_OWNER_HOST_BYTES];
	uint8_t word[16];
	uint64_t version;

	memset(owner, 0, sizeof(*owner));
	if ((sb->feature_map & MD_FEATURE_CLUSTERED) || !has_room(sb))
		return false;
	rd_seek(&rd, MARK_AT);
	rd_bytes(&rd, word, sizeof(magic));
	version = rd_u64(&rd);
	if (memcmp(word, magic, sizeof(magic)) != 0 || version != MARK_VERSION)
		return false;
	rd_bytes(&rd, word, 16);
	if (memcmp(word, sb->set_uuid, 16) != 0)
		return false;
	rd_bytes(&rd, raw, sizeof(raw));
	text_printable((const uint8_t *)raw, sizeof(raw), owner->host, sizeof(owner->host));
	rd_bytes(&rd, raw, BITMAP_CLUSTER_NAME_BYTES);
	text_printable((const uint8_t *)raw, BITMAP_CLUSTER_NAME_BYTES, owner->cluster,
		       sizeof(owner->cluster));
	if (rd_u64(&rd) != sum(block + MARK_AT))
		return false;
	if (host_in_name(sb, host) > 0 && !is_short_of(host, owner->host))
		snprintf(owner->host, sizeof(owner->host), "%s", host);
	return true;
}

bool md_owner_mark(const struct md_sb *sb, uint8_t block[MD_SB_BYTES],
		   const struct md_owner *owner)
{
	struct wr wr = wr_over(block, MD_SB_BYTES);

	if (!has_room(sb))
		return false;
	wr_seek(&wr, MARK_AT);
	wr_bytes(&wr, magic, sizeof(magic));
	wr_u64(&wr, MARK_VERSION);
	wr_bytes(&wr, sb->set_uuid, 16);
	wr_bytes(&wr, owner->host, MD_OWNER_HOST_BYTES);
	wr_bytes(&wr, owner->cluster, BITMAP_CLUSTER_NAME_BYTES);
	wr_u64(&wr, sum(block + MARK_AT));
	wr_zero(&wr, SECTOR_BYTES - MARK_SUMMED - 8);
	return true;
}

bool md_owner_erase(const struct md_sb *sb, uint8_t block[MD_SB_BYTES])
{
	if (!has_room(sb) || memcmp(block + MARK_AT, magic, sizeof(magic)) != 0)
		return false;
	memset(block + MARK_AT, 0, SECTOR_BYTES);
	return true;
}

int md_owner_rename(struct md_sb *sb, const char *host, struct err *err)
{
	char was[MD_NAME_BYTES + 1], name[MD_OWNER_HOST_BYTES + MD_NAME_BYTES + 2];
	const char *colon, *base;
	int length = (int)strcspn(host, ".");

	if (length == 0 || strlen(host) > MD_OWNER_HOST_BYTES || strpbrk(host, ":/ "))
		return err_set(err, -EINVAL, "'%s' is no name of a host", host);
	md_sb_name(sb, was);
	colon = strchr(was, ':');
	base = colon && colon[1] ? colon + 1 : was;
	if (length + 1 + (int)strlen(base) <= MD_NAME_BYTES)
		snprintf(name, sizeof(name), "%.*s:%s", length, host, base);
	else
		snprintf(name, sizeof(name), "%s", base);
	return md_sb_set_name(sb, name, err);
}

bool md_owner_is(const struct md_owner *owner, const char *host)
{
	if (strcmp(owner->host, "any") == 0 || strcmp(owner->host, host) == 0)
		return true;
	if (strchr(owner->host, '.') && strchr(host, '.'))
		return false;
	return strchr(host, '.') ? is_short_of(owner->host, host) : is_short_of(host, owner->host);
}

const char *md_owner_words(const struct md_owner *owner, char to[MD_OWNER_WORDS_BYTES])
{
	bool has_name = owner->cluster[0];

	snprintf(to, MD_OWNER_WORDS_BYTES,
		 "it left %s%s%s, and is of host %s alone since (mdcluster update --homehost gives it to another, grow --bitmap=clustered back to a cluster)",
		 has_name ? "cluster '" : "its cluster", owner->cluster, has_name ? "'" : "",
		 owner->host);
	return to;
}
