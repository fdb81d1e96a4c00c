/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why T1 holds. A flag that is up is seen by everybody who reads behind its write; both
 * raise before they look, so of two at least one sees the other. Who takes the other for
 * dead saw its sector unchanged from w to w + 6 time-outs, and then, behind its own raising,
 * once more. The other's last write that landed began before w, so its belief ends before
 * w + 5 time-outs; and one that lands later ends too late to count (T2), and what it begins
 * anew sees our flag.
 */
#include "mdclusterd/quorum/tie_breaker.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/fnv.h"
#include "base/err.h"

enum {
	VERSION = 1,
	NODE_HASH_AT = 33,
	HEAD_HASH_AT = 84,
	IDLE_TIMEOUTS = 10, /* between two looks that nobody needs */
	HASHED_MOST = 512,
};

enum { FLAG_DOWN, FLAG_RAISED, FLAG_HELD };

static const char head_magic[8] = { 'M', 'D', 'C', 'T', 'I', 'E', 'B', 'R' };
static const char node_magic[8] = { 'M', 'D', 'C', 'T', 'I', 'E', 'N', 'O' };

/* --- bytes ----------------------------------------------------------------------------------- */

static void put_sector(const struct tie_breaker *t, uint8_t state, uint8_t sector[TIE_SECTOR_BYTES])
{
	struct wr wr = wr_over(sector, TIE_SECTOR_BYTES);

	memset(sector, 0, TIE_SECTOR_BYTES);
	wr_bytes(&wr, node_magic, sizeof(node_magic));
	wr_u32(&wr, VERSION);
	wr_u32(&wr, t->config.id);
	wr_u64(&wr, t->config.generation);
	wr_u64(&wr, t->stamp);
	wr_u8(&wr, state);
	wr_u64(&wr, fnv_add(FNV_START, sector, NODE_HASH_AT));
}

/* T3: what makes no sense is up. */
static uint8_t state_of(const uint8_t sector[TIE_SECTOR_BYTES])
{
	static const uint8_t zeroes[HASHED_MOST];
	struct rd rd = rd_over(sector, TIE_SECTOR_BYTES);
	uint8_t state;

	if (memcmp(sector, zeroes, sizeof(zeroes)) == 0)
		return FLAG_DOWN;
	rd_seek(&rd, NODE_HASH_AT - 1);
	state = rd_u8(&rd);
	if (memcmp(sector, node_magic, sizeof(node_magic)) != 0 || state > FLAG_HELD ||
	    rd_u64(&rd) != fnv_add(FNV_START, sector, NODE_HASH_AT))
		return FLAG_HELD;
	return state;
}

void tie_breaker_format(uint8_t sector[TIE_SECTOR_BYTES], const char *cluster)
{
	struct wr wr = wr_over(sector, TIE_SECTOR_BYTES);
	char name[TIE_NAME_BYTES] = "";

	memset(sector, 0, TIE_SECTOR_BYTES);
	memcpy(name, cluster, strnlen(cluster, sizeof(name) - 1));
	wr_bytes(&wr, head_magic, sizeof(head_magic));
	wr_u32(&wr, VERSION);
	wr_u32(&wr, TIE_SECTOR_BYTES);
	wr_u32(&wr, TOTEM_MAX_NODES);
	wr_bytes(&wr, name, sizeof(name));
	wr_u64(&wr, fnv_add(FNV_START, sector, HEAD_HASH_AT));
}

int tie_breaker_check(const uint8_t sector[TIE_SECTOR_BYTES], const char *cluster,
		      struct err *err)
{
	struct rd rd = rd_over(sector, TIE_SECTOR_BYTES);
	char name[TIE_NAME_BYTES];
	uint32_t version, bytes, sectors;

