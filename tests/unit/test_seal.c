/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing: what opens, what does not, and that the reason is named. S1 to S6 are
 * the promises of totem/seal.h.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "totem/seal.h"

enum {
	AT_FORM = 1,
	AT_SENDER = 4,
	AT_BOOT = 8,
	AT_COUNTER = 16,
	BOOT = 1000,
	MANY = 3 * (SEAL_WINDOW + 64),
	MAX_SEALED = SEAL_MAX_PLAIN_BYTES + SEAL_OVERHEAD_BYTES,
};

static const struct node_table three = { .ids = { 1, 2, 3 }, .count = 3 };

static struct seal_key key_of(int seed)
{
	struct seal_key key;

	for (size_t i = 0; i < SEAL_KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)((size_t)seed * 37 + i);
	key.bytes[0] = (uint8_t)seed;
	key.bytes[1] = (uint8_t)(seed >> 8);
	return key;
}

static struct seal_config config_of(uint32_t self, const struct seal_key *keys,
				    size_t count)
{
	return (struct seal_config){
		.cluster = "alpha",
		.nodes = &three,
		.self = self,
		.boot = BOOT,
		.cipher = SEAL_CHACHA20_POLY1305,
		.keys = keys,
		.key_count = count,
	};
}

static struct seal *make(const struct seal_config *config)
{
	struct err err = ERR_INIT;
	struct seal *seal = seal_new(config, &err);

	if (!seal)
		fail_msg("%s", err.text);
	return seal;
}

/* Node `self` of cluster alpha with key 1. */
static struct seal *node(uint32_t self, uint64_t boot)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(self, &key, 1);

	config.boot = boot;
	return make(&config);
}

static struct seal *node_with(enum seal_cipher cipher, uint32_t self)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(self, &key, 1);

	config.cipher = cipher;
	if (cipher == SEAL_PLAIN)
		config.key_count = 0;
	return make(&config);
}

/* A sealed datagram and what came of it. */
struct datagram {
	uint8_t bytes[SEAL_OVERHEAD_BYTES + 64];
	size_t length;
};

static struct datagram sealed(struct seal *from, const char *text)
{
	struct datagram d = { .length = strlen(text) + SEAL_OVERHEAD_BYTES };

	assert_int_equal(seal_wrap(from, text, strlen(text), d.bytes), 0);
	return d;
}

static int open_as(struct seal *to, const struct datagram *d, char text[64])
{
	struct seal_label label;
	size_t length = 99;
	int r = seal_open(to, d->bytes, d->length, text, &length, &label);

	if (r != 0)
		assert_int_equal(length, 0);
	else
		text[length] = '\0';
	return r;
}

static void expect_opens(struct seal *to, const struct datagram *d, const char *wanted)
{
	char text[128] = "";
	int r = open_as(to, d, text);

	if (r != 0)
		fail_msg("'%s' %s", wanted, seal_why(r));
	assert_string_equal(text, wanted);
}

static void expect_refused(struct seal *to, const struct datagram *d,
			   enum seal_refusal wanted)
{
	uint64_t before = seal_stats(to)->refused[wanted];
	char text[128];
	int r = open_as(to, d, text);

	if (r != -(int)wanted)
		fail_msg("it %s (%d), and not %s", seal_why(r), r,
			 seal_refusal_name(wanted));
	assert_int_equal(seal_stats(to)->refused[wanted], before + 1);
}

static void put_u32(struct datagram *d, size_t at, uint32_t v)
{
	struct wr wr = wr_over(d->bytes, sizeof(d->bytes));

	wr_seek(&wr, at);
	wr_u32(&wr, v);
}

static void put_u64(struct datagram *d, size_t at, uint64_t v)
{
	struct wr wr = wr_over(d->bytes, sizeof(d->bytes));

	wr_seek(&wr, at);
	wr_u64(&wr, v);
}

static uint64_t counter_of(const struct datagram *d)
{
	struct rd rd = rd_over(d->bytes, d->length);

	rd_seek(&rd, AT_COUNTER);
	return rd_u64(&rd);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* ---- S2: as it was sealed ---- */

static void round_trip(struct seal *from, struct seal *to, size_t length,
		       bool is_in_place)
{
	CLEANUP_FREE uint8_t *plain = calloc(1, length + 1);
	CLEANUP_FREE uint8_t *wire = calloc(1, length + seal_overhead());
	CLEANUP_FREE uint8_t *apart = calloc(1, length + 1);
	uint8_t *out = is_in_place ? wire + SEAL_HEADER_BYTES : apart;
	struct seal_label label;
	size_t got = 1;

	for (size_t i = 0; i < length; i++)
		plain[i] = (uint8_t)(i * 31 + length);
	if (is_in_place)
		memcpy(wire + SEAL_HEADER_BYTES, plain, length);
	assert_int_equal(seal_wrap(from, is_in_place ? wire + SEAL_HEADER_BYTES : plain,
				   length, wire), 0);
	assert_int_equal(seal_open(to, wire, length + seal_overhead(), out, &got,
				   &label), 0);
	assert_int_equal(got, length);
	if (length > 0)
		assert_memory_equal(out, plain, length);
	assert_int_equal(label.sender, 1);
	assert_int_equal(label.boot, BOOT);
	assert_int_equal(label.counter, seal_stats(from)->sealed);
}

static void every_size_comes_back(void **state)
{
	static const size_t sizes[] = { 1400, 1472, 4095, 4096, 8900, 65535, 65536 };

	(void)state;
	for (int c = 0; c < SEAL_CIPHER_COUNT; c++) {
		struct seal *from, *to;

		if (!seal_cipher_is_available((enum seal_cipher)c))
			continue;
		from = node_with((enum seal_cipher)c, 1);
		to = node_with((enum seal_cipher)c, 2);
		for (size_t n = 0; n <= 300; n++) {
			round_trip(from, to, n, false);
			round_trip(from, to, n, true);
		}
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			round_trip(from, to, sizes[i], false);
			round_trip(from, to, sizes[i], true);
		}
		seal_free(from);
		seal_free(to);
	}
}

