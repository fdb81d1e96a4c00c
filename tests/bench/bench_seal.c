/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sealing costs: one datagram sealed and opened, against copying it twice,
 * and against the other ciphers that libsodium has.
 *
 * This decides the ciphers of totem/seal.h. On an EPYC with AVX-512, VAES and
 * libsodium 1.0.18, seal and open together, GB/s of message:
 *
 *	                     64 B   1400 B   8900 B   64 KiB
 *	ChaCha20-Poly1305    0.10     0.51     0.71     0.77
 *	XChaCha20-Poly1305   0.08     0.48     0.70     0.77
 *	AES-256-GCM          0.21     0.75     0.86     0.88
 *	ours with ChaCha20   0.10     0.50     0.71     0.77
 *	ours with AES        0.16     0.71     0.85     0.88
 *
 * ChaCha20-Poly1305 is the default: it runs on any processor, in constant time
 * without special instructions, and bears any amount of data under one key.
 * XChaCha20 buys a nonce that may be random; ours are counters under a subkey of
 * their own, so that it would only add 0.1 us to each datagram. AES-256-GCM is
 * half again as fast where all nodes have the instructions, and twice as fast for
 * small datagrams, so it can be chosen.
 *
 * "ours" has framing, replay window and counters; the peers are bare calls with a
 * header as associated data. Buffers stay within the caches, as a datagram does
 * that was just received.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "tests/bench/bench.h"
#include "totem/seal.h"

enum { MAX_BYTES = 65536, SAMPLE_BYTES = 24 << 20, MAX_PASSES = 60000 };

struct work {
	size_t bytes;
	size_t passes; /* a sample */
	struct seal *from[SEAL_CIPHER_COUNT];
	struct seal *to[SEAL_CIPHER_COUNT];
	enum seal_cipher cipher;
	crypto_aead_aes256gcm_state *aes;
	uint8_t key[32];
	uint8_t header[SEAL_HEADER_BYTES];
	uint8_t plain[MAX_BYTES];
	uint8_t wire[MAX_BYTES + SEAL_OVERHEAD_BYTES];
	uint8_t back[MAX_BYTES];
};

static void die(const char *why)
{
	fprintf(stderr, "bench seal: %s\n", why);
	exit(EXIT_FAILURE);
}

/* ---- one pass of each side ---- */

typedef int (*pass_fn)(struct work *w, uint64_t counter);

static int pass_seal(struct work *w, uint64_t counter)
{
	struct seal_label label;
	size_t length;

	(void)counter;
	if (seal_wrap(w->from[w->cipher], w->plain, w->bytes, w->wire) != 0)
		return -1;
	return seal_open(w->to[w->cipher], w->wire, w->bytes + seal_overhead(),
			 w->back, &length, &label);
}

static int pass_memcpy(struct work *w, uint64_t counter)
{
	(void)counter;
	memcpy(w->wire + SEAL_HEADER_BYTES, w->plain, w->bytes);
	bench_consume(w->wire);
	memcpy(w->back, w->wire + SEAL_HEADER_BYTES, w->bytes);
	return 0;
}

static int pass_chacha(struct work *w, uint64_t counter)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = { 0 };

	memcpy(nonce + 4, &counter, sizeof(counter));
	crypto_aead_chacha20poly1305_ietf_encrypt(w->wire, NULL, w->plain, w->bytes,
						  w->header, sizeof(w->header), NULL,
						  nonce, w->key);
	return crypto_aead_chacha20poly1305_ietf_decrypt(
		w->back, NULL, NULL, w->wire, w->bytes + SEAL_TAG_BYTES, w->header,
		sizeof(w->header), nonce, w->key);
}

static int pass_xchacha(struct work *w, uint64_t counter)
{
	uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = { 0 };

	memcpy(nonce, &counter, sizeof(counter));
	crypto_aead_xchacha20poly1305_ietf_encrypt(w->wire, NULL, w->plain, w->bytes,
						   w->header, sizeof(w->header), NULL,
						   nonce, w->key);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(
		w->back, NULL, NULL, w->wire, w->bytes + SEAL_TAG_BYTES, w->header,
		sizeof(w->header), nonce, w->key);
}

/* With the key expanded beforehand, which ours does for each datagram. */
static int pass_aes(struct work *w, uint64_t counter)
{
	uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES] = { 0 };

	memcpy(nonce + 4, &counter, sizeof(counter));
	crypto_aead_aes256gcm_encrypt_afternm(w->wire, NULL, w->plain, w->bytes,
					      w->header, sizeof(w->header), NULL,
					      nonce, w->aes);
	return crypto_aead_aes256gcm_decrypt_afternm(
		w->back, NULL, NULL, w->wire, w->bytes + SEAL_TAG_BYTES, w->header,
		sizeof(w->header), nonce, w->aes);
}

static double sample(struct work *w, pass_fn pass)
{
	uint64_t started_ns = clock_boot_ns(), ns;

	for (uint64_t i = 0; i < w->passes; i++) {
		if (pass(w, i) != 0)
			die("what was sealed does not open");
		bench_consume(w->back);
	}
	ns = clock_boot_ns() - started_ns;
	if (memcmp(w->plain, w->back, w->bytes) != 0)
		die("what was opened is not what was sealed");
	return bench_gb_per_s(w->bytes * w->passes, ns);
}

static double sample_ours(void *owner)
{
	return sample(owner, pass_seal);
}

static double sample_memcpy(void *owner)
{
	return sample(owner, pass_memcpy);
}

