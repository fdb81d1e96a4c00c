/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/checkpoint_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"

/* --- memory that runs out ------------------------------------------------------- */

long bus_allocations = -1;
static bool is_armed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static bool is_refused(void)
{
	if (!is_armed || bus_allocations < 0)
		return false;
	if (bus_allocations > 0) {
		bus_allocations--;
		return false;
	}
	return true;
}

void *__wrap_malloc(size_t size)
{
	return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return is_refused() ? NULL : __real_reallocarray(old, count, size);
}

void bus_starve(bool is_starving)
{
	is_armed = is_starving;
	bus_allocations = is_starving ? 0 : -1;
}

/* Around every call into a store. */
static void enter(const struct bus_node *n)
{
	is_armed = n->starves;
}

static void leave(void)
{
	is_armed = false;
}

static struct bus_entry *entry_new(enum bus_kind kind, int from,
				   const struct iovec *parts, int count)
{
	struct bus_entry *e;
	size_t length = 0, at = 0;

	for (int i = 0; i < count; i++)
		length += parts[i].iov_len;
	e = __real_malloc(sizeof(*e) + length);
	assert_non_null(e);
	*e = (struct bus_entry){ .kind = kind, .from = from, .length = length };
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > 0)
			memcpy(e->bytes + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	return e;
}

static void append(struct bus_log *l, struct bus_entry *e)
{
	if (l->count == l->room) {
		l->room = 2 * l->room + 16;
		l->entries = __real_reallocarray(l->entries, l->room, sizeof(*l->entries));
		assert_non_null(l->entries);
	}
	l->entries[l->count++] = e;
}

/* --- what a store calls of the sync --------------------------------------------- */

static struct bus_node *node_of(const struct sync *s)
{
	return container_of(s, struct bus_node, sync);
}

void sync_register(struct sync *s, enum sync_service_id id, const char *name,
		   const struct sync_service_ops *ops, void *owner)
{
	assert_int_equal(id, SYNC_CHECKPOINTS);
	assert_non_null(name);
	s->ops = ops;
	s->owner = owner;
}

int sync_tell(struct sync *s, enum sync_service_id id, const struct iovec *parts,
	      int count)
{
	struct bus_node *n = node_of(s);

	assert_int_equal(id, SYNC_CHECKPOINTS);
	assert_true(s->is_telling && !s->is_done);
	if (n->bus->tells > 0 && s->told >= n->bus->tells) {
		s->was_refused = true;
		return -EAGAIN;
	}
	s->told++;
	append(n->log, entry_new(BUS_SYNC, n->index, parts, count));
	return 0;
}

static bool process(struct bus_node *n);

/* Like the real one it does not return before it has asked. */
void sync_go_on(struct sync *s)
{
	bool was_armed = is_armed;

	s->has_more = true;
	(void)process(node_of(s));
	is_armed = was_armed;
}

void sync_break(struct sync *s, const char *why)
{
	assert_null(s->broken);
	s->broken = why;
}

struct ring_id sync_epoch_of(const struct sync *s, int node)
{
	return node_of(s)->log->epochs[node];
}

struct node_set sync_winners(const struct sync *s)
{
	return node_of(s)->log->winners;
}

bool sync_is_quorate(const struct sync *s)
{
	return s->is_quorate;
}

bool sync_has_service(const struct sync *s, int node, enum sync_service_id id)
{
	(void)s;
	(void)node;
	return id == SYNC_CHECKPOINTS;
}

/* --- what it calls of the group ------------------------------------------------- */

static void enqueue(struct bus_node *n, struct bus_entry *e)
{
	*n->queue_end = e;
	n->queue_end = &e->next;
	n->queued++;
}

static int engine_join(struct group_engine *engine, const char *name,
		       size_t name_length, const struct group_handlers *handlers,
		       void *owner, struct group **group, struct err *err)
{
	struct bus_node *n = container_of(engine, struct bus_node, engine);

	(void)owner;
	(void)err;
	assert_int_equal(name_length, strlen(CHECKPOINT_GROUP));
	assert_memory_equal(name, CHECKPOINT_GROUP, name_length);
	n->handlers = *handlers;
	n->group.engine = engine;
	n->group.handle = 1;
	*group = &n->group;
	enqueue(n, entry_new(BUS_JOIN, n->index, NULL, 0));
	return 0;
}