static void too_large_a_message_is_not_sealed(void **state)
{
	CLEANUP_FREE uint8_t *plain = calloc(1, MAX_SEALED + 1);
	CLEANUP_FREE uint8_t *wire = calloc(1, MAX_SEALED + 1);
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct seal_label label;
	size_t length;

	(void)state;
	assert_int_equal(seal_wrap(from, plain, SEAL_MAX_PLAIN_BYTES + 1, wire),
			 -EMSGSIZE);
	assert_int_equal(seal_stats(from)->sealed, 0);
	assert_int_equal(seal_open(to, wire, MAX_SEALED + 1, plain, &length, &label),
			 -SEAL_TOO_LONG);
	seal_free(from);
	seal_free(to);
}

/*
 * The format of seal.h, made here once more with nothing but libsodium: node 1 of
 * cluster alpha with key 1.
 */
static struct datagram sealed_by_hand(uint64_t boot, uint64_t counter, const char *message)
{
	static const uint8_t form[] = { 0x73, 0x11, 0x15, 0x1e };
	uint8_t subkey[32], nonce[12] = { 0 }, text[16 + 1 + 4 + 8 + 5];
	struct datagram d = { .length = strlen(message) + 24 + 16 };
	const struct seal_key key = key_of(1);

	memcpy(d.bytes, form, sizeof(form));
	put_u32(&d, AT_SENDER, 1);
	put_u64(&d, AT_BOOT, boot);
	put_u64(&d, AT_COUNTER, counter);
	memcpy(text, "mdclusterd seal\0\1", 17);
	memcpy(text + 17, d.bytes + AT_SENDER, 12);
	memcpy(text + 29, "alpha", 5);
	crypto_generichash(subkey, sizeof(subkey), text, sizeof(text), key.bytes,
			   sizeof(key.bytes));
	memcpy(nonce + 4, d.bytes + AT_COUNTER, 8);
	crypto_aead_chacha20poly1305_ietf_encrypt_detached(
		d.bytes + 24, d.bytes + 24 + strlen(message), NULL,
		(const uint8_t *)message, strlen(message), d.bytes, 24, NULL, nonce,
		subkey);
	return d;
}

/* Nodes of different versions must understand each other; the header counts. */
static void wire_format_is_as_documented(void **state)
{
	static const uint8_t header[SEAL_HEADER_BYTES] = {
		0x73, 0x11, 0x15, 0x1e, 1, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		1, 0, 0, 0, 0, 0, 0, 0,
	};
	struct datagram wanted = sealed_by_hand(0x1122334455667788, 1, "ring");
	struct seal *from = node(1, 0x1122334455667788);
	struct datagram d = sealed(from, "ring");

	(void)state;
	assert_int_equal(d.length, 44);
	assert_memory_equal(d.bytes, header, sizeof(header));
	assert_memory_equal(d.bytes, wanted.bytes, wanted.length);
	seal_free(from);
}

static void counters_have_64_bits(void **state)
{
	static const uint64_t counters[] = {
		UINT32_MAX, 1ull << 32, 1ull << 40, 1ull << 63, UINT64_MAX - 9000,
		UINT64_MAX - 1, UINT64_MAX,
	};
	struct seal *to = node(2, BOOT);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		struct datagram d = sealed_by_hand(BOOT, counters[i], "far");

		expect_opens(to, &d, "far");
		expect_refused(to, &d, SEAL_REPLAY);
		d = sealed_by_hand(BOOT, counters[i] - 5, "behind");
		expect_opens(to, &d, "behind");
	}
	seal_free(to);
}

static void every_flipped_bit_is_refused(void **state)
{
	(void)state;
	for (int c = SEAL_CHACHA20_POLY1305; c < SEAL_CIPHER_COUNT; c++) {
		struct seal *from, *to;
		struct datagram good;

		if (!seal_cipher_is_available((enum seal_cipher)c))
			continue;
		from = node_with((enum seal_cipher)c, 1);
		to = node_with((enum seal_cipher)c, 2);
		good = sealed(from, "the token goes round and round");
		for (size_t bit = 0; bit < good.length * 8; bit++) {
			struct datagram bad = good;
			char text[64];

			bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (open_as(to, &bad, text) >= 0)
				fail_msg("bit %zu flipped, and it opened", bit);
		}
		assert_int_equal(seal_stats(to)->opened, 0);
		expect_opens(to, &good, "the token goes round and round");
		seal_free(from);
		seal_free(to);
	}
}

