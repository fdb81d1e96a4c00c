/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/seal_rig.h"

#include <string.h>

#include <sodium.h>

#include "base/codec.h"

const struct node_table three = { .ids = { 1, 2, 3 }, .count = 3 };
enum seal_cipher rig_cipher = SEAL_CHACHA20_POLY1305;

struct seal_key key_of(int seed)
{
	struct seal_key key;

	for (size_t i = 0; i < SEAL_KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)((size_t)seed * 37 + i);
	key.bytes[0] = (uint8_t)seed;
	key.bytes[1] = (uint8_t)(seed >> 8);
	return key;
}

struct seal_config config_of(uint32_t self, const struct seal_key *keys,
			     size_t count)
{
	return (struct seal_config){
		.cluster = "alpha",
		.nodes = &three,
		.self = self,
		.boot = BOOT,
		.cipher = rig_cipher,
		.keys = keys,
		.key_count = count,
	};
}

struct seal *make(const struct seal_config *config)
{
	struct err err = ERR_INIT;
	struct seal *seal = seal_new(config, &err);

	if (!seal)
		fail_msg("%s", err.text);
	return seal;
}

struct seal *node(uint32_t self, uint64_t boot)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(self, &key, 1);

	config.boot = boot;
	return make(&config);
}

struct seal *node_with(enum seal_cipher cipher, uint32_t self)
{
	const struct seal_key key = key_of(1);
	struct seal_config config = config_of(self, &key, 1);

	config.cipher = cipher;
	if (cipher == SEAL_PLAIN)
		config.key_count = 0;
	return make(&config);
}

struct datagram sealed(struct seal *from, const char *text)
{
	struct datagram d = { .length = strlen(text) + SEAL_OVERHEAD_BYTES };

	assert_int_equal(seal_wrap(from, text, strlen(text), d.bytes), 0);
	return d;
}

int open_as(struct seal *to, const struct datagram *d, char text[64])
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

void expect_opens(struct seal *to, const struct datagram *d, const char *wanted)
{
	char text[128] = "";
	int r = open_as(to, d, text);

	if (r != 0)
		fail_msg("'%s' %s", wanted, seal_why(r));
	assert_string_equal(text, wanted);
}

void expect_refused(struct seal *to, const struct datagram *d,
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

void put_u32(struct datagram *d, size_t at, uint32_t v)
{
	struct wr wr = wr_over(d->bytes, sizeof(d->bytes));

	wr_seek(&wr, at);
	wr_u32(&wr, v);
}

void put_u64(struct datagram *d, size_t at, uint64_t v)
{
	struct wr wr = wr_over(d->bytes, sizeof(d->bytes));

	wr_seek(&wr, at);
	wr_u64(&wr, v);
}

uint64_t counter_of(const struct datagram *d)
{
	struct rd rd = rd_over(d->bytes, d->length);

	rd_seek(&rd, AT_COUNTER);
	return rd_u64(&rd);
}

uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

struct datagram sealed_by_hand(uint64_t boot, uint64_t counter, const char *message)
{
	const uint8_t form[] = { 0x73, (uint8_t)(0x10 | rig_cipher), 0x15, 0x1e };
	uint8_t subkey[32], nonce[12] = { 0 }, text[16 + 1 + 4 + 8 + 4 + 5];
	struct datagram d = { .length = strlen(message) + 24 + 16 };
	const struct seal_key key = key_of(1);

	memcpy(d.bytes, form, sizeof(form));
	put_u32(&d, AT_SENDER, 1);
	put_u64(&d, AT_BOOT, boot);
	put_u64(&d, AT_COUNTER, counter);
	memcpy(text, "mdclusterd seal", 16);
	text[16] = (uint8_t)rig_cipher;
	memcpy(text + 17, d.bytes + AT_SENDER, 12);
	memcpy(text + 29, d.bytes + AT_COUNTER + 4, 4);
	memcpy(text + 33, "alpha", 5);
	crypto_generichash(subkey, sizeof(subkey), text, sizeof(text), key.bytes,
			   sizeof(key.bytes));
	memcpy(nonce + 4, d.bytes + AT_COUNTER, 8);
	if (rig_cipher == SEAL_AES256_GCM && !crypto_aead_aes256gcm_is_available())
		skip();
	(rig_cipher == SEAL_AES256_GCM ?
		crypto_aead_aes256gcm_encrypt_detached :
		crypto_aead_chacha20poly1305_ietf_encrypt_detached)(
		d.bytes + 24, d.bytes + 24 + strlen(message), NULL,
		(const uint8_t *)message, strlen(message), d.bytes, 24, NULL, nonce,
		subkey);
	return d;
}

int with_chacha20(void **state)
{
	(void)state;
	rig_cipher = SEAL_CHACHA20_POLY1305;
	return 0;
}

int with_aes(void **state)
{
	(void)state;
	rig_cipher = SEAL_AES256_GCM;
	return 0;
}
