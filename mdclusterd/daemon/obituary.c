/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/obituary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/daemon/config.h"
#include "totem/corosync.h"
#include "totem/keyfile.h"
#include "totem/seal.h"
#include "totem/station.h"

enum { VERSION = 1, REPEAT_MS = 20 };

/* --- the bytes ------------------------------------------------------------------------- */

void obituary_write(const struct obituary *o, uint8_t bytes[OBITUARY_BYTES])
{
	struct wr wr = wr_over(bytes, OBITUARY_BYTES);

	wr_u8(&wr, (uint8_t)o->kind);
	wr_u8(&wr, VERSION);
	wr_u16(&wr, 0);
	wr_u32(&wr, o->node);
	wr_u64(&wr, o->incarnation);
}

int obituary_read(const uint8_t *bytes, size_t length, struct obituary *o)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t kind = rd_u8(&rd), version = rd_u8(&rd);

	(void)rd_u16(&rd);
	*o = (struct obituary){ .kind = kind };
	o->node = rd_u32(&rd);
	o->incarnation = rd_u64(&rd);
	if (rd.failed || version < VERSION || o->incarnation == 0 ||
	    (kind != OBITUARY_DEATH && kind != OBITUARY_HEARD))
		return -EBADMSG;
	return 0;
}

char *obituary_boot_path(const struct config *config)
{
	char *path;

	return asprintf(&path, "%s/boot", config->state_dir) < 0 ? NULL : path;
}

/* --- saying it ---------------------------------------------------------------------------- */

struct speaker {
	const struct config *config;
	struct node_table nodes;
	struct loop *loop;
	struct loop_timer *repeat, *limit;
	struct seal *seal;
	struct transport *transport;
	struct obituary obituary;
	struct node_set deaf; /* have not acknowledged */
};

static void say(void *owner)
{
	uint8_t plain[STATION_ASIDE_BYTES + OBITUARY_BYTES];
	uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD_BYTES];
	struct speaker *s = owner;
	struct wr wr = wr_over(plain, sizeof(plain));
	struct err err = ERR_INIT;

	wr_u16(&wr, STATION_ASIDE_MAGIC);
	obituary_write(&s->obituary, plain + STATION_ASIDE_BYTES);
	/* a copy for each: who has heard it once does not open it again */
	if (seal_wrap(s->seal, plain, sizeof(plain), sealed) == 0) {
		transport_send_set(s->transport, s->deaf, sealed, sizeof(sealed));
		transport_flush(s->transport);
	}
	s->repeat = loop_timer_start(s->loop, REPEAT_MS, say, s, &err);
	if (!s->repeat)
		loop_stop(s->loop);
}

static void heard(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct speaker *s = owner;
	uint8_t plain[SEAL_MAX_PLAIN_BYTES];
	struct seal_label label;
	struct obituary o;
	struct rd rd;
	size_t n;

	(void)from;
	if (length > sizeof(plain) || seal_open(s->seal, bytes, length, plain, &n, &label) < 0)
		return;
	rd = rd_over(plain, n);
	if (rd_u16(&rd) != STATION_ASIDE_MAGIC || rd.failed ||
	    obituary_read(plain + STATION_ASIDE_BYTES, n - STATION_ASIDE_BYTES, &o) < 0)
		return; /* of the ring, which goes on around us */
	if (o.kind == OBITUARY_HEARD && o.node == s->obituary.node &&
	    o.incarnation == s->obituary.incarnation)
		set_remove(&s->deaf, node_index(&s->nodes, label.sender));
	if (set_is_empty(s->deaf))
		loop_stop(s->loop);
}

/* Whose kernel says that nobody listens has nobody to be told. */
static void nobody_there(void *owner, int node, enum transport_evidence kind, int error)
{
	struct speaker *s = owner;

	(void)error;
	if (kind == TRANSPORT_REFUSED)
		set_remove(&s->deaf, node);
	if (set_is_empty(s->deaf))
		loop_stop(s->loop);
}

static void time_is_over(void *owner)
{
	struct speaker *s = owner;

	s->limit = NULL;
	loop_stop(s->loop);
}

static int open_seal(struct speaker *s, struct err *err)
{
	const struct config *c = s->config;
	struct keyfile keys = { .count = 0 };
	struct seal_config config = {
		.cluster = c->cluster,
		.nodes = &s->nodes,
		.self = c->nodes[c->self].id,
		.boot = s->obituary.incarnation + 1,
		.cipher = c->key_file ? seal_cipher_default() : SEAL_PLAIN,
	};
	int r = c->key_file ? keyfile_read(c->key_file, &keys, err) : 0;

	config.keys = keys.keys;
	config.key_count = keys.count;
	if (r == 0)
		s->seal = seal_new(&config, err);
	keyfile_wipe(&keys);
	return err->code;
}

static int open_transport(struct speaker *s, struct err *err)
{
	static const struct transport_events events = { .received = heard,
							.evidence = nobody_there };
	const struct config *c = s->config;
	struct transport_udp_config config = { .nodes = s->nodes, .self = c->self,
					       .mtu_bytes = c->mtu_bytes,
					       .queue_bytes = 1 << 20,
					       .socket_buffer_bytes = 1 << 18 };
	int r = 0;

	config.local[0] = c->nodes[c->self].address;
	s->transport = transport_udp_open(&config, &events, s, s->loop, err);
	if (!s->transport)
		return err->code;
	for (int i = 0; r == 0 && i < c->node_count; i++)
		if (i != c->self)
			r = transport_udp_set_address(s->transport, i, &c->nodes[i].address, err);
	return r;
}

static int open_all(struct speaker *s, struct err *err)
{
	int r;

	s->loop = loop_new(err);
	if (!s->loop)
		return err->code;
	r = open_seal(s, err);
	return r < 0 ? r : open_transport(s, err);
}

static void close_all(struct speaker *s)
{
	loop_timer_cancel(s->repeat);
	loop_timer_cancel(s->limit);
	transport_free(s->transport);
	seal_free(s->seal);
	loop_free(s->loop);
}

/* Corosync puts it in the order of all; who was there to hear it needs not answer. */
static int say_by_corosync(const struct config *config, uint64_t incarnation,
			   uint32_t limit_ms, struct err *err)
{
	const struct obituary o = { OBITUARY_DEATH, config->nodes[config->self].id,
				    incarnation };
	uint8_t bytes[OBITUARY_BYTES];

	obituary_write(&o, bytes);
	return corosync_say_aside(config->cluster, bytes, sizeof(bytes), limit_ms, err);
}

int obituary_say(const struct config *config, uint64_t incarnation, uint32_t limit_ms,
		 struct err *err)
{
	struct speaker s = {
		.config = config,
		.obituary = { OBITUARY_DEATH, config->nodes[config->self].id, incarnation },
	};
	int r;

	if (config->engine == CONFIG_ENGINE_COROSYNC)
		return say_by_corosync(config, incarnation, limit_ms, err);
	config_node_table(config, &s.nodes);
	for (int i = 0; i < s.nodes.count; i++)
		set_put(&s.deaf, i, i != config->self);
	if (set_is_empty(s.deaf))
		return 0;
	r = open_all(&s, err);
	if (r == 0) {
		s.limit = loop_timer_start(s.loop, limit_ms, time_is_over, &s, err);
		r = s.limit ? 0 : err->code;
	}
	if (r == 0) {
		say(&s);
		loop_run(s.loop);
		r = s.nodes.count - 1 - set_count(s.deaf);
	}
	close_all(&s);
	return r;
}