static void every_other_length_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct datagram good = sealed(from, "the token goes round");

	(void)state;
	for (size_t n = 0; n <= sizeof(good.bytes); n++) {
		CLEANUP_FREE uint8_t *exact = malloc(n + 1);
		struct datagram bad = good;

		if (n == good.length)
			continue;
		bad.length = n;
		expect_refused(to, &bad, n < SEAL_OVERHEAD_BYTES ? SEAL_TOO_SHORT :
								   SEAL_BAD_TAG);
		/* once more on memory that ends where it ends, for ASan */
		memcpy(exact, good.bytes, n);
		if (n < good.length) {
			struct seal_label label;
			uint8_t out[64];
			size_t length;

			assert_true(seal_open(to, exact, n, out, &length, &label) < 0);
		}
	}
	expect_opens(to, &good, "the token goes round");
	seal_free(from);
	seal_free(to);
}

static void another_key_is_refused(void **state)
{
	struct seal_key other = key_of(2), own = key_of(1);
	struct seal_config config = config_of(1, &other, 1);
	struct seal *to = node(2, BOOT), *from = make(&config);
	struct datagram d = sealed(from, "hello");
	int seed = 2;

	(void)state;
	expect_refused(to, &d, SEAL_WRONG_KEY);
	seal_free(from);

	/* one that looks alike on the wire */
	do {
		other = key_of(++seed);
	} while (seal_key_fingerprint(&other) >> 24 != seal_key_fingerprint(&own) >> 24);
	from = make(&config);
	d = sealed(from, "hello");
	expect_refused(to, &d, SEAL_BAD_TAG);
	seal_free(from);
	seal_free(to);
}

static void another_cluster_is_refused(void **state)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(1, &key, 1);
	bool was_told = false, was_alike = false;
	struct seal *to = node(2, BOOT);
	char name[16];

	(void)state;
	config.cluster = name;
	for (int i = 0; i < 2000; i++) {
		struct seal *from;
		struct datagram d;
		char text[64];
		int r;

		snprintf(name, sizeof(name), "beta%d", i);
		from = make(&config);
		d = sealed(from, "hello");
		r = open_as(to, &d, text);
		assert_true(r == -SEAL_WRONG_CLUSTER || r == -SEAL_BAD_TAG);
		was_told |= r == -SEAL_WRONG_CLUSTER;
		was_alike |= r == -SEAL_BAD_TAG;
		seal_free(from);
	}
	assert_true(was_told && was_alike);
	seal_free(to);
}