static int engine_multicast(struct group *group, enum group_order order,
			    const struct iovec *parts, int count)
{
	struct bus_node *n = container_of(group, struct bus_node, group);

	assert_int_equal(order, GROUP_SAFE);
	if (n->queued >= n->bus->credit) {
		n->wants_credit = true;
		return -EAGAIN;
	}
	enqueue(n, entry_new(BUS_DATA, n->index, parts, count));
	return 0;
}

static void engine_abandon(struct group *group)
{
	(void)group;
}

static const struct group_engine_ops engine_ops = {
	.join = engine_join,
	.multicast = engine_multicast,
	.abandon = engine_abandon,
};

/* --- nodes ---------------------------------------------------------------------- */

static void on_opened(void *owner)
{
	((struct bus_node *)owner)->opened++;
}

static void on_activated(void *owner, bool is_replaced)
{
	struct bus_node *n = owner;

	n->activated++;
	n->replaced += is_replaced;
}

void bus_start(struct bus *bus, int i)
{
	static const struct checkpoint_store_ops ops = { on_opened, on_activated };
	struct bus_node *n = &bus->nodes[i];
	struct checkpoint_store_config config = { .self = (uint32_t)i + 1 };
	struct err err = ERR_INIT;

	for (int k = 0; k < BUS_NODES; k++)
		config.nodes.ids[config.nodes.count++] = (uint32_t)k + 1;
	*n = (struct bus_node){
		.bus = bus,
		.index = i,
		.engine = { &engine_ops },
		.epoch = n->epoch,
		.incarnation = n->incarnation + 1,
	};
	n->queue_end = &n->queue;
	config.incarnation = n->incarnation;
	n->store = checkpoint_store_new(&config, &n->sync, &n->engine, &ops, n, &err);
	if (!n->store)
		fail_msg("%s", err.text);
}

void bus_crash(struct bus *bus, int i)
{
	struct bus_node *n = &bus->nodes[i];

	checkpoint_store_free(n->store);
	n->store = NULL;
	n->log = NULL;
	while (n->queue) {
		struct bus_entry *e = n->queue;

		n->queue = e->next;
		free(e);
	}
}

struct bus *bus_new(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	assert_non_null(bus);
	bus->budget = -1;
	bus->credit = 1000;
	for (int i = 0; i < BUS_NODES; i++)
		bus_start(bus, i);
	return bus;
}

void bus_free(struct bus *bus)
{
	for (int i = 0; i < BUS_NODES; i++) {
		assert_null(bus->nodes[i].sync.broken);
		bus_crash(bus, i);
	}
	while (bus->log_count > 0) {
		struct bus_log *l = bus->logs[--bus->log_count];

		while (l->count > 0)
			free(l->entries[--l->count]);
		free(l->entries);
		free(l);
	}
	free(bus);
}

/* --- views ---------------------------------------------------------------------- */

static void tell_view(struct bus_node *n)
{
	struct group_member members[BUS_NODES];
	struct group_change change = { .members = members };

	for (int i = set_next(n->view, 0); i >= 0; i = set_next(n->view, i + 1))
		members[change.member_count++] = (struct group_member){
			.node = (uint32_t)i + 1, .handle = 1, .reason = GROUP_MEMBER };
	if (n->is_joined)
		n->handlers.changed(n->store, &n->group, &change);
}

static void activate(struct bus_node *n)
{
	struct bus_log *l = n->log;

	n->sync.is_telling = false;
	n->sync.is_active = true;
	n->sync.is_quorate = 2 * set_count(l->members) > BUS_NODES;
	if (n->sync.is_quorate)
		n->epoch = l->id;
	enter(n);
	n->sync.ops->activate(n->sync.owner);
	n->view = l->in_group;
	tell_view(n);
	leave();
}

/* --- the order ------------------------------------------------------------------ */

