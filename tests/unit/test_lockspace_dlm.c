/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine on the kernel's DLM, on a kernel that is played: it grants whatever is asked for
 * at once, as one does that has recovered a dead node without asking anybody (D14). What is
 * acted upon is up to the gate, which goes by the group, here a bus, and by the guard: a
 * lockspace that is played as well, and knows what the lock manager would.
 *
 * dlm_kernel_*() below stand before those of lockres/dlm_kernel.c; the thread is real.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/dlm.h>
#include <linux/dlm_device.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/loop.h"
#include "lockres/dlm_kernel.h"
#include "lockres/engine.h"
#include "lockres/lockspace_dlm.h"
#include "tests/unit/bus.h"

enum { NODES = 2, TURNS = 20000, SOME_TURNS = 300 };

struct host {
	struct lockspace_dlm *dlm;
	struct lockspace *space;
	int kernel_fd, process_fd;      /* two ends of the device */
	atomic_uint opened;             /* in the kernel: by the thread */
	unsigned int granted;
	unsigned int preps, deaths, dones;
	uint32_t dead;                  /* the last one */
	bool is_closed;

	/* its guard, an engine of its own */
	struct lockspace_engine guards;
	struct lockspace guard;
	const struct lockspace_handlers *guard_handlers;
	void *guard_owner;
	bool is_guard_open, is_guard_slow;
	uint32_t said_dead;             /* to the guards */
	enum lock_death said_how;
};

struct site {
	struct loop *loop;
	struct bus *bus;
	struct host hosts[NODES];
	bool is_dropped[NODES + 1];     /* by the kernels' configuration */
};

static struct site *the_site; /* for the kernel, which has no owner */

/* --- the kernel ------------------------------------------------------------------------------ */

int dlm_kernel_check(const char *name, size_t name_length, const char *kernel_name, struct err *err)
{
	(void)name;
	(void)name_length;
	(void)kernel_name;
	(void)err;
	return 0;
}

int dlm_kernel_check_fencing(struct err *err)
{
	(void)err;
	return 0;
}

/* Hosts open theirs one after the other. */
int dlm_kernel_open(const char *kernel_name, void **handle, struct err *err)
{
	(void)kernel_name;
	for (int i = 0; i < NODES; i++) {
		struct host *h = &the_site->hosts[i];

		if (h->dlm && !h->opened) {
			h->opened = 1;
			*handle = h;
			return 0;
		}
	}
	return err_set(err, -ENODEV, "nobody is to open one");
}

int dlm_kernel_fd(void *handle)
{
	return ((struct host *)handle)->process_fd;
}

bool dlm_kernel_close(const char *kernel_name, void *handle)
{
	(void)kernel_name;
	(void)handle;
	return true;
}

uint64_t dlm_kernel_member(const char *kernel_name, uint32_t node)
{
	(void)kernel_name;
	return the_site->is_dropped[node] ? 0 : 100 + node;
}

char *dlm_kernel_dump(const char *kernel_name, size_t *length)
{
	(void)kernel_name;
	(void)length;
	return NULL;
}

/* Granted; an unlock is done. */
static void grant(void *owner, int fd, uint32_t events)
{
	struct host *h = owner;
	uint8_t bytes[sizeof(struct dlm_write_request) + LOCK_MAX_NAME];
	struct dlm_write_request asked;
	struct dlm_lock_result result = { .length = sizeof(result) };
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n < 0)
		return;
	assert_true((size_t)n >= sizeof(asked));
	memcpy(&asked, bytes, sizeof(asked));
	result.version[0] = DLM_DEVICE_VERSION_MAJOR;
	result.user_astaddr = asked.i.lock.castaddr;
	result.user_astparam = asked.i.lock.castparam;
	result.user_lksb = asked.i.lock.lksb;
	if (asked.cmd == DLM_USER_UNLOCK)
		result.lksb.sb_status = -DLM_EUNLOCK;
	h->granted += asked.cmd == DLM_USER_LOCK && asked.i.lock.mode == LOCK_EX;
	assert_int_equal(write(fd, &result, sizeof(result)), sizeof(result));
}