static void a_sender_outside_of_the_configuration_is_refused(void **state)
{
	struct seal *stranger = node(4, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(stranger, "let me in");

	(void)state;
	expect_refused(to, &d, SEAL_UNKNOWN_SENDER);
	/* nor does it help to claim to be somebody else */
	put_u32(&d, AT_SENDER, 1);
	expect_refused(to, &d, SEAL_BAD_TAG);
	seal_free(stranger);
	seal_free(to);
}

static void another_version_and_foreign_bytes_are_named(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	const struct datagram good = sealed(from, "hello");
	struct datagram d = good;

	(void)state;
	d.bytes[0] = 0x54;
	expect_refused(to, &d, SEAL_BAD_MAGIC);
	d = good;
	d.bytes[AT_FORM] = 0x21;
	expect_refused(to, &d, SEAL_BAD_VERSION);
	d.bytes[AT_FORM] = 0x1f;
	expect_refused(to, &d, SEAL_BAD_CIPHER);
	d.bytes[AT_FORM] = 0x10;
	expect_refused(to, &d, SEAL_IS_PLAIN);
	seal_free(from);
	seal_free(to);
}

static void a_refusal_names_who_claims_to_have_sent_it(void **state)
{
	struct seal *from = node(3, 77), *to = node(2, BOOT);
	struct datagram d = sealed(from, "hello");
	struct seal_label label = { 9, 9, 9 };
	uint8_t out[64];
	size_t length;

	(void)state;
	d.bytes[d.length - 1] ^= 1;
	assert_int_equal(seal_open(to, d.bytes, d.length, out, &length, &label),
			 -SEAL_BAD_TAG);
	assert_int_equal(label.sender, 3);
	assert_int_equal(label.boot, 77);
	assert_int_equal(label.counter, 1);
	assert_int_equal(seal_open(to, d.bytes, 10, out, &length, &label),
			 -SEAL_TOO_SHORT);
	assert_int_equal(label.sender, 0);
	d.bytes[AT_FORM] = 0x10;
	assert_int_equal(seal_open(to, d.bytes, d.length, out, &length, &label),
			 -SEAL_IS_PLAIN);
	assert_int_equal(label.sender, 3);
	seal_free(from);
	seal_free(to);
}

/* ---- S1: no nonce twice ---- */

/* The same message at the same counter: every stream has other bytes. */
static void every_stream_has_a_subkey_of_its_own(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal_config configs[6];
	struct datagram d[ARRAY_SIZE(configs)];
	size_t count = ARRAY_SIZE(configs);

	(void)state;
	for (size_t i = 0; i < count; i++)
		configs[i] = config_of(1, keys, 1);
	configs[1].self = 2;
	configs[2].boot++;
	configs[3].boot += 1ull << 32;
	configs[4].cluster = "alph";
	configs[5].keys = &keys[1];
	for (size_t i = 0; i < count; i++) {
		struct seal *seal = make(&configs[i]);

		d[i] = sealed(seal, "the very same words in every one of them");
		seal_free(seal);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(d[i].bytes + SEAL_HEADER_BYTES,
						d[k].bytes + SEAL_HEADER_BYTES, 40);
}

static void the_counter_only_grows(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal *from = node(1, BOOT);
	struct err err = ERR_INIT;
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct datagram d = sealed(from, "x");

		assert_int_equal(counter_of(&d), last + 1);
		last = counter_of(&d);
		assert_ok(seal_set_keys(from, &keys[i % 2], 1, &err), err);
		if (i % 3 == 0)
			assert_ok(seal_set_nodes(from, &three, &err), err);
	}
	seal_free(from);
}

/* ---- S3: once ---- */

static void a_replay_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram first = sealed(from, "one"), second = sealed(from, "two");

	(void)state;
	expect_opens(to, &second, "two");
	expect_refused(to, &second, SEAL_REPLAY);
	expect_opens(to, &first, "one");
	expect_refused(to, &first, SEAL_REPLAY);
	expect_refused(to, &second, SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

static struct datagram *seal_many(struct seal *from, size_t count)
{
	struct datagram *many = calloc(count, sizeof(*many));

	assert_non_null(many);
	for (size_t i = 0; i < count; i++)
		many[i] = sealed(from, "x");
	return many;
}

static void any_order_within_the_window_is_fine(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, SEAL_WINDOW);
	uint64_t random = 5;

	(void)state;
	for (size_t i = SEAL_WINDOW - 1; i > 0; i--) {
		size_t k = next_random(&random) % (i + 1);
		struct datagram d = many[i];

		many[i] = many[k];
		many[k] = d;
	}
	for (size_t i = 0; i < SEAL_WINDOW; i++)
		expect_opens(to, &many[i], "x");
	for (size_t i = 0; i < SEAL_WINDOW; i++)
		expect_refused(to, &many[i], SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

static void what_is_behind_the_window_is_refused(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, SEAL_WINDOW + 1);

	(void)state;
	expect_opens(to, &many[SEAL_WINDOW], "x");
	expect_refused(to, &many[0], SEAL_LATE);
	expect_opens(to, &many[1], "x");
	seal_free(from);
	seal_free(to);
}

/* Jumps of all sizes against the plainest window that can be thought of. */
static void the_window_agrees_with_a_plain_one(void **state)
{
	struct seal *from = node(1, BOOT);
	CLEANUP_FREE struct datagram *many = seal_many(from, MANY);

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		CLEANUP_FREE bool *was_seen = calloc(MANY, 1);
		struct seal *to = node(2, BOOT);
		size_t highest = 0;
		uint64_t random = seed;

		for (int step = 0; step < 4000; step++) {
			size_t span = 1ull << next_random(&random) % 16;
			size_t at = highest + next_random(&random) % span;
			size_t back = next_random(&random) % (span + 1);
			char text[64];
			int wanted = 0;

			at = at > back ? at - back : 0;
			at = min_u64(at, MANY - 1);
			if (step > 0 && at + SEAL_WINDOW <= highest)
				wanted = -SEAL_LATE;
			else if (was_seen[at])
				wanted = -SEAL_REPLAY;
			assert_int_equal(open_as(to, &many[at], text), wanted);
			was_seen[at] = true;
			highest = max_u64(highest, at);
		}
		seal_free(to);
	}
	seal_free(from);
}

static void counter_zero_is_nobodys(void **state)
{
	struct seal *from = node_with(SEAL_PLAIN, 1), *to = node_with(SEAL_PLAIN, 2);
	struct datagram d = sealed(from, "x");

	(void)state;
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	put_u64(&d, AT_COUNTER, 5);
	expect_opens(to, &d, "x");
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	put_u64(&d, AT_COUNTER, UINT64_MAX);
	expect_opens(to, &d, "x");
	expect_refused(to, &d, SEAL_REPLAY);
	put_u64(&d, AT_COUNTER, 0);
	expect_refused(to, &d, SEAL_LATE);
	seal_free(from);
	seal_free(to);
}

/* ---- S4: boots ---- */

static void a_newer_boot_takes_over_and_the_older_is_refused(void **state)
{
	struct seal *old = node(1, BOOT), *new = node(1, BOOT + 1), *to = node(2, BOOT);
	struct datagram before = sealed(old, "before"), never = sealed(old, "late");
	struct datagram after = sealed(new, "after"), more = sealed(new, "more");
	struct seal_peer peer;

	(void)state;
	assert_false(seal_peer(to, 1, &peer));
	expect_opens(to, &before, "before");
	assert_true(seal_peer(to, 1, &peer));
	assert_int_equal(peer.boot, BOOT);
	expect_opens(to, &after, "after"); /* has the counter that `before` had */
	expect_refused(to, &never, SEAL_OLD_BOOT);
	expect_refused(to, &before, SEAL_OLD_BOOT);
	expect_refused(to, &after, SEAL_REPLAY);
	expect_opens(to, &more, "more");
	assert_true(seal_peer(to, 1, &peer));
	assert_int_equal(peer.boot, BOOT + 1);
	assert_int_equal(peer.highest, 2);
	seal_free(old);
	seal_free(new);
	seal_free(to);
}

static void peers_boots_have_nothing_to_do_with_each_other(void **state)
{
	struct seal *one = node(1, 5), *three_ = node(3, 1000000), *to = node(2, BOOT);
	struct datagram a = sealed(three_, "a"), b = sealed(one, "b");

	(void)state;
	expect_opens(to, &a, "a");
	expect_opens(to, &b, "b");
	seal_free(one);
	seal_free(three_);
	seal_free(to);
}

static void our_own_datagrams_are_not_opened(void **state)
{
	struct seal *own = node(2, BOOT), *twin = node(2, BOOT + 1);
	struct datagram echo = sealed(own, "echo"), other = sealed(twin, "other");
	struct seal_label label;
	uint8_t out[64];
	size_t length;

	(void)state;
	expect_refused(own, &echo, SEAL_ECHO);
	expect_refused(own, &other, SEAL_OWN_ID);
	expect_refused(twin, &echo, SEAL_OWN_ID);
	memset(out, 0xee, sizeof(out));
	assert_int_equal(seal_open(own, other.bytes, other.length, out, &length, &label),
			 -SEAL_OWN_ID);
	assert_memory_not_equal(out, "other", 5);
	/* a forger does not make us believe that there is a twin */
	put_u64(&other, AT_BOOT, BOOT + 2);
	expect_refused(own, &other, SEAL_BAD_TAG);
	seal_free(own);
	seal_free(twin);
}

/* ---- S5: what is not proven changes nothing ---- */

static void forged_datagrams_push_nobody_out(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram first = sealed(from, "first"), kept = sealed(from, "kept");
	struct datagram forged = first, next;
	struct seal_peer before, after;
	uint64_t random = 1;

	(void)state;
	expect_opens(to, &first, "first");
	assert_true(seal_peer(to, 1, &before));
	for (int i = 0; i < 50000; i++) {
		char text[64];

		put_u32(&forged, AT_SENDER, (uint32_t)(next_random(&random) % 5));
		put_u64(&forged, AT_BOOT, i % 2 ? BOOT : next_random(&random));
		put_u64(&forged, AT_COUNTER, 2 + (next_random(&random) << i % 33));
		assert_true(open_as(to, &forged, text) < 0);
	}
	assert_true(seal_peer(to, 1, &after));
	assert_true(before.boot == after.boot && before.highest == after.highest &&
		    before.key_fingerprint == after.key_fingerprint);
	assert_false(seal_peer(to, 3, &after));
	expect_opens(to, &kept, "kept"); /* no window was moved or marked */
	expect_refused(to, &first, SEAL_REPLAY);
	next = sealed(from, "next");
	expect_opens(to, &next, "next");
	seal_free(from);
	seal_free(to);
}

static void a_forged_boot_that_is_newer_locks_nobody_out(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram good = sealed(from, "good"), forged = good;

	(void)state;
	put_u64(&forged, AT_BOOT, UINT64_MAX);
	expect_refused(to, &forged, SEAL_BAD_TAG); /* before anything is proven */
	expect_opens(to, &good, "good");
	expect_refused(to, &forged, SEAL_BAD_TAG); /* and after */
	good = sealed(from, "more");
	expect_opens(to, &good, "more");
	seal_free(from);
	seal_free(to);
}

/* ---- S6: changing keys ---- */

enum { RING = 3, STEPS = 3 };

/* The keys that a node has before step 0, and after each. */
static void set_keys_of_step(struct seal *seal, int step)
{
	const struct seal_key a = key_of(1), b = key_of(2);
	const struct seal_key pairs[STEPS + 1][2] = { { a, a }, { a, b }, { b, a }, { b, b } };
	struct err err = ERR_INIT;

	assert_ok(seal_set_keys(seal, pairs[step], step == 0 || step == STEPS ? 1 : 2,
				&err), err);
}

/* All to all; `flying` was sealed before the last change, and opens still. */
static void everybody_hears_everybody(struct seal **ring, struct datagram *flying)
{
	for (int from = 0; from < RING; from++) {
		struct datagram d = sealed(ring[from], "now");

		for (int to = 0; to < RING; to++) {
			if (to == from)
				continue;
			expect_opens(ring[to], &d, "now");
			expect_opens(ring[to], &flying[from], "flying");
			expect_refused(ring[to], &flying[from], SEAL_REPLAY);
		}
		flying[from] = sealed(ring[from], "flying");
	}
}

static void keys_change_and_nothing_is_lost(void **state)
{
	static const int orders[][RING] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	const struct seal_key a = key_of(1), b = key_of(2);

	(void)state;
	for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
		struct datagram flying[RING];
		struct seal *ring[RING];
		struct seal_peer peer;

		for (int i = 0; i < RING; i++) {
			ring[i] = node((uint32_t)i + 1, BOOT);
			flying[i] = sealed(ring[i], "flying");
		}
		everybody_hears_everybody(ring, flying);
		assert_true(seal_peer(ring[0], 2, &peer));
		assert_int_equal(peer.key_fingerprint, seal_key_fingerprint(&a));
		for (int step = 1; step <= STEPS; step++)
			for (int i = 0; i < RING; i++) {
				/* nothing with the old key flies for hours */
				if (step == STEPS)
					everybody_hears_everybody(ring, flying);
				set_keys_of_step(ring[orders[o][i]], step);
				everybody_hears_everybody(ring, flying);
			}
		assert_true(seal_peer(ring[0], 2, &peer));
		assert_int_equal(peer.key_fingerprint, seal_key_fingerprint(&b));
		for (int i = 0; i < RING; i++)
			seal_free(ring[i]);
	}
}