static void deliver(struct bus_node *n, const struct bus_entry *e)
{
	const struct group_member sender = { (uint32_t)e->from + 1, 1, GROUP_MEMBER };
	uint8_t *copy = __real_malloc(e->length + 1);

	assert_non_null(copy);
	memcpy(copy, e->bytes, e->length);
	enter(n);
	if (e->kind == BUS_SYNC) {
		assert_true(n->sync.is_telling);
		n->sync.ops->deliver(n->sync.owner, e->from, copy, e->length);
	} else if (e->kind == BUS_JOIN) {
		set_add(&n->view, e->from);
		n->is_joined |= e->from == n->index;
		tell_view(n);
	} else if (n->is_joined) {
		n->handlers.deliver(n->store, &n->group, &sender, copy, e->length);
	}
	leave();
	free(copy);
}

static bool is_up(const struct bus_node *n)
{
	return n->store && n->log && !n->sync.broken;
}

static bool read_one(struct bus_node *n)
{
	const struct bus_entry *e;

	if (n->read >= n->log->count)
		return false;
	e = n->log->entries[n->read];
	if (e->kind == BUS_SYNC ? !n->sync.is_telling :
				  n->sync.is_telling || n->read >= n->log->stable)
		return false;
	n->read++;
	deliver(n, e);
	return true;
}

static bool process(struct bus_node *n)
{
	struct sync *s = &n->sync;

	if (!s->is_telling || s->is_done || !s->has_more)
		return false;
	s->told = 0;
	s->has_more = s->was_refused = false;
	enter(n);
	if (s->ops->process(s->owner) == SYNC_DONE) {
		s->is_done = true;
		set_add(&n->log->done, n->index);
	}
	leave();
	s->has_more |= s->was_refused;
	return true;
}

/* The end of what is of the sync phase. */
static bool has_read_sync(const struct bus_node *n)
{
	return n->read == n->log->count || n->log->entries[n->read]->kind != BUS_SYNC;
}

static bool unplug(struct bus_node *n)
{
	if (!n->sync.is_telling || !set_equal(n->log->done, n->log->members) ||
	    !has_read_sync(n))
		return false;
	activate(n);
	return true;
}

static bool send_one(struct bus_node *n)
{
	struct bus_entry *e = n->queue;

	if (!e || n->sync.is_telling || !n->sync.is_active)
		return false;
	n->queue = e->next;
	if (!n->queue)
		n->queue_end = &n->queue;
	n->queued--;
	e->next = NULL;
	append(n->log, e);
	if (n->wants_credit && n->queued < n->bus->credit) {
		n->wants_credit = false;
		n->handlers.credit_opened(n->store, &n->group);
	}
	return true;
}

/* What all have, once all are there. */
static void stabilise(struct bus *bus, struct bus_log *l)
{
	for (int i = set_next(l->members, 0); i >= 0; i = set_next(l->members, i + 1))
		if (bus->nodes[i].log != l || bus->nodes[i].sync.is_telling ||
		    !is_up(&bus->nodes[i]))
			return;
	l->stable = l->count;
}

static bool act(struct bus_node *n)
{
	return process(n) || read_one(n) || unplug(n) || send_one(n);
}

bool bus_run(struct bus *bus)
{
	bool any = true;

	while (any) {
		any = false;
		for (int k = 0; k < BUS_NODES; k++) {
			struct bus_node *n = &bus->nodes[(bus->first + k) % BUS_NODES];

			if (!is_up(n))
				continue;
			if (bus->budget == 0)
				return false;
			if (act(n)) {
				any = true;
				bus->budget -= bus->budget > 0;
			}
			if (n->log)
				stabilise(bus, n->log);
		}
	}
	return true;
}

/* --- configurations ------------------------------------------------------------- */

static struct node_set set_from(const char *digits)
{
	struct node_set s = { { 0 } };

	while (*digits)
		set_add(&s, *digits++ - '1');
	return s;
}

static bool is_coming(const struct bus_log *l, size_t at, struct node_set trans)
{
	return at < l->stable || set_has(&trans, l->entries[at]->from);
}

