/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* --- who is for whom -------------------------------------------------------------------- */

const struct fence_target *fence_target_of(const struct fence_device *d, uint32_t node)
{
	for (size_t i = 0; i < d->target_count; i++)
		if (d->targets[i].node == node)
			return &d->targets[i];
	return NULL;
}

bool fence_device_is_for(const struct fence_device *d, uint32_t node)
{
	return d->target_count == 0 || fence_target_of(d, node);
}

bool fence_level_is_for(const struct fence_plan *p, const struct fence_level *l,
			uint32_t node)
{
	bool is_listed = l->node_count == 0;

	for (uint32_t i = 0; i < l->node_count; i++)
		is_listed |= l->nodes[i] == node;
	for (uint32_t i = 0; is_listed && i < l->device_count; i++)
		is_listed = fence_device_is_for(&p->devices[l->devices[i]], node);
	return is_listed && l->device_count > 0;
}

int fence_level_from(const struct fence_plan *p, size_t from, uint32_t node)
{
	for (size_t i = from; i < p->level_count; i++)
		if (fence_level_is_for(p, &p->levels[i], node))
			return (int)i;
	return -1;
}

int fence_level_by_number(const struct fence_plan *p, uint32_t number)
{
	for (size_t i = 0; i < p->level_count; i++)
		if (p->levels[i].number == number)
			return (int)i;
	return -1;
}

uint64_t fence_delay_ns(const struct fence_device *d, uint32_t node)
{
	const struct fence_target *t = fence_target_of(d, node);

	return ((uint64_t)d->delay_ms + (t ? t->delay_ms : 0)) * NS_PER_MS;
}

/* --- words -------------------------------------------------------------------------------- */

const char *fence_type_name(enum fence_type type)
{
	static const char *const names[] = {
		[FENCE_COMMAND] = "command", [FENCE_AGENT] = "agent",
		[FENCE_RESERVATION] = "reservation", [FENCE_WATCHDOG] = "watchdog",
	};

	return names[type];
}

char *fence_device_words(const struct fence_device *d, char to[FENCE_WORDS_BYTES])
{
	const char *slash = d->program ? strrchr(d->program, '/') : NULL;
	const char *program = slash ? slash + 1 : "";

	if (d->type == FENCE_COMMAND && strcmp(d->name, "command") == 0)
		snprintf(to, FENCE_WORDS_BYTES, "fence command");
	else if (d->type == FENCE_COMMAND)
		snprintf(to, FENCE_WORDS_BYTES, "fence command %.40s", d->name);
	else if (d->type == FENCE_AGENT && strcmp(d->name, program) == 0)
		snprintf(to, FENCE_WORDS_BYTES, "fence agent %.40s", program);
	else if (d->type == FENCE_AGENT)
		snprintf(to, FENCE_WORDS_BYTES, "fence agent %.40s (%.40s)", program, d->name);
	else
		snprintf(to, FENCE_WORDS_BYTES, "%s",
			 d->type == FENCE_WATCHDOG ? "its watchdog" : "its disks' reservation");
	return to;
}

/* --- the same again? -------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_options(const struct fence_options *a, const struct fence_options *b)
{
	bool is_same = a->count == b->count;

	for (size_t i = 0; is_same && i < a->count; i++)
		is_same = same_text(a->all[i].text, b->all[i].text);
	return is_same;
}

static bool same_device(const struct fence_device *a, const struct fence_device *b)
{
	bool is_same = same_text(a->name, b->name) && a->type == b->type &&
		       same_text(a->program, b->program) && same_text(a->user, b->user) &&
		       a->is_reboot == b->is_reboot && a->aborts == b->aborts &&
		       same_options(&a->options, &b->options) &&
		       a->target_count == b->target_count && a->delay_ms == b->delay_ms &&
		       a->timeout_ms == b->timeout_ms && a->retries == b->retries;

	for (size_t i = 0; is_same && i < a->target_count; i++)
		is_same = a->targets[i].node == b->targets[i].node &&
			  a->targets[i].delay_ms == b->targets[i].delay_ms &&
			  same_options(&a->targets[i].options, &b->targets[i].options);
	return is_same;
}

bool fence_plan_is_same(const struct fence_plan *a, const struct fence_plan *b)
{
	bool is_same = a->delay_ms == b->delay_ms && a->device_count == b->device_count &&
		       a->level_count == b->level_count;

	for (size_t i = 0; is_same && i < a->device_count; i++)
		is_same = same_device(&a->devices[i], &b->devices[i]);
	for (size_t i = 0; is_same && i < a->level_count; i++)
		is_same = memcmp(&a->levels[i], &b->levels[i], sizeof(a->levels[i])) == 0;
	return is_same;
}

/* --- the end ------------------------------------------------------------------------------------- */

static void free_options(struct fence_options *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->all[i].text);
	free(o->all);
}

void fence_plan_fini(struct fence_plan *p)
{
	for (size_t i = 0; i < p->device_count; i++) {
		struct fence_device *d = &p->devices[i];

		for (size_t j = 0; j < d->target_count; j++)
			free_options(&d->targets[j].options);
		free(d->targets);
		free_options(&d->options);
		free(d->program);
	}
	free(p->devices);
	*p = (struct fence_plan){ 0 };
}