static void a_change_of_keys_can_be_called_off(void **state)
{
	struct datagram flying[RING];
	struct seal *ring[RING];

	(void)state;
	for (int i = 0; i < RING; i++) {
		ring[i] = node((uint32_t)i + 1, BOOT);
		flying[i] = sealed(ring[i], "flying");
	}
	for (int step = 1; step >= 0; step--)
		for (int i = 0; i < RING; i++) {
			set_keys_of_step(ring[i], step);
			everybody_hears_everybody(ring, flying);
		}
	for (int i = 0; i < RING; i++)
		seal_free(ring[i]);
}

static void a_dropped_key_opens_nothing(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(from, "old key"), again;
	const struct seal_key third = key_of(3);
	struct err err = ERR_INIT;

	(void)state;
	expect_opens(to, &d, "old key");
	d = sealed(from, "old key");
	set_keys_of_step(to, STEPS);
	expect_refused(to, &d, SEAL_WRONG_KEY);
	set_keys_of_step(from, STEPS);
	again = sealed(from, "new key");
	expect_opens(to, &again, "new key");
	/* and when there were two */
	set_keys_of_step(from, 0);
	set_keys_of_step(to, 2);
	d = sealed(from, "old key");
	expect_opens(to, &d, "old key");
	d = sealed(from, "old key");
	assert_ok(seal_set_keys(from, &third, 1, &err), err);
	again = sealed(from, "third key");
	expect_refused(to, &again, SEAL_WRONG_KEY);
	set_keys_of_step(to, STEPS);
	expect_refused(to, &d, SEAL_WRONG_KEY);
	seal_free(from);
	seal_free(to);
}

