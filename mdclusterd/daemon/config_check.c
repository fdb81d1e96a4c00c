/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the values mean: each is looked at by itself, then together. Nothing here stops
 * at a mistake; what could not be read has its default, so that what follows makes sense.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mdclusterd/daemon/config_private.h"
#include "totem/keyfile.h"

enum { DEFAULT_PORT = 7405, LOWEST_TOKEN_MS = 20 };

struct section section_of(struct config_reader *r, cfg_t *cfg)
{
	struct section s = { .r = r, .cfg = cfg };
	const char *title = cfg == r->cfg ? NULL : cfg_title(cfg);

	if (cfg != r->cfg)
		snprintf(s.name, sizeof(s.name), "%s%s%.70s: ", cfg_name(cfg), title ? " " : "",
			 title ? title : "");
	return s;
}

void complain(const struct section *s, const char *option, unsigned int index, const char *fmt,
	      ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	config_mistake(s->r, config_line(s->r, s->cfg, option, index), "%s%s", s->name, text);
}

const char *text_of(const struct section *s, const char *option)
{
	return cfg_size(s->cfg, option) > 0 ? cfg_getstr(s->cfg, option) : NULL;
}

/* --- single values ----------------------------------------------------------------------- */

uint64_t number_of(const struct section *s, const char *option, uint64_t least, uint64_t most,
		   uint64_t otherwise)
{
	const char *text = text_of(s, option);
	struct err err = ERR_INIT;
	uint64_t value = otherwise;

	if (text && text_parse_u64(text, option, least, most, &value, &err) < 0) {
		complain(s, option, 0, "%s", err.text);
		return otherwise;
	}
	return value;
}

static uint64_t bytes_of(const struct section *s, const char *option)
{
	const char *text = text_of(s, option);
	struct err err = ERR_INIT;
	uint64_t sectors = 0;

	if (text && text_parse_sectors(text, option, &sectors, &err) < 0)
		complain(s, option, 0, "%s", err.text);
	return sectors * 512;
}

bool truth_of(const struct section *s, const char *option, bool otherwise)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	const char *text = text_of(s, option);

	if (!text)
		return otherwise;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return i % 2;
	complain(s, option, 0, "%s: '%s' is neither yes nor no", option, text);
	return otherwise;
}

int word_of(const struct section *s, const char *option, const char *const *words, int otherwise)
{
	const char *text = text_of(s, option);
	char all[256] = "";

	if (!text)
		return otherwise;
	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 words[i]);
	}
	complain(s, option, 0, "%s: '%s' is none of: %s", option, text, all);
	return otherwise;
}

void name_of(const struct section *s, const char *option, char to[CONFIG_NAME_BYTES])
{
	const char *text = text_of(s, option);

	if (!text)
		return;
	if (!*text || strlen(text) >= CONFIG_NAME_BYTES)
		complain(s, option, 0, "%s: must have 1 to %d bytes", option,
			 CONFIG_NAME_BYTES - 1);
	else
		snprintf(to, CONFIG_NAME_BYTES, "%s", text);
}

char *path_of(const struct section *s, const char *option, const char *otherwise)
{
	const char *text = text_of(s, option);
	char *copy;

	if (text && *text != '/')
		complain(s, option, 0, "%s: '%s' is no path from the root", option, text);
	copy = strdup(text ? text : otherwise);
	if (!copy)
		s->r->is_out_of_memory = true;
	return copy;
}

/* An IP address with maybe a port, "10.0.0.1", "10.0.0.1:5405", "[fe80::1]:5405", "fe80::1". */
static bool address_of(const struct section *s, const char *option, uint64_t port,
		       union transport_address *a, bool *has_port)
{
	const char *text = text_of(s, option);
	char host[96], *colon;
	struct err err = ERR_INIT;

	*has_port = false;
	if (!text)
		return false;
	snprintf(host, sizeof(host), "%s", text);
	colon = strrchr(host, ':');
	if (colon && (strchr(host, ':') == colon || colon[-1] == ']')) {
		*has_port = true;
		*colon = '\0';
		if (text_parse_u64(colon + 1, option, 1, 65535, &port, &err) < 0) {
			complain(s, option, 0, "%s", err.text);
			return false;
		}
	}
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	*a = (union transport_address){ .any.sa_family = AF_UNSPEC };
	if (inet_pton(AF_INET, host, &a->in4.sin_addr) == 1) {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)port);
	} else {
		complain(s, option, 0, "%s: '%s' is no IP address (names are not looked up)",
			 option, text);
		return false;
	}
	return true;
}