static double sample_chacha(void *owner)
{
	return sample(owner, pass_chacha);
}

static double sample_xchacha(void *owner)
{
	return sample(owner, pass_xchacha);
}

static double sample_aes(void *owner)
{
	return sample(owner, pass_aes);
}

/* What an attacker can make us do: a forged boot each time, subkey and tag. */
static int pass_forged(struct work *w, uint64_t counter)
{
	struct seal_label label;
	uint64_t boot = UINT64_MAX - counter;
	size_t length;

	memcpy(w->wire + 8, &boot, sizeof(boot));
	return seal_open(w->to[w->cipher], w->wire, w->bytes + seal_overhead(),
			 w->back, &length, &label) == -SEAL_BAD_TAG ? 0 : -1;
}

static double sample_forged(void *owner)
{
	struct work *w = owner;
	uint64_t started_ns;

	if (pass_seal(w, 0) != 0)
		die("what was sealed does not open");
	started_ns = clock_boot_ns();
	for (uint64_t i = 0; i < w->passes; i++)
		if (pass_forged(w, i) != 0)
			die("a forged datagram was not refused for its tag");
	return bench_gb_per_s(w->bytes * w->passes, clock_boot_ns() - started_ns);
}

/* ---- the rows ---- */

static void work_init(struct work *w)
{
	static const struct node_table nodes = { .ids = { 1, 2 }, .count = 2 };
	struct seal_key key;
	struct seal_config config = {
		.cluster = "bench", .nodes = &nodes, .boot = 1, .keys = &key,
	};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	memset(&key, 7, sizeof(key));
	memcpy(w->key, &key, sizeof(key));
	for (size_t i = 0; i < MAX_BYTES; i++)
		w->plain[i] = (uint8_t)(i * 31);
	for (int c = 0; c < SEAL_CIPHER_COUNT; c++) {
		config.cipher = (enum seal_cipher)c;
		config.key_count = c == SEAL_PLAIN ? 0 : 1;
		if (!seal_cipher_is_available(config.cipher))
			continue;
		config.self = 1;
		w->from[c] = seal_new(&config, &err);
		config.self = 2;
		w->to[c] = seal_new(&config, &err);
		if (!w->from[c] || !w->to[c])
			die(err.text);
	}
	if (w->to[SEAL_AES256_GCM]) {
		w->aes = sodium_malloc(sizeof(*w->aes));
		if (!w->aes || crypto_aead_aes256gcm_beforenm(w->aes, w->key) != 0)
			die("no room for an AES key");
	}
}

static void work_fini(struct work *w)
{
	for (int c = 0; c < SEAL_CIPHER_COUNT; c++) {
		seal_free(w->from[c]);
		seal_free(w->to[c]);
	}
	sodium_free(w->aes);
}

static void row(struct bench *bench, struct work *w, const char *size,
		enum seal_cipher cipher, const char *peer, bench_sample_fn theirs,
		const char *note)
{
	char name[64];

	w->cipher = cipher;
	snprintf(name, sizeof(name), "%s %s", size, seal_cipher_name(cipher));
	bench_pair(bench, &(struct bench_pair){
		.name = name,
		.unit = "GB/s",
		.peer = peer,
		.note = note,
		.better = BENCH_MORE_IS_BETTER,
		.ours = sample_ours,
		.theirs = theirs,
		.owner = w,
	});
}

static void measure_size(struct bench *bench, struct work *w, size_t bytes,
			 const char *size)
{
	char name[64];

	w->bytes = bytes;
	w->passes = min_u64(SAMPLE_BYTES / bytes, MAX_PASSES);
	row(bench, w, size, SEAL_CHACHA20_POLY1305, "2 memcpy", sample_memcpy,
	    "sealed and opened; copied there and back");
	row(bench, w, size, SEAL_CHACHA20_POLY1305, "bare chacha20", sample_chacha,
	    "same cipher: the rest is framing, window, counters");
	row(bench, w, size, SEAL_CHACHA20_POLY1305, "bare xchacha20", sample_xchacha,
	    "192-bit nonces, which counters do not need");
	if (w->aes) {
		row(bench, w, size, SEAL_CHACHA20_POLY1305, "bare aes256-gcm",
		    sample_aes, "needs AES instructions on every node");
		row(bench, w, size, SEAL_AES256_GCM, "bare aes256-gcm", sample_aes,
		    "ours expands the key each time");
	}
	row(bench, w, size, SEAL_PLAIN, "2 memcpy", sample_memcpy,
	    "framing, window, counters");
	w->cipher = SEAL_CHACHA20_POLY1305;
	snprintf(name, sizeof(name), "%s forged, refused", size);
	bench_pair(bench, &(struct bench_pair){
		.name = name,
		.unit = "GB/s",
		.peer = "good, sealed too",
		.note = "a new boot each time: a subkey and a tag, no decryption",
		.better = BENCH_MORE_IS_BETTER,
		.ours = sample_forged,
		.theirs = sample_ours,
		.owner = w,
	});
}

int main(void)
{
	static struct work work;
	struct bench bench;

	if (sodium_init() < 0)
		die("libsodium cannot start");
	work_init(&work);
	bench_init(&bench, "seal");
	measure_size(&bench, &work, 64, "64 B");
	measure_size(&bench, &work, 1400, "1400 B");
	measure_size(&bench, &work, 8900, "8900 B");
	measure_size(&bench, &work, 65536, "64 KiB");
	work_fini(&work);
	return bench_fini(&bench);
}
