/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fence { }: devices, levels of them, and maps of nodes, as a plan (fence/plan.h). A command
 * that `methods` names is a device of its own, and level 1.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "mdclusterd/daemon/config_private.h"
#include "mdclusterd/fence/agent.h"

#define AGENT_FOLDER "/usr/sbin/"
#define AGENT_USER   "nobody"

enum { TIMEOUT_MS = 60000, RETRIES = 2, DELAY_MS = 1000, MAX_MS = 3600000 };

/* How often, and how long: a device's own, or else all devices'. */
static void take_patience(const struct section *s, const struct fence_device *otherwise,
			  struct fence_device *d)
{
	d->timeout_ms = (uint32_t)number_of(s, "timeout_ms", 100, MAX_MS, otherwise->timeout_ms);
	d->retries = (uint32_t)number_of(s, "retries", 0, 1000, otherwise->retries);
}

/* --- options of agents -------------------------------------------------------------------- */

static void take_option(const struct section *s, unsigned int index, struct fence_options *to)
{
	const char *text = cfg_getnstr(s->cfg, "options", index);
	size_t length = strcspn(text, "=");
	struct fence_option *o = &to->all[to->count];

	if (length == 0 || text[length] != '=' || strchr(text, '\n'))
		complain(s, "options", index, "options: '%s' is not NAME=VALUE", text);
	else if ((length == 6 && strncmp(text, "action", 6) == 0) ||
		 (length == 8 && strncmp(text, "nodename", 8) == 0))
		complain(s, "options", index, "options: '%.*s' is said by mdclusterd itself",
			 (int)length, text);
	for (size_t i = 0; i < to->count; i++)
		if (strncmp(to->all[i].text, text, length + 1) == 0)
			complain(s, "options", index, "options: '%.*s' is there twice",
				 (int)length, text);
	*o = (struct fence_option){ strdup(text), config_line(s->r, s->cfg, "options", index) };
	if (o->text)
		to->count++;
	else
		s->r->is_out_of_memory = true;
}