/* --- the guard ------------------------------------------------------------------------------- */

static struct host *guard_of(struct lockspace_engine *engine)
{
	return container_of(engine, struct host, guards);
}

static void guard_done(struct host *h)
{
	const struct lockspace_member self = { .node = 1, .slot = 0 };

	h->guard_handlers->recover_done(h->guard_owner, &h->guard, &self, 1, 0, 1);
}

static int guard_open(struct lockspace_engine *engine, const struct lockspace_config *config,
		      const struct lockspace_handlers *handlers, void *owner,
		      struct lockspace **space, struct err *err)
{
	struct host *h = guard_of(engine);

	(void)config;
	(void)err;
	h->guard.engine = engine;
	h->guard_handlers = handlers;
	h->guard_owner = owner;
	h->is_guard_open = true;
	*space = &h->guard;
	return 0;
}

static void guard_close(struct lockspace *space)
{
	struct host *h = guard_of(space->engine);

	h->is_guard_open = false;
	h->guard_handlers->closed(h->guard_owner);
}

static int guard_confirm_dead(struct lockspace_engine *engine, uint32_t node,
			      uint64_t incarnation, enum lock_death death, struct err *err)
{
	struct host *h = guard_of(engine);

	(void)incarnation;
	(void)err;
	h->said_dead = node;
	h->said_how = death;
	return 0;
}

static const struct lockspace_engine_ops guard_ops = {
	.open = guard_open, .close = guard_close, .confirm_dead = guard_confirm_dead,
};

/* --- the lockspace's owner ---------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	(void)space;
	((struct host *)owner)->preps++;
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct host *h = owner;

	(void)space;
	(void)slot;
	h->deaths++;
	h->dead = node;
}

static void on_done(void *owner, struct lockspace *space, const struct lockspace_member *members,
		    size_t count, int our_slot, uint32_t generation)
{
	(void)space;
	(void)members;
	(void)count;
	(void)our_slot;
	(void)generation;
	((struct host *)owner)->dones++;
}

static void on_closed(void *owner)
{
	((struct host *)owner)->is_closed = true;
}

static const struct lockspace_handlers handlers = {
	.recover_prep = on_prep, .recover_slot = on_slot, .recover_done = on_done,
	.closed = on_closed,
};

static bool is_guarded(void *owner, const void *name, size_t length)
{
	(void)owner;
	return length > 6 && memcmp(name, "bitmap", 6) == 0;
}

static void lock_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	(void)lock;
	*(int *)owner = result->status ? result->status : 1;
}

static const struct lockres_handlers lock_handlers = { .done = lock_done };

/* --- time ---------------------------------------------------------------------------------------- */

static void turn_is_over(void *owner)
{
	loop_stop(owner);
}

static void turn(struct site *site)
{
	struct err err = ERR_INIT;

	bus_run(site->bus);
	assert_non_null(loop_timer_start(site->loop, 1, turn_is_over, site->loop, &err));
	loop_run(site->loop);
}

#define UNTIL(site, condition)                                   \
	do {                                                    \
		int turns = 0;                                  \
								\
		while (!(condition)) {                          \
			assert_in_range(turns++, 0, TURNS);     \
			turn(site);                              \
		}                                               \
	} while (0)

/* Long enough for all that could happen by itself. */
static void for_some_time(struct site *site)
{
	for (int i = 0; i < SOME_TURNS; i++)
		turn(site);
}

/* --- hosts ---------------------------------------------------------------------------------------- */

