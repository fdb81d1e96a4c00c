/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/group_rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/err.h"
#include "tests/unit/help.h"

static void note(struct app *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void note(struct app *a, const char *fmt, ...)
{
	size_t at = strlen(a->trace);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->trace + at, sizeof(a->trace) - at, fmt, ap);
	va_end(ap);
	assert_true(strlen(a->trace) < sizeof(a->trace) - 1);
}

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct app *a = owner;
	const uint8_t *b = message;

	assert_ptr_equal(group, a->group);
	a->messages++;
	a->digest = (a->digest ^ sender->node) * 1099511628211u;
	for (size_t i = 0; i < length; i++)
		a->digest = (a->digest ^ b[i]) * 1099511628211u;
	if (!a->is_silent)
		note(a, "n%u.%u:%.*s ", sender->node, sender->handle, (int)length,
		     (const char *)message);
}

static void on_changed(void *owner, struct group *group,
		       const struct group_change *c)
{
	struct app *a = owner, *joins = a->joins;
	size_t i;

	assert_ptr_equal(group, a->group);
	for (i = 0; i < c->joined_count; i++)
		note(a, "+n%u.%u ", c->joined[i].node, c->joined[i].handle);
	for (i = 0; i < c->left_count; i++)
		note(a, "-n%u.%u/%s ", c->left[i].node, c->left[i].handle,
		     group_reason_name(c->left[i].reason));
	note(a, "=%zu ", c->member_count);
	for (i = 1; i < c->member_count; i++)
		assert_true(c->members[i - 1].node < c->members[i].node ||
			    (c->members[i - 1].node == c->members[i].node &&
			     c->members[i - 1].handle < c->members[i].handle));
	if (joins) {
		a->joins = NULL;
		app_join(joins, a->node->bus, (int)(a->node - a->node->bus->nodes), "g");
	}
}

static void on_credit(void *owner, struct group *group)
{
	struct app *a = owner;

	assert_ptr_equal(group, a->group);
	a->opened++;
	if (a->is_greedy)
		app_fill(a);
}

void app_join(struct app *a, struct bus *bus, int node, const char *name)
{
	static const struct group_handlers handlers = { on_deliver, on_changed, on_credit };
	struct err err = ERR_INIT;

	a->node = &bus->nodes[node];
	assert_ok(group_join(group_ring_engine(a->node->g), name, strlen(name),
			     &handlers, a, &a->group, &err), err);
}

int app_say_as(struct app *a, enum group_order order, const char *text)
{
	const struct iovec part = { (void *)(uintptr_t)text, strlen(text) };

	return group_multicast(a->group, order, &part, 1);
}

void app_say(struct app *a, const char *text)
{
	assert_int_equal(app_say_as(a, GROUP_AGREED, text), 0);
}

void app_fill(struct app *a)
{
	static char kilo[1024];
	const struct iovec part = { kilo, sizeof(kilo) };

	while (group_multicast(a->group, GROUP_AGREED, &part, 1) == 0)
		;
}

void app_saw(struct app *a, const char *expected)
{
	assert_string_equal(a->trace, expected);
	a->trace[0] = '\0';
}

struct bus *apps_together(struct app *apps, int count)
{
	static const char *const digits[] = { "", "1", "12", "123", "1234", "12345" };
	struct bus *bus = bus_new();

	memset(apps, 0, (size_t)count * sizeof(*apps));
	bus_configure(bus, digits[count]);
	bus_run(bus);
	for (int i = 0; i < count; i++) {
		app_join(&apps[i], bus, i, "g");
		bus_run(bus);
	}
	for (int i = 0; i < count; i++)
		apps[i].trace[0] = '\0';
	return bus;
}
