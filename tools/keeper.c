/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include <linux/nbd.h>

#include "base/clock.h"
#include "base/err.h"

enum {
	SWEEP_S = 10,       /* what was under way goes on after at most so long */
	SWEEP_MANY_S = 30,  /* of several connections: the kernel's own */
	SWEEP_MORE_S = 3,   /* its timers are late by a second or two */
	PAUSE_MS = 200,     /* between offers while requests wait */
	WATCH_MS = 5000,    /* ... and while all seems well */
};

static uint32_t count(const struct keeper *k, int state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->connections; i++)
		n += k->sockets[i] == state;
	return n;
}

static bool is_wanting(const struct keeper *k)
{
	return count(k, KEEPER_DEAD) || count(k, KEEPER_UNSEEN);
}

static bool is_missing(const struct keeper *k)
{
	return count(k, KEEPER_DEAD) || (k->is_away && count(k, KEEPER_UNSEEN));
}

/* --- K1, K2 ----------------------------------------------------------------------------- */

unsigned int keeper_sweep_s(const struct keeper *k)
{
	return k->connections > 1 ? SWEEP_MANY_S : SWEEP_S;
}

static void sweep(struct keeper *k, uint64_t now_ns)
{
	k->calm_at_ns = now_ns + (keeper_sweep_s(k) + SWEEP_MORE_S) * NS_PER_S;
	if (k->connections == 1)
		k->ground->set_timeout(k->owner, keeper_sweep_s(k));
}

/* An offer sets the kernel's timeout: its only sign that it took it (nbd_kernel_add()). */
static void keep_calm(struct keeper *k)
{
	if (k->calm_at_ns == 0 && k->connections == 1)
		k->ground->set_timeout(k->owner, 0);
}

static void calm(struct keeper *k, uint64_t now_ns)
{
	if (k->calm_at_ns == 0 || k->lost_at_ns || now_ns < k->calm_at_ns)
		return;
	k->calm_at_ns = 0;
	keep_calm(k);
}

/* --- losses ------------------------------------------------------------------------------ */

static void lose(struct keeper *k, uint64_t now_ns)
{
	if (k->lost_at_ns)
		return;
	k->lost_at_ns = now_ns;
	k->ground->tell(k->owner, KEEPER_LOST, 0, NULL);
}

static void find_again(struct keeper *k, uint64_t now_ns)
{
	if (!k->lost_at_ns || is_missing(k))
		return;
	k->ground->tell(k->owner, KEEPER_BACK, (now_ns - k->lost_at_ns) / NS_PER_MS, NULL);
	k->lost_at_ns = 0;
	k->told = 0;
}

static void complain(struct keeper *k, const struct err *why)
{
	if (!k->lost_at_ns || k->told == why->code)
		return;
	k->told = why->code;
	k->ground->tell(k->owner, KEEPER_REFUSED, 0, why);
}

static void close_spare(struct keeper *k)
{
	if (k->spare >= 0)
		k->ground->close(k->owner, k->spare);
	k->spare = -1;
}

/* A spare one that is closed says little of the others: the next offer comes at once. */
void keeper_hung_up(struct keeper *k, int fd, uint64_t now_ns)
{
	if (fd >= 0 && fd == k->spare) {
		close_spare(k);
		k->next_ns = now_ns;
		return;
	}
	for (uint32_t i = 0; i < k->connections; i++) {
		if (fd < 0 || k->sockets[i] != fd)
			continue;
		k->ground->close(k->owner, fd);
		k->sockets[i] = KEEPER_DEAD;
		k->next_ns = now_ns;
		lose(k, now_ns);
		sweep(k, now_ns);
	}
}

/* --- offers ------------------------------------------------------------------------------ */

/* K3 */
static int check_same(const struct keeper *k, const struct nbd_export *e, struct err *err)
{
	if (e->size_bytes >= k->size_bytes && e->block_bytes <= k->block_bytes &&
	    (k->is_read_only || !(e->flags & NBD_FLAG_READ_ONLY)))
		return 0;
	return err_set(err, -EMEDIUMTYPE, "what is served now has %" PRIu64 " bytes instead of %" PRIu64 ", blocks of %u, and flags %#x",
		       e->size_bytes, k->size_bytes, e->block_bytes, e->flags);
}

static int open_spare(struct keeper *k, struct err *err)
{
	struct nbd_export export;
	int r = k->ground->open(k->owner, &export, err);

	if (r < 0)
		return r;
	r = check_same(k, &export, err);
	if (r < 0)
		k->ground->close(k->owner, export.fd);
	else
		k->spare = export.fd;
	return r;
}

/* The kernel has it from here on, in place of which one it does not say. */
static void place_spare(struct keeper *k)
{
	int state = count(k, KEEPER_DEAD) ? KEEPER_DEAD : KEEPER_UNSEEN;
	uint32_t i = 0;

	while (k->sockets[i] != state)
		i++;
	k->sockets[i] = k->spare;
	k->spare = -1;
}

/* One of them; true: the next may go on. */
static bool offer(struct keeper *k, uint64_t now_ns)
{
	struct err err = ERR_INIT;
	int r = k->spare < 0 ? open_spare(k, &err) : 0;

	if (r < 0) {
		k->is_away = r == -ENOENT || r == -ECONNREFUSED;
		if (is_missing(k))
			lose(k, now_ns);
		complain(k, &err);
		return false;
	}
	k->is_away = false;
	r = k->ground->add(k->owner, k->spare, keeper_sweep_s(k), &err);
	if (r < 0)
		keep_calm(k);
	if (r == -ENOSPC)
		return false; /* the spare one is kept */
	if (r < 0) {
		close_spare(k);
		complain(k, &err);
		return false;
	}
	place_spare(k);
	sweep(k, now_ns); /* for what the kernel sent between its loss and ours */
	return is_wanting(k);
}

void keeper_go(struct keeper *k, uint64_t now_ns)
{
	calm(k, now_ns);
	if (!is_wanting(k) || now_ns < k->next_ns)
		return;
	while (offer(k, now_ns))
		;
	find_again(k, now_ns);
	k->next_ns = now_ns + (is_missing(k) ? PAUSE_MS : WATCH_MS) * NS_PER_MS;
}

int keeper_wait_ms(const struct keeper *k)
{
	if (k->calm_at_ns || is_missing(k))
		return PAUSE_MS;
	return is_wanting(k) ? WATCH_MS : -1;
}

void keeper_begin(struct keeper *k, const int *sockets, uint64_t now_ns)
{
	k->spare = -1;
	for (uint32_t i = 0; i < k->connections; i++)
		k->sockets[i] = sockets ? sockets[i] : KEEPER_UNSEEN;
	if (!sockets)
		sweep(k, now_ns); /* who was before may have ended amid one, or a loss */
}
