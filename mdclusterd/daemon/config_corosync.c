/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * engine = corosync: nodes and the name of the cluster are corosync's, and nothing of its
 * configuration is said twice. What would be without effect is refused by name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/daemon/config_private.h"
#include "totem/corosync.h"

enum { DEFAULT_TOKEN_MS = 1000 };

struct needless {
	const char *section, *option, *why; /* section "": of the file itself */
};

static const struct needless needless[] = {
	{ "", "this_node", "corosync knows which of its nodes this is" },
	{ "cluster", "key_file", "corosync seals what it sends: totem { keyfile } of corosync.conf" },
	{ "cluster", "crypto", "corosync seals what it sends: totem { crypto_cipher } of corosync.conf" },
	{ "totem", "token_ms", "the ring is corosync's: totem { token } of corosync.conf" },
	{ "totem", "mtu", "the ring is corosync's: totem { netmtu } of corosync.conf" },
	{ "totem", "multicast", "the ring is corosync's: totem { transport } of corosync.conf" },
	{ "totem", "multicast_ttl", "the ring is corosync's: totem { interface { ttl } } of corosync.conf" },
	{ "totem", "port", "the ring is corosync's: totem { interface { mcastport } } of corosync.conf" },
	{ "quorum", "expected_votes", "corosync decides: quorum { expected_votes } of corosync.conf" },
	{ "quorum", "two_node", "corosync decides: quorum { two_node } of corosync.conf" },
	{ "quorum", "wait_for_all", "corosync decides: quorum { wait_for_all } of corosync.conf" },
	{ "quorum", "auto_tie_breaker", "corosync decides: quorum { auto_tie_breaker } of corosync.conf" },
	{ "quorum", "auto_tie_breaker_node",
	  "corosync decides: quorum { auto_tie_breaker_node } of corosync.conf" },
	{ "quorum", "last_man_standing", "corosync decides: quorum { last_man_standing } of corosync.conf" },
	{ "quorum", "last_man_standing_window",
	  "corosync decides: quorum { last_man_standing_window } of corosync.conf" },
	{ "quorum", "allow_downscale", "corosync decides: quorum { allow_downscale } of corosync.conf" },
	{ "quorum", "tie_breaker", "corosync decides: a qdevice is what it has for that" },
	{ "quorum", "tie_breaker_votes", "corosync decides: a qdevice is what it has for that" },
	{ "quorum", "tie_breaker_io_timeout", "corosync decides: a qdevice is what it has for that" },
};

static void refuse_needless(struct config_reader *r)
{
	for (size_t i = 0; i < sizeof(needless) / sizeof(needless[0]); i++) {
		const struct needless *n = &needless[i];
		struct section s = section_of(r, *n->section ? cfg_getsec(r->cfg, n->section) :
							       r->cfg);

		if (text_of(&s, n->option))
			complain(&s, n->option, 0, "%s: not with engine = corosync: %s", n->option,
				 n->why);
	}
	for (unsigned int i = 0; i < cfg_size(r->cfg, "node"); i++) {
		struct section s = section_of(r, cfg_getnsec(r->cfg, "node", i));

		complain(&s, "", 0,
			 "not with engine = corosync: nodes are those of its nodelist");
	}
}

/* What fences, and what people see, needs names that are one each. */
static void take_nodes(struct config_reader *r, struct config *c, const struct corosync_map *map)
{
	int self = node_index(&map->nodes, map->self);

	c->node_count = map->nodes.count;
	for (int i = 0; i < c->node_count; i++) {
		struct config_node *n = &c->nodes[i];

		n->id = map->nodes.ids[i];
		n->votes = map->votes[i];
		(void)snprintf(n->name, sizeof(n->name), "%s", map->names[i]);
		for (int k = 0; k < i; k++)
			if (strcmp(c->nodes[k].name, n->name) == 0)
				config_mistake(r, 0, "corosync's nodelist: two nodes are called '%s'",
					       n->name);
	}
	c->self = self == TOTEM_NO_INDEX ? 0 : self;
	c->quorum = (struct quorum_options){ .nodes = map->nodes, .self = c->self,
					     .is_two_node = map->is_two_node };
	for (int i = 0; i < c->node_count; i++)
		c->quorum.votes[i] = c->nodes[i].votes;
	if (self == TOTEM_NO_INDEX)
		config_mistake(r, 0,
			       "corosync's nodelist does not have node %" PRIu32 ", which this is",
			       map->self);
}

static void compare_names(struct config_reader *r, struct config *c,
			  const struct corosync_map *map)
{
	struct section s = section_of(r, cfg_getsec(r->cfg, "cluster"));

	if (text_of(&s, "name") && *c->cluster && strcmp(c->cluster, map->cluster) != 0)
		complain(&s, "name", 0,
			 "name: corosync's cluster is '%s', not '%s': leave the name out, or start the corosync of that cluster",
			 map->cluster, c->cluster);
	(void)snprintf(c->cluster, sizeof(c->cluster), "%s", map->cluster);
}

void config_check_corosync(struct config_reader *r, struct config *c)
{
	struct corosync_map *map = calloc(1, sizeof(*map));
	struct err err = ERR_INIT;

	c->token_ms = DEFAULT_TOKEN_MS;
	refuse_needless(r);
	if (!map) {
		r->is_out_of_memory = true;
		return;
	}
	if (r->ask(map, &err) < 0) {
		struct section s = section_of(r, cfg_getsec(r->cfg, "cluster"));

		r->is_refused = err.code == -ECONNREFUSED || err.code == -ETIMEDOUT;
		complain(&s, "engine", 0, "engine: %s", err.text);
	} else {
		take_nodes(r, c, map);
		compare_names(r, c, map);
		if (map->token_ms > 0 && map->token_ms <= 60000)
			c->token_ms = (uint32_t)map->token_ms;
	}
	free(map);
}