/* Ordinary messages come: then who is not active yet has to be (sync.h). */
static bool has_ordinary(const struct bus_node *n, struct node_set trans)
{
	const struct bus_log *l = n->log;

	for (size_t i = n->read; i < l->count; i++)
		if (l->entries[i]->kind != BUS_SYNC && is_coming(l, i, trans))
			return true;
	return false;
}

/* The old order to its end. */
static void finish(struct bus_node *n, struct node_set trans)
{
	struct bus_log *l = n->log;
	size_t half = n->read + (l->stable > n->read ? (l->stable - n->read) / 2 : 0);
	bool is_told = false;

	if (n->sync.is_telling && !has_ordinary(n, trans)) {
		n->sync.is_telling = false;
		n->sync.ops->abort(n->sync.owner);
		return;
	}
	while (n->sync.is_telling)
		assert_true(process(n) || read_one(n) || unplug(n));
	for (; n->read < l->count; n->read++) {
		if (n->read >= half && !is_told && !n->bus->has_no_hook) {
			checkpoint_transitional(n->store);
			is_told = true;
		}
		if (is_coming(l, n->read, trans))
			deliver(n, l->entries[n->read]);
	}
	if (!is_told && !n->bus->has_no_hook)
		checkpoint_transitional(n->store);
}

static bool is_above(struct ring_id a, struct ring_id b)
{
	return a.seq > b.seq || (a.seq == b.seq && a.rep > b.rep);
}

static void find_winners(struct bus_log *l)
{
	struct ring_id best = { 0 };

	for (int i = set_next(l->members, 0); i >= 0; i = set_next(l->members, i + 1)) {
		if (is_above(l->epochs[i], best)) {
			best = l->epochs[i];
			l->winners = (struct node_set){ { 0 } };
		}
		if (ring_id_equal(l->epochs[i], best))
			set_add(&l->winners, i);
	}
}

static void begin(struct bus_node *n, struct bus_log *l)
{
	const struct sync_configuration c = { .id = l->id, .members = l->members };

	n->log = l;
	n->read = 0;
	n->sync.is_telling = n->sync.has_more = true;
	n->sync.is_done = false;
	n->sync.ops->init(n->sync.owner, &c);
}

void bus_configure(struct bus *bus, const char *nodes)
{
	struct bus_log *l = calloc(1, sizeof(*l)), *old[BUS_NODES];
	int i, k;

	assert_non_null(l);
	assert_true(bus->log_count < BUS_MAX_LOGS);
	bus->logs[bus->log_count++] = l;
	l->members = set_from(nodes);
	l->id = (struct ring_id){ (uint32_t)set_next(l->members, 0) + 1,
				  (uint64_t)bus->log_count * 4 };
	for (i = 0; i < BUS_NODES; i++)
		old[i] = bus->nodes[i].log;
	for (i = set_next(l->members, 0); i >= 0; i = set_next(l->members, i + 1)) {
		struct node_set trans = { { 0 } };

		assert_non_null(bus->nodes[i].store);
		for (k = 0; k < BUS_NODES; k++)
			if (set_has(&l->members, k) && old[k] && old[k] == old[i])
				set_add(&trans, k);
		if (old[i])
			finish(&bus->nodes[i], trans);
	}
	for (i = set_next(l->members, 0); i >= 0; i = set_next(l->members, i + 1)) {
		l->epochs[i] = bus->nodes[i].epoch;
		if (bus->nodes[i].is_joined)
			set_add(&l->in_group, i);
	}
	find_winners(l);
	for (i = set_next(l->members, 0); i >= 0; i = set_next(l->members, i + 1))
		begin(&bus->nodes[i], l);
}

void bus_send(struct bus *bus, const char *nodes)
{
	for (; *nodes; nodes++)
		while (send_one(&bus->nodes[*nodes - '1']))
			;
}

void bus_inject(struct bus *bus, int from, const void *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };

	append(bus->nodes[from].log, entry_new(BUS_SYNC, from, &part, 1));
}

struct bus *bus_of_five(void)
{
	struct bus *bus = bus_new();

	bus_configure(bus, "12345");
	assert_true(bus_run(bus));
	bus_check_equal(bus, "12345");
	return bus;
}