static void begin_host(struct site *site, int node, bool drops_are_proofs)
{
	static const struct lockspace_dlm_ops ops = { .is_guarded = is_guarded };
	struct host *h = &site->hosts[node - 1];
	const struct lockspace_dlm_config config = {
		.loop = site->loop,
		.groups = group_ring_engine(site->bus->nodes[node - 1].g),
		.guards = &h->guards,
		.self = (uint32_t)node,
		.incarnation = 1,
		.drops_are_proofs = drops_are_proofs,
	};
	const struct lockspace_config space = { .name = "web", .name_length = 3,
						.lvb_bytes = LOCK_SMALL_LVB, .wanted_slot = -1 };
	struct err err = ERR_INIT;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	*h = (struct host){ .kernel_fd = ends[0], .process_fd = ends[1],
			    .guards = { .ops = &guard_ops } };
	assert_int_equal(loop_fd_add(site->loop, h->kernel_fd, POLLIN, grant, h, &err), 0);
	h->dlm = lockspace_dlm_new(&config, &ops, h, &err);
	assert_non_null(h->dlm);
	assert_int_equal(lockspace_open(lockspace_dlm_engine(h->dlm), &space, &handlers, h,
					&h->space, &err), 0);
}

/* Its process: what it had in the kernel is the kernel's to give away. */
static void end_host(struct site *site, int node)
{
	struct host *h = &site->hosts[node - 1];

	if (!h->dlm)
		return;
	lockspace_dlm_free(h->dlm);
	h->dlm = NULL;
	loop_fd_remove(site->loop, h->kernel_fd);
	close(h->kernel_fd);
	close(h->process_fd);
}

static struct site *site_new(void)
{
	struct err err = ERR_INIT;
	struct site *site = calloc(1, sizeof(*site));

	assert_non_null(site);
	the_site = site;
	site->loop = loop_new(&err);
	assert_non_null(site->loop);
	site->bus = bus_new();
	bus_configure(site->bus, "12");
	bus_run(site->bus);
	return site;
}

static struct site *both_are_in(bool drops_are_proofs)
{
	struct site *site = site_new();

	for (int node = 1; node <= NODES; node++) {
		struct host *h = &site->hosts[node - 1];

		begin_host(site, node, drops_are_proofs);
		guard_done(h);
		UNTIL(site, h->dones > 0);
	}
	UNTIL(site, site->hosts[0].dones > 1);
	return site;
}

static void site_free(struct site *site)
{
	for (int node = 1; node <= NODES; node++)
		end_host(site, node);
	bus_free(site->bus);
	loop_free(site->loop);
	free(site);
}

/* Host 1 asks for the slot of the other, and the kernel gives it. */
static void ask(struct site *site, struct lockres *lock, int *answer)
{
	struct host *h = &site->hosts[0];

	*answer = 0;
	assert_int_equal(lockres_init(lock, h->space, "bitmap0001", 10, &lock_handlers, answer), 0);
	assert_int_equal(lockres_lock(lock, LOCK_EX, 0, 0), 0);
	UNTIL(site, h->granted == 1);
	for_some_time(site);
}

/* --- stories ------------------------------------------------------------------------------------- */

static void nothing_is_taken_in_the_kernel_before_the_guard_runs(void **state)
{
	struct site *site = site_new();
	struct host *h = &site->hosts[0];

	(void)state;
	begin_host(site, 1, false);
	for_some_time(site);
	assert_true(h->is_guard_open);
	assert_int_equal(h->opened, 0);
	guard_done(h);
	UNTIL(site, h->dones == 1);
	assert_int_equal(h->opened, 1);
	site_free(site);
}

/*
 * A process is killed, and its node's next one, which is in no lockspace yet, says that it is
 * dead (W1): the lock manager hears that alone. Without it nothing would ever go on.
 */