static void a_replay_is_refused_across_a_change_of_keys(void **state)
{
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct datagram d = sealed(from, "once");

	(void)state;
	expect_opens(to, &d, "once");
	for (int step = 1; step <= 2; step++) {
		set_keys_of_step(to, step);
		expect_refused(to, &d, SEAL_REPLAY);
	}
	set_keys_of_step(to, 3);
	set_keys_of_step(to, 0);
	expect_refused(to, &d, SEAL_REPLAY);
	seal_free(from);
	seal_free(to);
}

/* ---- nodes ---- */

static void nodes_come_and_go_and_the_others_keep_their_state(void **state)
{
	static const struct node_table without_one = { .ids = { 2, 3, 9 }, .count = 3 };
	static const struct node_table five = { .ids = { 1, 2, 3, 4, 9 }, .count = 5 };
	struct seal *one = node(1, BOOT), *old = node(3, BOOT), *to = node(2, BOOT);
	struct seal *nine = node(9, BOOT);
	struct datagram a = sealed(one, "a"), c = sealed(old, "c"), n = sealed(nine, "n");
	struct err err = ERR_INIT;

	(void)state;
	expect_opens(to, &a, "a");
	expect_opens(to, &c, "c");
	expect_refused(to, &n, SEAL_UNKNOWN_SENDER);
	assert_ok(seal_set_nodes(to, &without_one, &err), err);
	expect_refused(to, &a, SEAL_UNKNOWN_SENDER);
	expect_refused(to, &c, SEAL_REPLAY);
	expect_opens(to, &n, "n");
	c = sealed(old, "c again");
	expect_opens(to, &c, "c again");
	assert_ok(seal_set_nodes(to, &five, &err), err);
	expect_refused(to, &c, SEAL_REPLAY);
	expect_refused(to, &n, SEAL_REPLAY);
	a = sealed(one, "a again");
	expect_opens(to, &a, "a again");
	seal_free(one);
	seal_free(old);
	seal_free(nine);
	seal_free(to);
}

static void the_largest_configuration_works(void **state)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(1, &key, 1);
	struct node_table nodes = { .count = TOTEM_MAX_NODES };
	struct seal *to;

	(void)state;
	for (uint32_t i = 0; i < TOTEM_MAX_NODES; i++)
		nodes.ids[i] = UINT32_MAX - TOTEM_MAX_NODES + 1 + i;
	config.nodes = &nodes;
	to = make(&config);
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		struct seal *from = node(nodes.ids[i], BOOT);
		struct datagram d = sealed(from, "x");

		expect_opens(to, &d, "x");
		expect_refused(to, &d, SEAL_REPLAY);
		seal_free(from);
	}
	seal_free(to);
}