void bus_check_equal(const struct bus *bus, const char *nodes)
{
	uint64_t first = checkpoint_digest(bus->nodes[*nodes - '1'].store);

	for (; *nodes; nodes++) {
		const struct bus_node *n = &bus->nodes[*nodes - '1'];

		assert_null(n->sync.broken);
		assert_true(checkpoint_digest(n->store) == first); /* C1 */
	}
}

/* --- users ---------------------------------------------------------------------- */

void on_answer(void *answer, int result)
{
	struct answer *a = answer;

	a->result = result;
	a->count++;
}

static void on_open(void *user, int result)
{
	struct user *u = user;

	u->result = result;
	u->opened++;
}

static void on_lost(void *user)
{
	struct user *u = user;

	u->lost++;
	u->handle = NULL;
}

const struct checkpoint_handlers user_handlers = { on_open, on_lost };

int ask_open(struct bus *bus, int node, const char *name, unsigned int flags,
	     struct user *u)
{
	*u = (struct user){ .result = PENDING };
	return checkpoint_open(bus->nodes[node].store, name, strlen(name), flags,
			       &user_handlers, u, &u->handle);
}

int ask_write(struct user *u, const char *section, const char *data, struct answer *a)
{
	*a = (struct answer){ .result = PENDING };
	return checkpoint_write(u->handle, section, strlen(section), data, strlen(data),
				on_answer, a);
}

int ask_delete(struct user *u, const char *section, struct answer *a)
{
	*a = (struct answer){ .result = PENDING };
	return checkpoint_delete(u->handle, section, strlen(section), on_answer, a);
}

int ask_unlink(struct bus *bus, int node, const char *name, struct answer *a)
{
	*a = (struct answer){ .result = PENDING };
	return checkpoint_unlink(bus->nodes[node].store, name, strlen(name), on_answer, a);
}

int now_open(struct bus *bus, int node, const char *name, unsigned int flags,
	     struct user *u)
{
	int r = ask_open(bus, node, name, flags, u);

	if (r < 0)
		return r;
	bus_run(bus);
	assert_int_equal(u->opened, 1);
	return u->result;
}

static int answer_of(struct bus *bus, int asked, const struct answer *a)
{
	if (asked < 0)
		return asked;
	bus_run(bus);
	assert_int_equal(a->count, 1); /* C3 */
	return a->result;
}

int now_write(struct bus *bus, struct user *u, const char *section, const char *data)
{
	struct answer a;

	return answer_of(bus, ask_write(u, section, data, &a), &a);
}

int now_delete(struct bus *bus, struct user *u, const char *section)
{
	struct answer a;

	return answer_of(bus, ask_delete(u, section, &a), &a);
}

int now_unlink(struct bus *bus, int node, const char *name)
{
	struct answer a;

	return answer_of(bus, ask_unlink(bus, node, name, &a), &a);
}

void now_close(struct bus *bus, struct user *u)
{
	checkpoint_close(u->handle);
	u->handle = NULL;
	bus_run(bus);
}

void check_section(struct user *u, const char *section, const char *data)
{
	const void *found;
	size_t length;

	assert_int_equal(checkpoint_read(u->handle, section, strlen(section), &found,
					 &length), 0);
	assert_int_equal(length, strlen(data));
	assert_memory_equal(found, data, length);
}

void check_store(const struct bus *bus, int node, const char *wanted)
{
	struct checkpoint_info info;
	char text[1024] = "";
	size_t at = 0;

	for (size_t i = 0; checkpoint_at(bus->nodes[node].store, i, &info); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s#%u:%u%s",
				       i ? " " : "", (int)info.name_length, info.name,
				       (unsigned int)info.number, info.references,
				       info.is_unlinked ? "!" : "");
	assert_string_equal(text, wanted);
}

void check_sections(const struct bus *bus, int node, uint64_t number,
		    const char *wanted)
{
	struct checkpoint_section_info info;
	char text[1024] = "";
	size_t at = 0;

	for (size_t i = 0; checkpoint_section_at(bus->nodes[node].store, number, i, &info);
	     i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s=%.*s",
				       i ? " " : "", (int)info.name_length, info.name,
				       (int)info.length, (const char *)info.data);
	assert_string_equal(text, wanted);
}