static void a_proof_that_only_the_guard_hears_frees_the_lockspace(void **state)
{
	struct site *site = both_are_in(false);
	struct host *h = &site->hosts[0];
	unsigned int dones = h->dones;
	struct lockres lock;
	int answer;

	(void)state;
	end_host(site, 2);
	UNTIL(site, h->preps == 1);
	h->guard_handlers->recover_prep(h->guard_owner, &h->guard);
	ask(site, &lock, &answer);
	assert_int_equal(answer, 0); /* unproven: the kernel's word is none */
	assert_int_equal(h->deaths, 0);

	h->guard_handlers->recover_slot(h->guard_owner, &h->guard, 2, 1);
	guard_done(h);
	UNTIL(site, answer);
	assert_int_equal(answer, 1);
	assert_int_equal(h->deaths, 1);
	assert_int_equal(h->dead, 2);
	assert_true(h->dones > dones);
	lockres_fini(&lock);
	site_free(site);
}

/* The proof is there, and the guard waits for somebody of whom the group knows nothing. */
static void a_proof_is_not_enough_while_the_guard_misses_somebody_else(void **state)
{
	struct site *site = both_are_in(false);
	struct host *h = &site->hosts[0];
	struct lockres lock;
	int answer;

	(void)state;
	end_host(site, 2);
	UNTIL(site, h->preps == 1);
	h->guard_handlers->recover_prep(h->guard_owner, &h->guard);
	ask(site, &lock, &answer);
	h->guard_handlers->recover_slot(h->guard_owner, &h->guard, 2, 1);
	for_some_time(site);
	assert_int_equal(answer, 0);
	guard_done(h);
	UNTIL(site, answer);
	lockres_fini(&lock);
	site_free(site);
}

/* A cluster that begins anew: the group has nobody to miss. */
static void what_the_guard_alone_misses_holds_up_what_the_kernel_grants(void **state)
{
	struct site *site = both_are_in(false);
	struct host *h = &site->hosts[0];
	struct lockres lock;
	int answer;

	(void)state;
	h->guard_handlers->recover_prep(h->guard_owner, &h->guard);
	assert_int_equal(h->preps, 1);
	ask(site, &lock, &answer);
	for_some_time(site);
	assert_int_equal(answer, 0);
	guard_done(h);
	UNTIL(site, answer);
	assert_int_equal(answer, 1);
	lockres_fini(&lock);
	site_free(site);
}

/* dlm_controld has fenced it: that is a proof for the guards, too, once they miss it. */
static void who_the_kernel_drops_is_dead_to_the_guard(void **state)
{
	struct site *site = both_are_in(true);
	struct host *h = &site->hosts[0];
	struct lockres lock;
	int answer;

	(void)state;
	end_host(site, 2);
	bus_crash(site->bus, 1); /* before a word of that is sent */
	bus_configure(site->bus, "1");
	UNTIL(site, h->preps == 1);
	ask(site, &lock, &answer);
	assert_int_equal(answer, 0); /* not fenced yet */
	site->is_dropped[2] = true;
	for_some_time(site);
	assert_int_equal(h->said_dead, 0); /* the guard would not hear it */
	assert_int_equal(answer, 0);
	h->guard_handlers->recover_prep(h->guard_owner, &h->guard);
	UNTIL(site, h->said_dead);
	assert_int_equal(h->said_dead, 2);
	assert_int_equal(h->said_how, LOCK_DEATH_NODE);
	guard_done(h);
	UNTIL(site, answer);
	assert_int_equal(h->deaths, 1);
	lockres_fini(&lock);
	site_free(site);
}

static void the_guard_is_left_last(void **state)
{
	struct site *site = both_are_in(false);
	struct host *h = &site->hosts[0];

	(void)state;
	lockspace_close(h->space);
	assert_true(h->is_guard_open);
	UNTIL(site, h->is_closed);
	assert_false(h->is_guard_open);
	site_free(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_taken_in_the_kernel_before_the_guard_runs),
		cmocka_unit_test(a_proof_that_only_the_guard_hears_frees_the_lockspace),
		cmocka_unit_test(a_proof_is_not_enough_while_the_guard_misses_somebody_else),
		cmocka_unit_test(what_the_guard_alone_misses_holds_up_what_the_kernel_grants),
		cmocka_unit_test(who_the_kernel_drops_is_dead_to_the_guard),
		cmocka_unit_test(the_guard_is_left_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
