/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one net of a transport test, and its main(): all tests run over IPv4 and
 * IPv6, with and without segmentation.
 */
#pragma once

#include "tests/unit/transport_rig.h"

extern struct net net;

int scene_setup(void **state);
int scene_teardown(void **state);

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

/* How many failed, or that the machine lacks something (77). */
int scene_run(const struct CMUnitTest *tests, size_t count);

static inline struct node_set both(int a, int b)
{
	return set_union(set_of(a), set_of(b));
}

static inline void send_to(int from, int to, uint32_t number, size_t length)
{
	assert_int_equal(transport_send(net.nodes[from].t, to,
					net_message(number, length), length), 0);
}

static inline void send_all(int from, uint32_t number, size_t length)
{
	assert_int_equal(transport_send_all(net.nodes[from].t,
					    net_message(number, length), length), 0);
}

static inline void flush(int from)
{
	transport_flush(net.nodes[from].t);
}

/* A message of this size reaches nodes 1 and 2 of three. */
void sweep(size_t length);