static void take_options(const struct section *s, struct fence_options *to)
{
	unsigned int count = cfg_size(s->cfg, "options");

	to->all = calloc(count ? count : 1, sizeof(*to->all));
	if (!to->all) {
		s->r->is_out_of_memory = true;
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		take_option(s, i, to);
}

/* --- maps of nodes -------------------------------------------------------------------------- */

static void take_target(const struct section *device, const struct config *c, cfg_t *cfg,
			struct fence_target *t)
{
	struct section s = section_of(device->r, cfg);
	int index = config_node_by_name(c, cfg_title(cfg));

	snprintf(s.name, sizeof(s.name), "%.40snode %.30s: ", device->name, cfg_title(cfg));
	t->line = config_section_line(device->r, cfg);
	if (index < 0)
		complain(&s, "", 0, "there is no such node");
	else
		t->node = c->nodes[index].id;
	take_options(&s, &t->options);
	t->delay_ms = (uint32_t)number_of(&s, "delay_ms", 0, MAX_MS, 0);
}

static void take_targets(const struct section *s, const struct config *c,
			 struct fence_device *d)
{
	unsigned int count = cfg_size(s->cfg, "node");

	d->targets = calloc(count ? count : 1, sizeof(*d->targets));
	if (!d->targets) {
		s->r->is_out_of_memory = true;
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		take_target(s, c, cfg_getnsec(s->cfg, "node", i), &d->targets[d->target_count++]);
}

/* --- devices ------------------------------------------------------------------------------------ */

static const char *const type_words[] = {
	[FENCE_COMMAND] = "command", [FENCE_AGENT] = "agent",
	[FENCE_RESERVATION] = "reservation", [FENCE_WATCHDOG] = "watchdog", NULL,
};

/* What it is, is told by the program that it names. */
static enum fence_type type_of(const struct section *s)
{
	const char *agent = text_of(s, "agent"), *command = text_of(s, "command");
	int implied = agent ? FENCE_AGENT : FENCE_COMMAND;
	int type = word_of(s, "type", type_words, implied);

	if (agent && command)
		complain(s, "command", 0, "command: there is an agent: one of both is enough");
	else if (type == FENCE_AGENT && !agent)
		complain(s, "type", 0, "agent is missing");
	else if (type == FENCE_COMMAND && !command)
		complain(s, "type", 0, "agent or command is missing");
	else if (type >= FENCE_RESERVATION && (agent || command))
		complain(s, "type", 0, "type: a %s needs no program", type_words[type]);
	return (enum fence_type)type;
}

static char *program_of(const struct section *s, enum fence_type type)
{
	const char *option = type == FENCE_AGENT ? "agent" : "command";
	const char *word = type >= FENCE_RESERVATION ? NULL : text_of(s, option);
	char path[512];
	char *copy;

	if (!word)
		return NULL;
	snprintf(path, sizeof(path), "%s%.400s",
		 type == FENCE_AGENT && !strchr(word, '/') ? AGENT_FOLDER : "", word);
	if (path[0] != '/')
		complain(s, option, 0, "%s: '%s' is no path from the root", option, word);
	copy = strdup(path);
	if (!copy)
		s->r->is_out_of_memory = true;
	return copy;
}

static bool is_for_agents(const struct section *s, const char *option, bool is_given,
			  enum fence_type type)
{
	if (is_given && type != FENCE_AGENT)
		complain(s, option, 0, "%s: is for agents alone", option);
	return type == FENCE_AGENT;
}

static void take_device(struct config_reader *r, const struct config *c, cfg_t *cfg,
			const struct fence_device *all, struct fence_device *d)
{
	static const char *const actions[] = { "off", "reboot", NULL };
	struct section s = section_of(r, cfg);
	const char *name = cfg_title(cfg);

	if (!*name || strlen(name) >= sizeof(d->name))
		complain(&s, "", 0, "its name must have 1 to %zu bytes", sizeof(d->name) - 1);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->line = config_section_line(r, cfg);
	d->type = type_of(&s);
	d->program = program_of(&s, d->type);
	d->is_reboot = word_of(&s, "action", actions, 1) == 1;
	(void)is_for_agents(&s, "action", text_of(&s, "action") != NULL, d->type);
	if (is_for_agents(&s, "options", cfg_size(cfg, "options") > 0, d->type))
		snprintf(d->user, sizeof(d->user), "%s", AGENT_USER);
	name_of(&s, "user", d->user);
	d->aborts = truth_of(&s, "abort", true);
	if (text_of(&s, "abort") && d->type != FENCE_RESERVATION)
		complain(&s, "abort", 0, "abort: is for reservations alone");
	if (text_of(&s, "user") && d->type >= FENCE_RESERVATION)
		complain(&s, "user", 0, "user: a %s runs no program", type_words[d->type]);
	if (d->type == FENCE_WATCHDOG && !c->watchdog.device)
		complain(&s, "type", 0, "type: there is no watchdog { device = ... }");
	take_options(&s, &d->options);
	take_targets(&s, c, d);
	d->delay_ms = (uint32_t)number_of(&s, "delay_ms", 0, MAX_MS, 0);
	take_patience(&s, all, d);
	if (d->type != FENCE_WATCHDOG)
		return;
	if (text_of(&s, "timeout_ms") || text_of(&s, "retries"))
		complain(&s, text_of(&s, "retries") ? "retries" : "timeout_ms", 0,
			 "timeout_ms, retries: a watchdog takes the time that it takes, once");
	d->timeout_ms = d->retries = 0;
}

static void check_devices(struct config_reader *r, struct config *c, cfg_t *fence,
			  const struct fence_device *all)
{
	struct fence_plan *p = &c->fence.plan;
	unsigned int count = cfg_size(fence, "device");

	if (count >= FENCE_MAX_DEVICES)
		config_mistake(r, config_section_line(r, fence),
			       "fence: %u devices: %d are the most", count,
			       FENCE_MAX_DEVICES - 1);
	/* one more for what `methods` name */
	p->devices = calloc(count + 1, sizeof(*p->devices));
	if (!p->devices) {
		r->is_out_of_memory = true;
		return;
	}
	for (unsigned int i = 0; i < count && i < FENCE_MAX_DEVICES; i++)
		take_device(r, c, cfg_getnsec(fence, "device", i), all,
			    &p->devices[p->device_count++]);
}

/* --- levels --------------------------------------------------------------------------------------- */

static int device_by_name(const struct fence_plan *p, const char *name)
{
	for (size_t i = 0; i < p->device_count; i++)
		if (strcmp(p->devices[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void take_level_devices(const struct section *s, const struct fence_plan *p,
			       struct fence_level *l)
{
	unsigned int count = cfg_size(s->cfg, "devices");

	if (count == 0)
		complain(s, "", 0, "devices is missing");
	if (count > FENCE_LEVEL_DEVICES)
		complain(s, "devices", FENCE_LEVEL_DEVICES, "devices: more than %d",
			 FENCE_LEVEL_DEVICES);
	for (unsigned int i = 0; i < count && i < FENCE_LEVEL_DEVICES; i++) {
		const char *name = cfg_getnstr(s->cfg, "devices", i);
		int index = device_by_name(p, name);

		for (uint32_t j = 0; index >= 0 && j < l->device_count; j++)
			if (l->devices[j] == (uint32_t)index)
				complain(s, "devices", i, "devices: '%s' is there twice", name);
		if (index < 0)
			complain(s, "devices", i, "devices: there is no device '%s'", name);
		else
			l->devices[l->device_count++] = (uint32_t)index;
	}
}

static void take_level_nodes(const struct section *s, const struct config *c,
			     struct fence_level *l)
{
	unsigned int count = cfg_size(s->cfg, "nodes");

	for (unsigned int i = 0; i < count && i < FENCE_LEVEL_NODES; i++) {
		const char *name = cfg_getnstr(s->cfg, "nodes", i);
		int index = config_node_by_name(c, name);

		if (index < 0)
			complain(s, "nodes", i, "nodes: there is no node '%s'", name);
		else
			l->nodes[l->node_count++] = c->nodes[index].id;
	}
}

/* One of which no node can make use is a mistake of its devices' maps. */
static void check_use(const struct section *s, const struct config *c,
		      const struct fence_level *l)
{
	bool is_for_any = l->device_count == 0;

	for (int i = 0; i < c->node_count; i++)
		is_for_any |= fence_level_is_for(&c->fence.plan, l, c->nodes[i].id);
	if (!is_for_any)
		complain(s, "devices", 0, "devices: no node is in the maps of all of them");
}

/* There both keep a quorum, and so their leases: who is cut off is never reset. */
static void check_two_node(const struct section *s, const struct config *c,
			   const struct fence_level *l)
{
	bool is_by_watchdogs = l->device_count > 0;

	for (uint32_t i = 0; i < l->device_count; i++)
		is_by_watchdogs &= c->fence.plan.devices[l->devices[i]].type == FENCE_WATCHDOG;
	if (is_by_watchdogs && c->quorum.is_two_node)
		complain(s, "devices", 0,
			 "devices: with quorum { two_node = yes } a watchdog proves nothing: each node may write alone");
}

static void take_level(struct config_reader *r, struct config *c, cfg_t *cfg)
{
	struct section s = section_of(r, cfg);
	struct fence_plan *p = &c->fence.plan;
	struct fence_level *l = &p->levels[p->level_count];
	struct err err = ERR_INIT;
	uint64_t number = 1;

	if (p->level_count == FENCE_MAX_LEVELS) {
		complain(&s, "", 0, "one level too many: %d are the most", FENCE_MAX_LEVELS);
		return;
	}
	if (text_parse_u64(cfg_title(cfg), "its number", 1, FENCE_MAX_LEVELS, &number, &err) < 0)
		complain(&s, "", 0, "%s", err.text);
	l->number = (uint32_t)number;
	take_level_devices(&s, p, l);
	take_level_nodes(&s, c, l);
	check_use(&s, c, l);
	check_two_node(&s, c, l);
	p->level_count++;
}

static int by_number(const void *a, const void *b)
{
	const struct fence_level *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void check_unused(struct config_reader *r, const struct fence_plan *p)
{
	for (size_t i = 0; i < p->device_count; i++) {
		bool is_used = false;

		for (size_t j = 0; j < p->level_count; j++)
			for (uint32_t k = 0; k < p->levels[j].device_count; k++)
				is_used |= p->levels[j].devices[k] == i;
		if (!is_used)
			config_mistake(r, p->devices[i].line,
				       "device %s: is in no level: it would never be used",
				       p->devices[i].name);
	}
}

static void check_levels(struct config_reader *r, struct config *c, cfg_t *fence)
{
	struct fence_plan *p = &c->fence.plan;

	for (unsigned int i = 0; i < cfg_size(fence, "level"); i++)
		take_level(r, c, cfg_getnsec(fence, "level", i));
	check_unused(r, p);
	qsort(p->levels, p->level_count, sizeof(p->levels[0]), by_number);
}

/* --- methods ---------------------------------------------------------------------------------------- */

static void check_methods(const struct section *s, struct config *c)
{
	unsigned int count = cfg_size(s->cfg, "methods");

	c->fence.methods = text_of(s, "methods") || count ? 0 : CONFIG_FENCE_OBITUARY;
	for (unsigned int i = 0; i < count; i++) {
		const char *method = cfg_getnstr(s->cfg, "methods", i);

		if (strcmp(method, "obituary") == 0)
			c->fence.methods |= CONFIG_FENCE_OBITUARY;
		else if (strcmp(method, "command") == 0)
			c->fence.methods |= CONFIG_FENCE_COMMAND;
		else if (strcmp(method, "dlm") == 0)
			c->fence.methods |= CONFIG_FENCE_DLM;
		else
			complain(s, "methods", i,
				 "methods: '%s' is none of: obituary, command, dlm", method);
	}
	if (c->fence.methods & CONFIG_FENCE_DLM && c->locks != CONFIG_LOCKS_LIBDLM)
		complain(s, "methods", 0,
			 "methods: dlm is for locks = libdlm: dlm_controld fences for the kernel's DLM alone");
}

static void check_command(const struct section *s, struct config *c,
			  const struct fence_device *all)
{
	struct fence_plan *p = &c->fence.plan;
	bool is_named = (c->fence.methods & CONFIG_FENCE_COMMAND) != 0;
	struct fence_device *d = p->devices ? &p->devices[p->device_count] : NULL;
	const struct fence_level first = { .number = 1,
					   .devices = { (uint32_t)p->device_count },
					   .device_count = 1 };

	if (is_named && !text_of(s, "command"))
		complain(s, "methods", 0, "command is missing, which methods name");
	if (!is_named && text_of(s, "command"))
		complain(s, "command", 0, "command: methods do not name it");
	if (is_named && p->level_count > 0)
		complain(s, "methods", 0,
			 "methods: there are levels: have a device with that command in one");
	if (!is_named || !text_of(s, "command") || p->level_count > 0 || !d)
		return;
	*d = *all;
	snprintf(d->name, sizeof(d->name), "command");
	d->program = path_of(s, "command", "");
	d->line = config_line(s->r, s->cfg, "command", 0);
	p->device_count++;
	p->levels[p->level_count++] = first;
}

static void check_watchdog(struct config_reader *r, struct config *c)
{
	struct section s = section_of(r, cfg_getsec(r->cfg, "watchdog"));

	if (text_of(&s, "device"))
		c->watchdog.device = path_of(&s, "device", "");
	else
		for (const char *o = "timeout_s\0drain_ms\0software\0"; *o; o += strlen(o) + 1)
			if (text_of(&s, o))
				complain(&s, o, 0, "%s: device is missing", o);
	c->watchdog.timeout_s = (uint32_t)number_of(&s, "timeout_s", 2, 600, 10);
	c->watchdog.drain_ms = (uint32_t)number_of(&s, "drain_ms", 100, 600000, 5000);
	c->watchdog.takes_software = truth_of(&s, "software", false);
}

void config_check_fence(struct config_reader *r, struct config *c)
{
	const struct fence_device usual = { .timeout_ms = TIMEOUT_MS, .retries = RETRIES };
	struct section s = section_of(r, cfg_getsec(r->cfg, "fence"));
	struct fence_device all = { .type = FENCE_COMMAND };
	uint32_t delay_ms = (uint32_t)number_of(&s, "delay_ms", 0, MAX_MS, DELAY_MS);

	check_watchdog(r, c);
	take_patience(&s, &usual, &all);
	check_methods(&s, c);
	check_devices(r, c, s.cfg, &all);
	check_levels(r, c, s.cfg);
	check_command(&s, c, &all);
	/* it is for an obituary that may come */
	c->fence.plan.delay_ms = c->fence.methods & CONFIG_FENCE_OBITUARY ? delay_ms : 0;
}

/* --- what agents say ----------------------------------------------------------------------------------- */

struct agents_check {
	config_mistake_fn mistake;
	void *owner;
	bool is_good;
};

static void tell(struct agents_check *a, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void tell(struct agents_check *a, int line, const char *fmt, ...)
{
	char text[640];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	a->is_good = false;
	a->mistake(a->owner, line, text);
}

static void compare_options(struct agents_check *a, const struct fence_device *d,
			    const struct fence_options *o, const char *xml)
{
	for (size_t i = 0; i < o->count; i++) {
		size_t length = strcspn(o->all[i].text, "=");

		if (!agent_metadata_has(xml, "parameter", o->all[i].text, length))
			tell(a, o->all[i].line, "device %s: options: %s knows no '%.*s'", d->name,
			     d->program, (int)length, o->all[i].text);
	}
}

static void check_agent(struct agents_check *a, const struct fence_device *d)
{
	CLEANUP_FREE char *xml = NULL;
	const char *action = d->is_reboot ? "reboot" : "off";
	struct err err = ERR_INIT;

	if (agent_metadata(d->program, d->user, &xml, &err) < 0 || !xml) {
		tell(a, d->line, "device %s: %s: %s", d->name, d->program, err.text);
		return;
	}
	if (!agent_metadata_has(xml, "action", action, strlen(action)))
		tell(a, d->line, "device %s: action: %s knows no '%s'", d->name, d->program, action);
	compare_options(a, d, &d->options, xml);
	for (size_t i = 0; i < d->target_count; i++)
		compare_options(a, d, &d->targets[i].options, xml);
}

bool config_check_agents(const struct config *c, config_mistake_fn mistake, void *owner)
{
	struct agents_check a = { mistake, owner, true };

	for (size_t i = 0; i < c->fence.plan.device_count; i++) {
		const struct fence_device *d = &c->fence.plan.devices[i];

		if (d->type == FENCE_AGENT)
			check_agent(&a, d);
	}
	return a.is_good;
}