	if (memcmp(sector, head_magic, sizeof(head_magic)) != 0)
		return err_set(err, -ENOENT, "is no tie-breaker disk: mdcluster quorum --format makes it one");
	rd_seek(&rd, sizeof(head_magic));
	version = rd_u32(&rd);
	bytes = rd_u32(&rd);
	sectors = rd_u32(&rd);
	rd_bytes(&rd, name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (rd_u64(&rd) != fnv_add(FNV_START, sector, HEAD_HASH_AT))
		return err_set(err, -EBADMSG, "its first sector is damaged");
	if (version != VERSION || bytes != TIE_SECTOR_BYTES || sectors != TOTEM_MAX_NODES)
		return err_set(err, -EBADMSG, "is of another version, %u", version);
	if (cluster && strncmp(name, cluster, sizeof(name) - 1) != 0)
		return err_set(err, -EBADMSG, "is that of another cluster, '%s'", name);
	return 0;
}

/* --- steps -------------------------------------------------------------------------------------- */

void tie_breaker_init(struct tie_breaker *t, const struct tie_breaker_config *config)
{
	*t = (struct tie_breaker){ .config = *config, .is_flag_unsure = true };
}

static uint64_t lease_ns(const struct tie_breaker *t)
{
	return TIE_LEASE_TIMEOUTS * t->config.io_timeout_ns;
}

static uint64_t dead_ns(const struct tie_breaker *t)
{
	return TIE_DEAD_TIMEOUTS * t->config.io_timeout_ns + t->config.margin_ns;
}

static void go(struct tie_breaker *t, enum tie_breaker_state state, uint64_t at)
{
	t->state = state;
	t->next_at = at;
}

/*
 * The flag may be up on the disk: down with it, then from the start. Not at once where it was
 * believed in: others of this part may do so yet (T4).
 */
static void start_over(struct tie_breaker *t, uint64_t at)
{
	if (t->until > 0 || t->state == TIE_HELD)
		at += t->config.margin_ns;
	t->until = 0;
	go(t, TIE_LOWERING, at);
}

void tie_breaker_want(struct tie_breaker *t, uint64_t now, bool is_wanted)
{
	if (t->is_wanted == is_wanted)
		return;
	t->is_wanted = is_wanted;
	if (t->is_busy)
		return; /* its end looks */
	if (is_wanted && t->state == TIE_DOWN)
		go(t, TIE_WATCHING, now);
	else if (!is_wanted && t->state == TIE_WATCHING)
		go(t, TIE_DOWN, now);
	else if (!is_wanted)
		start_over(t, now);
}

static void expire(struct tie_breaker *t, uint64_t now)
{
	if (t->state == TIE_HELD && now >= t->until)
		start_over(t, now);
}

enum tie_breaker_action tie_breaker_next(struct tie_breaker *t, uint64_t now,
					 uint8_t sector[TIE_SECTOR_BYTES])
{
	if (t->is_busy)
		return TIE_NOTHING;
	expire(t, now);
	if (now < t->next_at)
		return TIE_NOTHING;
	t->is_busy = true;
	t->began_at = now;
	if (t->state == TIE_DOWN || t->state == TIE_WATCHING || t->state == TIE_CHECKING)
		return TIE_READ;
	if (t->state == TIE_RAISING)
		t->raised_at = now;
	t->written_state = t->state == TIE_LOWERING ? FLAG_DOWN :
			   t->state == TIE_HELD ? FLAG_HELD : FLAG_RAISED;
	t->stamp++;
	put_sector(t, t->written_state, sector);
	return TIE_WRITE;
}

/* --- what was read ---------------------------------------------------------------------------------- */

static void note(struct tie_breaker *t, uint64_t now, const uint8_t *sectors)
{
	for (int i = 0; i < t->config.nodes; i++) {
		const uint8_t *sector = sectors + (size_t)i * TIE_SECTOR_BYTES;
		uint64_t key = fnv_add(FNV_START, sector, HASHED_MOST);

		if (t->seen[i].is_known && t->seen[i].key == key)
			continue;
		t->seen[i].is_known = true;
		t->seen[i].key = key;
		t->seen[i].state = state_of(sector);
		t->seen[i].since = now;
	}
}

/* T2: as far as the read shows that began at began_at. */
static bool is_in_the_way(const struct tie_breaker *t, int i)
{
	if (i == t->config.self || t->seen[i].state == FLAG_DOWN)
		return false;
	return t->began_at < t->seen[i].since || t->began_at - t->seen[i].since < dead_ns(t);
}

static bool is_clear(const struct tie_breaker *t)
{
	for (int i = 0; i < t->config.nodes; i++)
		if (is_in_the_way(t, i))
			return false;
	return true;
}

/* Of several who have raised their flags the lowest waits for the others to give up. */
static bool may_wait(const struct tie_breaker *t)
{
	for (int i = 0; i < t->config.nodes; i++)
		if (is_in_the_way(t, i) && (t->seen[i].state == FLAG_HELD || i < t->config.self))
			return false;
	return true;
}

static bool is_own_sector_there(const struct tie_breaker *t, const uint8_t *sectors)
{
	uint8_t wanted[TIE_SECTOR_BYTES];

	put_sector(t, t->written_state, wanted);
	return memcmp(wanted, sectors + (size_t)t->config.self * TIE_SECTOR_BYTES,
		      HASHED_MOST) == 0;
}

static void checked(struct tie_breaker *t, uint64_t now, const uint8_t *sectors)
{
	const uint64_t timeout = t->config.io_timeout_ns;

	if (!is_own_sector_there(t, sectors) || now >= t->raised_at + lease_ns(t)) {
		start_over(t, now);
	} else if (is_clear(t)) {
		t->until = t->raised_at + lease_ns(t);
		go(t, TIE_HELD, now);
	} else if (may_wait(t)) {
		go(t, TIE_CHECKING, now + timeout / 4);
	} else {
		start_over(t, now);
	}
}

static void look_at_own(struct tie_breaker *t, uint64_t now)
{
	/* of an earlier life: others would wait for it to be dead */
	if (t->is_flag_unsure && t->seen[t->config.self].state != FLAG_DOWN)
		start_over(t, now);
	t->is_flag_unsure = false;
}

void tie_breaker_has_read(struct tie_breaker *t, uint64_t now, int result,
			  const uint8_t *sectors)
{
	const uint64_t timeout = t->config.io_timeout_ns;

	t->is_busy = false;
	t->is_usable = result == 0 && now - t->began_at < lease_ns(t);
	if (result == 0)
		note(t, now, sectors);
	if (t->state == TIE_CHECKING && (result < 0 || !t->is_wanted)) {
		start_over(t, now + (result < 0 ? timeout : 0));
	} else if (t->state == TIE_CHECKING) {
		checked(t, now, sectors);
	} else if (!t->is_wanted) {
		go(t, TIE_DOWN, now + IDLE_TIMEOUTS * timeout);
		if (result == 0)
			look_at_own(t, now);
	} else if (result < 0 || !is_clear(t)) {
		go(t, TIE_WATCHING, now + timeout);
	} else {
		go(t, TIE_RAISING, now);
	}
}

/* --- what was written ---------------------------------------------------------------------------------- */

static void renewed(struct tie_breaker *t, uint64_t now, int result)
{
	if (now >= t->until || !t->is_wanted) {
		start_over(t, now);
		return;
	}
	if (result == 0)
		t->until = t->began_at + lease_ns(t);
	go(t, TIE_HELD, now + t->config.io_timeout_ns / (result == 0 ? 1 : 2));
}

void tie_breaker_has_written(struct tie_breaker *t, uint64_t now, int result)
{
	const uint64_t timeout = t->config.io_timeout_ns;

	t->is_busy = false;
	t->is_usable = result == 0 && now - t->began_at < lease_ns(t);
	if (t->state == TIE_HELD) {
		renewed(t, now, result);
	} else if (result < 0) {
		start_over(t, now + timeout);
	} else if (t->state == TIE_RAISING && t->is_wanted) {
		go(t, TIE_CHECKING, now);
	} else if (t->state == TIE_RAISING) {
		start_over(t, now);
	} else if (t->is_wanted) {
		/* not at the same pace as others */
		go(t, TIE_WATCHING, now + timeout / 2 + timeout / 4 * (uint64_t)t->config.self);
	} else {
		go(t, TIE_DOWN, now + IDLE_TIMEOUTS * timeout);
	}
}

uint64_t tie_breaker_deadline(const struct tie_breaker *t)
{
	if (t->is_busy)
		return UINT64_MAX;
	return t->state == TIE_HELD ? min_u64(t->next_at, t->until) : t->next_at;
}

uint64_t tie_breaker_until(const struct tie_breaker *t)
{
	return t->state == TIE_HELD && t->is_wanted ? t->until : 0;
}

bool tie_breaker_is_usable(const struct tie_breaker *t)
{
	return t->is_usable;
}