/* ---- plain mode, and ciphers beside each other ---- */

static void plain_mode_has_the_same_framing_and_checks(void **state)
{
	struct seal *from = node_with(SEAL_PLAIN, 1), *to = node_with(SEAL_PLAIN, 2);
	struct seal_config foreign = { .cluster = "beta", .nodes = &three, .self = 1,
				       .boot = BOOT };
	struct seal *other = make(&foreign);
	struct datagram d = sealed(from, "readable"), bad = d, alien = sealed(other, "x");

	(void)state;
	assert_int_equal(d.length, strlen("readable") + seal_overhead());
	assert_memory_equal(d.bytes + SEAL_HEADER_BYTES, "readable", 8);
	expect_opens(to, &d, "readable");
	expect_refused(to, &d, SEAL_REPLAY);
	expect_refused(to, &alien, SEAL_WRONG_CLUSTER);
	alien.bytes[2] = d.bytes[2];
	put_u64(&alien, AT_COUNTER, 7);
	expect_refused(to, &alien, SEAL_BAD_TAG);
	put_u64(&bad, AT_COUNTER, 8);
	bad.length--;
	expect_refused(to, &bad, SEAL_BAD_TAG);
	expect_refused(from, &d, SEAL_ECHO);
	seal_free(from);
	seal_free(to);
	seal_free(other);
}

static void plain_and_sealed_do_not_mix(void **state)
{
	struct seal *plain = node_with(SEAL_PLAIN, 1), *keyed = node(2, BOOT);
	struct datagram p = sealed(plain, "plain"), s = sealed(keyed, "sealed");

	(void)state;
	expect_refused(keyed, &p, SEAL_IS_PLAIN);
	expect_refused(plain, &s, SEAL_IS_SEALED);
	seal_free(plain);
	seal_free(keyed);
}

static void nodes_with_different_ciphers_understand_each_other(void **state)
{
	struct seal *chacha = node(1, BOOT), *aes, *to;
	struct datagram c = sealed(chacha, "chacha"), a;

	(void)state;
	if (!seal_cipher_is_available(SEAL_AES256_GCM)) {
		seal_free(chacha);
		skip();
	}
	aes = node_with(SEAL_AES256_GCM, 2);
	a = sealed(aes, "aes");
	expect_opens(aes, &c, "chacha");
	expect_opens(chacha, &a, "aes");
	/* the cipher is no more to be changed than the rest */
	a = sealed(aes, "aes");
	a.bytes[AT_FORM] = 0x11;
	expect_refused(chacha, &a, SEAL_BAD_TAG);
	a.bytes[AT_FORM] = 0x12;
	expect_opens(chacha, &a, "aes");
	/* one stream, both ciphers: subkeys are not mixed up */
	seal_free(aes);
	aes = node_with(SEAL_AES256_GCM, 2);
	seal_free(chacha);
	chacha = node_with(SEAL_CHACHA20_POLY1305, 2);
	to = node(3, BOOT);
	for (int i = 0; i < 4; i++) {
		a = sealed(i % 2 ? aes : chacha, "even");
		c = sealed(i % 2 ? chacha : aes, "odd");
		expect_opens(to, i % 2 ? &c : &a, i % 2 ? "odd" : "even");
	}
	for (int i = 0; i < 4; i++) {
		a = sealed(aes, "aes");
		expect_opens(to, &a, "aes");
		c = sealed(chacha, "chacha");
		c = sealed(chacha, "chacha");
		a = sealed(aes, "skipped");
		expect_opens(to, &c, "chacha");
	}
	seal_free(to);
	seal_free(chacha);
	seal_free(aes);
}

/* A node that was restarted with another cipher, and a second key. */
static void a_subkey_is_not_taken_for_another(void **state)
{
	const struct seal_key keys[] = { key_of(1), key_of(2) };
	struct seal_config config = config_of(2, keys, 2);
	struct seal *to = make(&config);

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct seal_config sender = config_of(1, &keys[i % 2], 1);
		struct seal *from;
		struct datagram d;

		sender.boot = BOOT + (uint64_t)i;
		if (seal_cipher_is_available(SEAL_AES256_GCM) && i / 2 % 2)
			sender.cipher = SEAL_AES256_GCM;
		from = make(&sender);
		d = sealed(from, "x");
		expect_opens(to, &d, "x");
		d = sealed(from, "y");
		expect_opens(to, &d, "y");
		seal_free(from);
	}
	seal_free(to);
}

/* ---- words ---- */

