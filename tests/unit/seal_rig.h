/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of sealing share: nodes of a cluster "alpha", datagrams from one
 * to the other, and what became of them.
 */
#pragma once

#include "tests/unit/help.h"

#include "totem/seal.h"

enum {
	AT_FORM = 1,
	AT_SENDER = 4,
	AT_BOOT = 8,
	AT_COUNTER = 16,
	BOOT = 1000,
};

struct datagram {
	uint8_t bytes[SEAL_OVERHEAD_BYTES + 64];
	size_t length;
};

extern const struct node_table three; /* nodes 1, 2 and 3 */
extern enum seal_cipher rig_cipher;   /* of the group that runs */

struct seal_key key_of(int seed);
struct seal_config config_of(uint32_t self, const struct seal_key *keys,
			     size_t count);
struct seal *make(const struct seal_config *config);
/* Node `self` of cluster alpha with key 1, that seals with rig_cipher. */
struct seal *node(uint32_t self, uint64_t boot);
struct seal *node_with(enum seal_cipher cipher, uint32_t self);

struct datagram sealed(struct seal *from, const char *text);
/*
 * The format of seal.h, made once more with nothing but libsodium: node 1 of
 * cluster alpha with key 1. Skips the test if libsodium has no AES here.
 */
struct datagram sealed_by_hand(uint64_t boot, uint64_t counter, const char *message);

/* What seal_open() gives; the text ends with a 0 if it opened. */
int open_as(struct seal *to, const struct datagram *d, char text[64]);
void expect_opens(struct seal *to, const struct datagram *d, const char *wanted);
void expect_refused(struct seal *to, const struct datagram *d,
		    enum seal_refusal wanted);

void put_u32(struct datagram *d, size_t at, uint32_t v);
void put_u64(struct datagram *d, size_t at, uint64_t v);
uint64_t counter_of(const struct datagram *d);

uint64_t next_random(uint64_t *state);

/* Set a group of tests up: its nodes seal with this cipher. */
int with_chacha20(void **state);
int with_aes(void **state);
