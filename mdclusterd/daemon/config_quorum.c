/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* quorum { }: corosync.conf's names, and what goes with what. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "mdclusterd/daemon/config_private.h"

enum {
	DEFAULT_WINDOW_MS = 10000, /* as votequorum's */
	MOST_WINDOW_MS = 3600000,
	DEFAULT_IO_TIMEOUT_MS = 1000,
};

struct reading {
	struct section section;
	struct config *c;
	struct quorum_options *o;
};

static void say(const struct reading *s, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void say(const struct reading *s, const char *option, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	complain(&s->section, option, 0, "%s: %s", option, text);
}

static uint32_t count_of(const struct reading *s, const char *option, uint32_t least,
			 uint32_t most, uint32_t otherwise)
{
	return (uint32_t)number_of(&s->section, option, least, most, otherwise);
}

static bool is_on(const struct reading *s, const char *option, bool otherwise)
{
	return truth_of(&s->section, option, otherwise);
}

/* One of both alone makes sense. */
static void refuse_both(const struct reading *s, const char *option, bool has_other,
			const char *other, const char *why)
{
	if (has_other)
		say(s, option, "not together with %s: %s", other, why);
}

static void refuse_without(const struct reading *s, const char *option, bool has_it,
			   const char *needed)
{
	if (text_of(&s->section, option) && !has_it)
		say(s, option, "is nothing without %s", needed);
}

/* --- votes ------------------------------------------------------------------------------- */

static void read_votes(const struct reading *s)
{
	struct quorum_options *o = s->o;
	uint32_t all = o->device_votes;

	config_node_table(s->c, &o->nodes);
	o->self = s->c->self;
	for (int i = 0; i < o->nodes.count; i++) {
		o->votes[i] = s->c->nodes[i].votes;
		all += o->votes[i];
	}
	o->expected = count_of(s, "expected_votes", 1, QUORUM_MAX_EXPECTED, 0);
	if (o->expected > 0 && o->expected < all)
		say(s, "expected_votes",
		    "%" PRIu32 " is less than the %" PRIu32
		    " votes that there are: two parts could both be quorate",
		    o->expected, all);
}

static void read_two_node(const struct reading *s)
{
	struct quorum_options *o = s->o;

	o->is_two_node = is_on(s, "two_node", false);
	o->waits_for_all = is_on(s, "wait_for_all", o->is_two_node);
	if (!o->is_two_node)
		return;
	if (o->nodes.count != 2 || o->votes[0] != 1 || o->votes[1] != 1)
		say(s, "two_node", "is for two nodes with one vote each");
	if (!o->waits_for_all)
		say(s, "wait_for_all",
		    "two_node needs it: each node would start alone, and write");
	refuse_both(s, "two_node", o->device_votes > 0, "tie_breaker", "that settles it better");
	refuse_both(s, "two_node", o->tie != QUORUM_TIE_NONE, "auto_tie_breaker",
		    "one node is enough already");
	refuse_both(s, "two_node", o->is_last_man_standing, "last_man_standing",
		    "one node is enough already");
	refuse_both(s, "two_node", o->expected > 2, "expected_votes", "two are expected");
}

/* --- ties and last men -------------------------------------------------------------------------- */

static void add_tie_node(const struct reading *s, const char *word)
{
	struct quorum_options *o = s->o;
	int index = config_node_by_name(s->c, word);
	struct err err = ERR_INIT;
	uint64_t id;

	if (index < 0 && text_parse_u64(word, "id", 1, UINT32_MAX, &id, &err) == 0)
		index = config_node_by_id(s->c, (uint32_t)id);
	if (index < 0)
		say(s, "auto_tie_breaker_node",
		    "'%s' is neither lowest nor highest, nor a node", word);
	else if (s->c->nodes[index].votes == 0)
		say(s, "auto_tie_breaker_node", "node %s has no vote",
		    s->c->nodes[index].name);
	else if (o->tie_count < TOTEM_MAX_NODES)
		o->tie_nodes[o->tie_count++] = s->c->nodes[index].id;
}

static void read_tie(const struct reading *s)
{
	const char *text = text_of(&s->section, "auto_tie_breaker_node");
	char copy[1024], *save = NULL;

	if (!is_on(s, "auto_tie_breaker", false)) {
		refuse_without(s, "auto_tie_breaker_node", false, "auto_tie_breaker = yes");
		return;
	}
	s->o->tie = QUORUM_TIE_LIST;
	if (!text || strcmp(text, "lowest") == 0) {
		s->o->tie = QUORUM_TIE_LOWEST;
	} else if (strcmp(text, "highest") == 0) {
		s->o->tie = QUORUM_TIE_HIGHEST;
	} else {
		snprintf(copy, sizeof(copy), "%s", text);
		for (char *word = strtok_r(copy, " ,\t", &save); word;
		     word = strtok_r(NULL, " ,\t", &save))
			add_tie_node(s, word);
	}
	refuse_both(s, "auto_tie_breaker", s->o->device_votes > 0, "tie_breaker",
		    "two would break one tie");
}

static void read_last_man(const struct reading *s)
{
	struct quorum_options *o = s->o;

	o->is_last_man_standing = is_on(s, "last_man_standing", false);
	refuse_without(s, "last_man_standing_window", o->is_last_man_standing,
		       "last_man_standing = yes");
	o->last_man_standing_window_ns = NS_PER_MS *
		count_of(s, "last_man_standing_window", 100, MOST_WINDOW_MS, DEFAULT_WINDOW_MS);
	if (o->is_last_man_standing)
		refuse_both(s, "last_man_standing", o->device_votes > 0, "tie_breaker",
			    "the disk's vote would be expected of fewer and fewer nodes");
}

/* --- the disk ------------------------------------------------------------------------------------ */

static void read_disk(const struct reading *s)
{
	struct config *c = s->c;
	const char *path = text_of(&s->section, "tie_breaker");

	refuse_without(s, "tie_breaker_votes", path != NULL, "tie_breaker");
	refuse_without(s, "tie_breaker_io_timeout", path != NULL, "tie_breaker");
	c->tie_breaker_io_timeout_ms = count_of(s, "tie_breaker_io_timeout", 100, 60000,
						 DEFAULT_IO_TIMEOUT_MS);
	if (!path)
		return;
	s->o->device_votes = count_of(s, "tie_breaker_votes", 1, QUORUM_MAX_VOTES, 1);
	if (*path != '/')
		say(s, "tie_breaker", "'%s' is no path from the root", path);
	c->tie_breaker = strdup(path);
	if (!c->tie_breaker)
		s->section.r->is_out_of_memory = true;
}

void config_check_quorum(struct config_reader *r, struct config *c)
{
	const struct reading s = { section_of(r, cfg_getsec(r->cfg, "quorum")), c, &c->quorum };

	read_disk(&s);
	read_votes(&s);
	read_tie(&s);
	read_last_man(&s);
	read_two_node(&s);
	c->quorum.allows_downscale = is_on(&s, "allow_downscale", false);
}