static void every_refusal_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	for (int i = 0; i < SEAL_REFUSAL_COUNT; i++) {
		const char *why = seal_why(-i);

		assert_true(strlen(why) > 5 && !strchr(why, '\n'));
		for (int k = 0; k < i; k++) {
			assert_string_not_equal(why, seal_why(-k));
			assert_string_not_equal(seal_refusal_name((enum seal_refusal)i),
						seal_refusal_name((enum seal_refusal)k));
		}
	}
	assert_non_null(seal_why(1));
	assert_non_null(seal_why(-SEAL_REFUSAL_COUNT));
	assert_string_equal(seal_refusal_name(SEAL_BAD_TAG), "bad-tag");
	assert_string_equal(seal_cipher_name(SEAL_CHACHA20_POLY1305), "chacha20-poly1305");
}

static void expect_no_seal(struct seal_config config, int code, const char *words)
{
	struct err err = ERR_INIT;
	struct seal *seal = seal_new(&config, &err);

	assert_null(seal);
	assert_refused(err.code, code, err, words);
}

static void impossible_configurations_are_refused_by_name(void **state)
{
	struct node_table nodes = { .ids = { 1, 1 }, .count = 2 };
	struct seal_key keys[3] = { key_of(1), key_of(1), key_of(2) };
	const struct seal_config good = config_of(1, keys, 1);
	struct seal_config c = good;
	char longest[65] = "";

	(void)state;
	memset(longest, 'x', 64);
	c.cluster = "";
	expect_no_seal(c, -EINVAL, "cluster name has 0 bytes");
	c.cluster = longest;
	expect_no_seal(c, -EINVAL, "64 bytes");
	c = good;
	c.self = 0;
	expect_no_seal(c, -EINVAL, "node id 0");
	c = good;
	c.key_count = 0;
	expect_no_seal(c, -EINVAL, "0 keys");
	c.key_count = 3;
	expect_no_seal(c, -EINVAL, "3 keys");
	c.key_count = 2;
	expect_no_seal(c, -EINVAL, "cannot be told apart");
	c = good;
	c.cipher = SEAL_PLAIN;
	expect_no_seal(c, -EINVAL, "crypto is none");
	c.cipher = SEAL_CIPHER_COUNT;
	expect_no_seal(c, -EINVAL, "not known");
	c = good;
	c.nodes = &nodes;
	expect_no_seal(c, -EINVAL, "1 is out of place");
	nodes.ids[0] = 0;
	expect_no_seal(c, -EINVAL, "0 is out of place");
	nodes.count = TOTEM_MAX_NODES + 1;
	expect_no_seal(c, -EINVAL, "129 nodes");
	seal_free(NULL);
}

static void keys_that_are_refused_change_nothing(void **state)
{
	const struct seal_key twice[] = { key_of(2), key_of(2) };
	struct seal *from = node(1, BOOT), *to = node(2, BOOT);
	struct err err = ERR_INIT;
	struct datagram d;

	(void)state;
	assert_refused(seal_set_keys(from, twice, 2, &err), -EINVAL, err, "apart");
	assert_refused(seal_set_keys(to, twice, 0, &err), -EINVAL, err, "0 keys");
	d = sealed(from, "as before");
	expect_opens(to, &d, "as before");
	seal_free(from);
	seal_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(too_large_a_message_is_not_sealed),
		cmocka_unit_test(wire_format_is_as_documented),
		cmocka_unit_test(counters_have_64_bits),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(another_cluster_is_refused),
		cmocka_unit_test(a_sender_outside_of_the_configuration_is_refused),
		cmocka_unit_test(another_version_and_foreign_bytes_are_named),
		cmocka_unit_test(a_refusal_names_who_claims_to_have_sent_it),
		cmocka_unit_test(every_stream_has_a_subkey_of_its_own),
		cmocka_unit_test(the_counter_only_grows),
		cmocka_unit_test(a_replay_is_refused),
		cmocka_unit_test(any_order_within_the_window_is_fine),
		cmocka_unit_test(what_is_behind_the_window_is_refused),
		cmocka_unit_test(the_window_agrees_with_a_plain_one),
		cmocka_unit_test(counter_zero_is_nobodys),
		cmocka_unit_test(a_newer_boot_takes_over_and_the_older_is_refused),
		cmocka_unit_test(peers_boots_have_nothing_to_do_with_each_other),
		cmocka_unit_test(our_own_datagrams_are_not_opened),
		cmocka_unit_test(forged_datagrams_push_nobody_out),
		cmocka_unit_test(a_forged_boot_that_is_newer_locks_nobody_out),
		cmocka_unit_test(keys_change_and_nothing_is_lost),
		cmocka_unit_test(a_change_of_keys_can_be_called_off),
		cmocka_unit_test(a_dropped_key_opens_nothing),
		cmocka_unit_test(a_replay_is_refused_across_a_change_of_keys),
		cmocka_unit_test(nodes_come_and_go_and_the_others_keep_their_state),
		cmocka_unit_test(the_largest_configuration_works),
		cmocka_unit_test(plain_mode_has_the_same_framing_and_checks),
		cmocka_unit_test(plain_and_sealed_do_not_mix),
		cmocka_unit_test(nodes_with_different_ciphers_understand_each_other),
		cmocka_unit_test(a_subkey_is_not_taken_for_another),
		cmocka_unit_test(every_refusal_has_a_name_and_a_sentence),
		cmocka_unit_test(impossible_configurations_are_refused_by_name),
		cmocka_unit_test(keys_that_are_refused_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
