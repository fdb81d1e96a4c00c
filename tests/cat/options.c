/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/cat/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* "ADDRESS:PORT", IPv6 as [::1]:7001; `what` has it, for the sentence. */
static int parse_address(const char *text, const char *what,
			 union transport_address *a, struct err *err)
{
	char copy[128], *host = copy, *port;
	uint64_t number;
	bool is_six;

	snprintf(copy, sizeof(copy), "%s", text);
	port = strrchr(copy, ':');
	if (!port || port == copy || strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "%s: '%s' is not ADDRESS:PORT", what,
			       text);
	is_six = *host == '[' && port[-1] == ']';
	*port++ = '\0';
	if (text_parse_u64(port, "port", 1, 65535, &number, err) < 0)
		return err_prefix(err, "%s", what);
	if (is_six) {
		host++;
		port[-2] = '\0';
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)number);
	} else {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons((uint16_t)number);
	}
	if (inet_pton(a->any.sa_family, host,
		      is_six ? (void *)&a->in6.sin6_addr
			     : (void *)&a->in4.sin_addr) != 1)
		return err_set(err, -EINVAL, "%s: '%s' has no IP address", what,
			       text);
	return 0;
}

/* "ID=ADDRESS:PORT"; ascending ids. */
static int parse_node(const char *text, struct station_config *c, struct err *err)
{
	int i = c->nodes.count;
	const char *address = strchr(text, '=');
	char copy[32];
	uint64_t id;

	if (!address || i == TOTEM_MAX_NODES)
		return err_set(err, -EINVAL,
			       "node: '%s' is not ID=ADDRESS:PORT, or one too many",
			       text);
	snprintf(copy, sizeof(copy), "%.*s", (int)(address - text), text);
	if (text_parse_u64(copy, "node: id", 1, UINT32_MAX, &id, err) < 0)
		return err->code;
	if (i > 0 && id <= c->nodes.ids[i - 1])
		return err_set(err, -EINVAL, "node: ids must ascend");
	if (parse_address(address + 1, "node", &c->addresses[i], err) < 0)
		return err->code;
	c->nodes.ids[c->nodes.count++] = (uint32_t)id;
	return 0;
}

static int ask_corosync(struct cat_options *options, struct err *err)
{
	struct station_config *c = &options->station;
	int r = corosync_map_read(&options->map, err);

	c->nodes = options->map.nodes;
	c->self = options->map.self;
	c->cluster = options->map.cluster;
	c->silence_ns = 4 * c->token_ns;
	return r;
}

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: totem-cat --self ID --node ID=ADDRESS:PORT... [OPTION]...\n"
		"       totem-cat --corosync [OPTION]...\n"
		"A ring by hand: lines typed here are printed by all nodes, in one order.\n"
		"Lines that begin with / are commands: /help tells which.\n\n"
		"  --corosync       a running corosync orders: its nodes, its cluster\n"
		"  --cluster=NAME   all nodes say the same (default: cat)\n"
		"  --key=FILE       seal with this key (mdcluster keygen makes one)\n"
		"  --state=FILE     boot record (default: totem-cat-ID.boot here)\n"
		"  --token=MS       token timeout (default 1000)\n"
		"  --multicast=ADDRESS:PORT  what is for many goes to this group, once\n"
		"  --multicast-ttl=N  routers it may pass, plus 1 (default 1)\n"
		"  --safe           lines are delivered when every node holds them\n"
		"  --trace          the ring's own steps, on standard error\n\n"
		"SIGUSR1 prints where the ring stands, and its counters.\n");
}

int cat_options_parse(int argc, char **argv, struct cat_options *options,
		      struct err *err)
{
	static const struct option longs[] = {
		{ "self", required_argument, NULL, 's' },
		{ "node", required_argument, NULL, 'n' },
		{ "cluster", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "state", required_argument, NULL, 'b' },
		{ "token", required_argument, NULL, 't' },
		{ "multicast", required_argument, NULL, 'm' },
		{ "multicast-ttl", required_argument, NULL, 'l' },
		{ "corosync", no_argument, NULL, 'C' },
		{ "safe", no_argument, NULL, 'S' },
		{ "trace", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct station_config *c = &options->station;
	uint64_t v = 0;
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (o) {
		case 's':
			r = text_parse_u64(optarg, "self", 1, UINT32_MAX, &v, err);
			c->self = (uint32_t)v;
			break;
		case 'n':
			r = parse_node(optarg, c, err);
			break;
		case 'c':
			c->cluster = optarg;
			break;
		case 'k':
			r = keyfile_read(optarg, &options->keys, err);
			c->keys = &options->keys;
			break;
		case 'b':
			c->boot_path = optarg;
			break;
		case 't':
			r = text_parse_u64(optarg, "token", 50, 60000, &v, err);
			c->token_ns = v * 1000000;
			break;
		case 'm':
			r = parse_address(optarg, "multicast", &c->multicast, err);
			break;
		case 'l':
			r = text_parse_u64(optarg, "multicast-ttl", 1, 255, &v, err);
			c->multicast_ttl = (uint8_t)v;
			break;
		case 'C':
			c->is_on_corosync = true;
			break;
		case 'S':
			options->is_safe = true;
			break;
		case 'T':
			options->is_traced = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (r == 0 && c->is_on_corosync)
		r = ask_corosync(options, err);
	if (r == 0 && node_index(&c->nodes, c->self) == TOTEM_NO_INDEX)
		r = err_set(err, -EINVAL, "self: no --node has that id");
	if (r == 0 && !c->boot_path) {
		snprintf(options->path, sizeof(options->path), "totem-cat-%u.boot",
			 c->self);
		c->boot_path = options->path;
	}
	return r;
}