static bool same_address(const union transport_address *a, const union transport_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in4.sin_port == b->in4.sin_port &&
		       a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

/* --- sections ------------------------------------------------------------------------------ */

static void check_cluster(struct config_reader *r, struct config *c)
{
	static const char *const ciphers[] = { "auto", "none", NULL };
	static const char *const taken[] = { "configured", "all", NULL };
	static const char *const engines[] = { "totem", "corosync", NULL };
	static const char *const locks[] = { "ring", "libdlm", NULL };
	struct section s = section_of(r, cfg_getsec(r->cfg, "cluster"));

	c->engine = word_of(&s, "engine", engines, 0) == 1 ? CONFIG_ENGINE_COROSYNC :
							      CONFIG_ENGINE_TOTEM;
	c->locks = word_of(&s, "locks", locks, 0) == 1 ? CONFIG_LOCKS_LIBDLM : CONFIG_LOCKS_RING;
	if (c->locks == CONFIG_LOCKS_LIBDLM && c->engine != CONFIG_ENGINE_COROSYNC)
		complain(&s, "locks", 0,
			 "locks: libdlm is the kernel's DLM, which needs corosync: say engine = corosync, too");
	if (!text_of(&s, "name") && c->engine != CONFIG_ENGINE_COROSYNC)
		config_mistake(r, 0, "cluster: name is missing");
	name_of(&s, "name", c->cluster);
	if (c->engine == CONFIG_ENGINE_COROSYNC)
		; /* it seals itself */
	else if (word_of(&s, "crypto", ciphers, 0) == 0)
		c->key_file = path_of(&s, "key_file", KEYFILE_DEFAULT_PATH);
	else if (text_of(&s, "key_file"))
		complain(&s, "key_file", 0, "key_file: crypto = none has no key");
	c->takes_all = word_of(&s, "incremental", taken, 0) == 1;
	c->re_adds = truth_of(&s, "auto_re_add", false);
}

static void check_node(struct config_reader *r, struct config *c, cfg_t *cfg, uint64_t port)
{
	struct section s = section_of(r, cfg);
	struct config_node n = { .line = config_section_line(r, cfg) };
	const char *title = cfg_title(cfg);
	bool is_placed;

	if (!*title || strlen(title) >= sizeof(n.name))
		complain(&s, "", 0, "its name must have 1 to %zu bytes", sizeof(n.name) - 1);
	snprintf(n.name, sizeof(n.name), "%s", title);
	for (const char *missing = "id\0address\0"; *missing; missing += strlen(missing) + 1)
		if (!text_of(&s, missing))
			complain(&s, "", 0, "%s is missing", missing);
	n.id = (uint32_t)number_of(&s, "id", 1, UINT32_MAX, 0);
	n.votes = (uint32_t)number_of(&s, "votes", 0, 255, 1);
	port = number_of(&s, "port", 1, 65535, port);
	is_placed = address_of(&s, "address", port, &n.address, &n.has_port);
	if (n.has_port && text_of(&s, "port"))
		complain(&s, "port", 0, "port: the address has one, too");
	for (int i = 0; i < c->node_count; i++) {
		const struct config_node *o = &c->nodes[i];

		if (n.id && n.id == o->id)
			complain(&s, "id", 0, "id: node %s (line %d) has %" PRIu32 ", too",
				 o->name, o->line, n.id);
		if (is_placed && same_address(&n.address, &o->address))
			complain(&s, "address", 0, "address: node %s (line %d) has the same",
				 o->name, o->line);
	}
	if (c->node_count == TOTEM_MAX_NODES)
		complain(&s, "", 0, "one node too many: %d are the most", TOTEM_MAX_NODES);
	else
		c->nodes[c->node_count++] = n;
}

static int by_id(const void *a, const void *b)
{
	const struct config_node *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void check_self(struct config_reader *r, struct config *c)
{
	struct section s = section_of(r, r->cfg);
	const char *name = text_of(&s, "this_node");

	c->self = config_node_by_name(c, name ? name : r->host);
	if (c->self >= 0)
		return;
	c->self = 0;
	if (name)
		complain(&s, "this_node", 0, "this_node: there is no node '%s'", name);
	else
		config_mistake(r, 0, "no node is called '%s' as this host is: say this_node = NAME",
			       r->host);
}

static void check_nodes(struct config_reader *r, struct config *c)
{
	struct section totem = section_of(r, cfg_getsec(r->cfg, "totem"));
	uint64_t port = number_of(&totem, "port", 1, 65535, DEFAULT_PORT), votes = 0;
	const struct config_node *first = NULL;

	for (unsigned int i = 0; i < cfg_size(r->cfg, "node"); i++)
		check_node(r, c, cfg_getnsec(r->cfg, "node", i), port);
	if (c->node_count == 0) {
		config_mistake(r, 0, "there is no node NAME { ... }");
		return;
	}
	qsort(c->nodes, (size_t)c->node_count, sizeof(*c->nodes), by_id);
	for (int i = 0; i < c->node_count; i++) {
		const struct config_node *n = &c->nodes[i];

		votes += n->votes;
		if (!n->address.any.sa_family)
			continue;
		if (first && first->address.any.sa_family != n->address.any.sa_family)
			config_mistake(r, n->line,
				       "node %s: address: is not of the family of node %s's",
				       n->name, first->name);
		first = first ? first : n;
	}
	if (votes == 0)
		config_mistake(r, 0, "no node has a vote: there can be no quorum");
	check_self(r, c);
}

static void check_totem(struct config_reader *r, struct config *c)
{
	struct section s = section_of(r, cfg_getsec(r->cfg, "totem"));
	struct section q = section_of(r, cfg_getsec(r->cfg, "quorum"));
	bool has_port;

	if (c->engine == CONFIG_ENGINE_TOTEM)
		c->token_ms = (uint32_t)number_of(&s, "token_ms", LOWEST_TOKEN_MS, 60000, 1000);
	c->sync_deadline_ms = (uint32_t)number_of(&s, "sync_deadline_ms", 1000, 3600000, 30000);
	c->mtu_bytes = (uint32_t)number_of(&s, "mtu", 576, 65535, 1500);
	c->multicast_ttl = (uint8_t)number_of(&s, "multicast_ttl", 1, 255, 1);
	address_of(&s, "multicast", number_of(&s, "port", 1, 65535, DEFAULT_PORT), &c->multicast,
		   &has_port);
	/* corosync makes a ring within a token and its consensus of 1.2: longer than that */
	c->lease_ms = (uint32_t)number_of(&q, "lease_ms", LOWEST_TOKEN_MS, 60000,
					  c->engine == CONFIG_ENGINE_COROSYNC ?
						  min_u64(3 * c->token_ms, 60000) : c->token_ms);
	if (c->lease_ms < c->token_ms / 2)
		complain(&q, "lease_ms", 0,
			 "lease_ms: %" PRIu32 " is under half of token_ms, %" PRIu32
			 ": it would be over in between two tokens",
			 c->lease_ms, c->token_ms);
}

static void take_list(const struct section *s, const char *option, struct config_array *a)
{
	unsigned int count = cfg_size(s->cfg, option);

	if (count > CONFIG_MAX_DISKS)
		complain(s, option, CONFIG_MAX_DISKS, "%s: more than %d", option,
			 CONFIG_MAX_DISKS);
	for (unsigned int i = 0; i < count && i < CONFIG_MAX_DISKS; i++) {
		const char *path = cfg_getnstr(s->cfg, option, i);

		if (*path != '/')
			complain(s, option, i, "%s: '%s' is no path from the root", option, path);
		for (size_t j = 0; j < a->disk_count; j++)
			if (strcmp(a->disks[j], path) == 0)
				complain(s, option, i, "%s: '%s' is there twice", option, path);
		a->disks[a->disk_count] = strdup(path);
		if (!a->disks[a->disk_count])
			s->r->is_out_of_memory = true;
		else
			a->disk_count++;
	}
}

static void check_members(const struct section *s, struct config_array *a)
{
	const char *uuid = text_of(s, "uuid");
	struct err err = ERR_INIT;

	a->has_uuid = uuid != NULL;
	if (uuid && text_parse_uuid(uuid, "uuid", a->uuid, &err) < 0)
		complain(s, "uuid", 0, "%s", err.text);
	if (cfg_size(s->cfg, "disks") > 0 && cfg_size(s->cfg, "scan") > 0)
		complain(s, "scan", 0, "scan: the disks are named: one of both is enough");
	else if (cfg_size(s->cfg, "scan") > 0 && !uuid)
		complain(s, "scan", 0, "scan: uuid is missing: which array's disks shall be found?");
	else if (cfg_size(s->cfg, "scan") == 0 && cfg_size(s->cfg, "disks") == 0)
		complain(s, "", 0, "disks is missing, or uuid and scan");
	take_list(s, cfg_size(s->cfg, "disks") > 0 ? "disks" : "scan", a);
}

static void check_array(struct config_reader *r, const struct config *c, struct config_array *a,
			cfg_t *cfg)
{
	static const char *const without_quorum[] = { "park", "fail", NULL };
	struct section s = section_of(r, cfg);
	const char *name = cfg_title(cfg), *mode;
	char *end;

	if (!*name || strlen(name) >= sizeof(a->name) || strchr(name, '/') || *name == '.')
		complain(&s, "", 0, "its name is that of a file: 1 to %zu bytes, no '/', no '.' in front",
			 sizeof(a->name) - 1);
	snprintf(a->name, sizeof(a->name), "%s", name);
	check_members(&s, a);
	a->may_start_degraded = truth_of(&s, "start_degraded", false);
	a->degraded_after_ms = (uint32_t)number_of(&s, "degraded_after_ms", 0, 3600000,
						   CONFIG_DEGRADED_AFTER_MS);
	a->fails_without_quorum = word_of(&s, "no_quorum", without_quorum, 0) == 1;
	a->resync_min_bytes = bytes_of(&s, "resync_min");
	a->resync_max_bytes = bytes_of(&s, "resync_max");
	if (a->resync_max_bytes && a->resync_max_bytes < a->resync_min_bytes)
		complain(&s, "resync_max", 0, "resync_max: is less than resync_min");
	a->intent_budget_bytes = bytes_of(&s, "intent_budget");
	a->max_read_errors = (uint32_t)number_of(&s, "max_read_errors", 0, 1000000,
						 CONFIG_MAX_READ_ERRORS);
	a->is_exported = truth_of(&s, "export", true);
	a->is_auto = truth_of(&s, "auto", true);
	a->re_adds = truth_of(&s, "auto_re_add", c->re_adds);
	name_of(&s, "export_group", a->export_group);
	mode = text_of(&s, "export_mode");
	a->export_mode = 0600;
	if (mode) {
		a->export_mode = (uint32_t)strtoul(mode, &end, 8);
		if (!*mode || *end || a->export_mode > 0777)
			complain(&s, "export_mode", 0, "export_mode: '%s' is no mode, as 0660 is",
				 mode);
		else if (a->export_mode & 07)
			complain(&s, "export_mode", 0,
				 "export_mode: %s lets everybody at the data: name a group", mode);
	}
}

static void check_arrays(struct config_reader *r, struct config *c)
{
	unsigned int count = cfg_size(r->cfg, "array");

	if (count > CONFIG_MAX_ARRAYS) {
		config_mistake(r, 0, "%u arrays: %d are the most", count, CONFIG_MAX_ARRAYS);
		return;
	}
	c->arrays = calloc(count ? count : 1, sizeof(*c->arrays));
	if (!c->arrays) {
		r->is_out_of_memory = true;
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		check_array(r, c, &c->arrays[c->array_count++], cfg_getnsec(r->cfg, "array", i));
}

static void check_log(struct config_reader *r, struct config *c)
{
	static const char *const targets[] = { "stderr", "syslog", "journal", NULL };
	static const char *const levels[] = { "error", "warning", "notice", "info", "debug",
					      NULL };
	struct section s = section_of(r, cfg_getsec(r->cfg, "log"));
	int level = word_of(&s, "level", levels, -1);

	c->log_target = word_of(&s, "target", targets, -1);
	c->log_level = level < 0 ? -1 : LOG_ERR + level;
}

void config_check(struct config_reader *r, struct config *c)
{
	struct section file = section_of(r, r->cfg);
	struct section control = section_of(r, cfg_getsec(r->cfg, "control"));

	check_cluster(r, c);
	if (c->engine == CONFIG_ENGINE_COROSYNC)
		config_check_corosync(r, c);
	else
		check_nodes(r, c);
	check_totem(r, c);
	if (c->engine == CONFIG_ENGINE_TOTEM)
		config_check_quorum(r, c);
	check_arrays(r, c);
	config_check_fence(r, c);
	check_log(r, c);
	c->run_dir = path_of(&file, "run_dir", "/run/mdcluster");
	c->state_dir = path_of(&file, "state_dir", "/var/lib/mdcluster");
	c->locks_memory = truth_of(&file, "lock_memory", false);
	snprintf(c->control_group, sizeof(c->control_group), "mdcluster");
	name_of(&control, "group", c->control_group);
}
