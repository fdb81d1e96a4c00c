/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 << 10, SPARE_STACKS = 16 };

struct fiber {
	ucontext_t here, outside;
	void (*run)(void *arg);
	void *arg;
	void *stack;
	bool is_over;
	/* AddressSanitizer's: its own stacks, and where the other one is */
	void *fake_here, *fake_outside;
	const void *outside_stack;
	size_t outside_bytes;
};

static struct fiber *running;
static void *spare[SPARE_STACKS];
static int spare_count;

/* --- AddressSanitizer wants to know of each change of the stack --------------------- */

static void leaves(void **fake, const void *stack, size_t bytes)
{
#ifdef HAS_ASAN
	__sanitizer_start_switch_fiber(fake, stack, bytes);
#else
	(void)fake, (void)stack, (void)bytes;
#endif
}

static void arrived(void *fake, const void **stack, size_t *bytes)
{
#ifdef HAS_ASAN
	__sanitizer_finish_switch_fiber(fake, stack, bytes);
#else
	(void)fake, (void)stack, (void)bytes;
#endif
}

/* --- stacks -------------------------------------------------------------------------- */

static void *stack_new(void)
{
	void *stack;

	if (spare_count > 0)
		return spare[--spare_count];
	stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		abort();
	return stack;
}

static void stack_free(void *stack)
{
	if (spare_count < SPARE_STACKS)
		spare[spare_count++] = stack;
	else
		munmap(stack, STACK_BYTES);
}

/* --- fibers -------------------------------------------------------------------------- */

static void main_of_fiber(void)
{
	struct fiber *f = running;

	arrived(NULL, &f->outside_stack, &f->outside_bytes);
	f->run(f->arg);
	f->is_over = true;
	leaves(NULL, f->outside_stack, f->outside_bytes);
}

struct fiber *fiber_new(void (*run)(void *arg), void *arg)
{
	struct fiber *f = calloc(1, sizeof(*f));

	if (!f || getcontext(&f->here) < 0)
		abort();
	f->run = run;
	f->arg = arg;
	f->stack = stack_new();
	f->here.uc_stack.ss_sp = f->stack;
	f->here.uc_stack.ss_size = STACK_BYTES;
	f->here.uc_link = &f->outside;
	makecontext(&f->here, main_of_fiber, 0);
	return f;
}

void fiber_free(struct fiber *f)
{
	if (!f)
		return;
	stack_free(f->stack);
	free(f);
}

void fiber_resume(struct fiber *f)
{
	if (running || f->is_over)
		abort();
	running = f;
	leaves(&f->fake_outside, f->stack, STACK_BYTES);
	swapcontext(&f->outside, &f->here);
	arrived(f->fake_outside, NULL, NULL);
	running = NULL;
}

void fiber_yield(void)
{
	struct fiber *f = running;

	leaves(&f->fake_here, f->outside_stack, f->outside_bytes);
	swapcontext(&f->here, &f->outside);
	arrived(f->fake_here, &f->outside_stack, &f->outside_bytes);
}

bool fiber_is_over(const struct fiber *f)
{
	return f->is_over;
}

struct fiber *fiber_self(void)
{
	return running;
}
