/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sealing costs: one datagram sealed and opened, with each cipher, against
 * copying it twice, and against the bare ciphers of libcrypto and libsodium.
 *
 * This decides the ciphers and the library of totem/seal.h. On an EPYC with
 * AVX-512 and VAES, libcrypto 3.0.19, libsodium 1.0.18, libipsec-mb 1.3; seal and
 * open together, keys expanded beforehand, GB/s of message:
 *
 *	                               64 B   200 B   1400 B   8900 B   64 KiB
 *	AES-256-GCM        libipsec-mb 0.86    2.05     4.40     5.24     5.44
 *	                   libcrypto   0.16    0.41     1.36     2.10     2.30
 *	                   libsodium   0.21    0.41     0.75     0.86     0.88
 *	  no instructions  libcrypto   0.03    0.07     0.13     0.09     0.14
 *	ChaCha20-Poly1305  libcrypto   0.08    0.18     0.69     1.49     1.88
 *	                   libsodium   0.10    0.16     0.51     0.71     0.77
 *	ours with AES                  0.14    0.36     1.30     2.07     2.28
 *	ours with ChaCha20             0.07    0.17     0.67     1.47     1.87
 *
 * libcrypto is nearly twice as fast as libsodium for what fills a packet, and runs
 * everywhere: an AES datagram opens on a processor without AES as well, as fast as
 * a gigabit link brings it. 150 ns of each call are its own bookkeeping, which
 * shows in small datagrams. libipsec-mb has none of that, and wider vectors, but
 * it is for x86-64 alone: it could serve beside libcrypto, not instead of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
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
	crypto_aead_aes256gcm_state *aes; /* NULL: no instructions */
	EVP_CIPHER_CTX *evp_from[SEAL_CIPHER_COUNT], *evp_to[SEAL_CIPHER_COUNT];
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

static int seal_with(struct work *w, enum seal_cipher cipher)
{
	struct seal_label label;
	size_t length;

	if (seal_wrap(w->from[cipher], w->plain, w->bytes, w->wire) != 0)
		return -1;
	return seal_open(w->to[cipher], w->wire, w->bytes + seal_overhead(), w->back,
			 &length, &label);
}

static int pass_seal(struct work *w, uint64_t counter)
{
	(void)counter;
	return seal_with(w, w->cipher);
}

/* Ours as it is without AES instructions. */
static int pass_seal_chacha(struct work *w, uint64_t counter)
{
	(void)counter;
	return seal_with(w, SEAL_CHACHA20_POLY1305);
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

/* libcrypto, and nothing around it. */
static int pass_evp(struct work *w, uint64_t counter)
{
	EVP_CIPHER_CTX *from = w->evp_from[w->cipher], *to = w->evp_to[w->cipher];
	uint8_t nonce[12] = { 0 };
	int n, bytes = (int)w->bytes, head = sizeof(w->header);
	uint8_t *tag = w->wire + bytes;

	memcpy(nonce + 4, &counter, sizeof(counter));
	if (EVP_EncryptInit_ex2(from, NULL, NULL, nonce, NULL) != 1 ||
	    EVP_EncryptUpdate(from, NULL, &n, w->header, head) != 1 ||
	    EVP_EncryptUpdate(from, w->wire, &n, w->plain, bytes) != 1 ||
	    EVP_EncryptFinal_ex(from, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(from, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) != 1)
		return -1;
	return EVP_DecryptInit_ex2(to, NULL, NULL, nonce, NULL) == 1 &&
	       EVP_DecryptUpdate(to, NULL, &n, w->header, head) == 1 &&
	       EVP_DecryptUpdate(to, w->back, &n, w->wire, bytes) == 1 &&
	       EVP_CIPHER_CTX_ctrl(to, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1 &&
	       EVP_DecryptFinal_ex(to, tag, &n) == 1 ? 0 : -1;
}

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

static double sample_evp(void *owner)
{
	return sample(owner, pass_evp);
}

static double sample_ours_chacha(void *owner)
{
	return sample(owner, pass_seal_chacha);
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

static void evp_init(struct work *w, int cipher)
{
	EVP_CIPHER *evp = EVP_CIPHER_fetch(NULL, cipher == SEAL_AES256_GCM ?
					   "AES-256-GCM" : "ChaCha20-Poly1305", NULL);

	w->evp_from[cipher] = EVP_CIPHER_CTX_new();
	w->evp_to[cipher] = EVP_CIPHER_CTX_new();
	if (EVP_EncryptInit_ex2(w->evp_from[cipher], evp, w->key, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(w->evp_to[cipher], evp, w->key, NULL, NULL) != 1)
		die("libcrypto refuses a key");
	EVP_CIPHER_free(evp);
}

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
		if (c != SEAL_PLAIN)
			evp_init(w, c);
	}
	if (crypto_aead_aes256gcm_is_available()) {
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
		EVP_CIPHER_CTX_free(w->evp_from[c]);
		EVP_CIPHER_CTX_free(w->evp_to[c]);
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
	row(bench, w, size, SEAL_AES256_GCM, "ours, chacha20", sample_ours_chacha,
	    "what AES instructions are worth");
	row(bench, w, size, SEAL_AES256_GCM, "bare libcrypto", sample_evp,
	    "same cipher: the rest is framing, window, counters");
	if (w->aes)
		row(bench, w, size, SEAL_AES256_GCM, "bare libsodium", sample_aes,
		    "same cipher, key expanded beforehand");
	row(bench, w, size, SEAL_CHACHA20_POLY1305, "bare libcrypto", sample_evp,
	    "same cipher: the rest is framing, window, counters");
	row(bench, w, size, SEAL_CHACHA20_POLY1305, "bare libsodium", sample_chacha,
	    "same cipher");
	row(bench, w, size, SEAL_AES256_GCM, "2 memcpy", sample_memcpy,
	    "sealed and opened; copied there and back");
	row(bench, w, size, SEAL_PLAIN, "2 memcpy", sample_memcpy,
	    "framing, window, counters");
	w->cipher = seal_cipher_default();
	snprintf(name, sizeof(name), "%s forged, refused", size);
	bench_pair(bench, &(struct bench_pair){
		.name = name,
		.unit = "GB/s",
		.peer = "good, sealed too",
		.note = "a new boot each time: a subkey, and opened in vain",
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
	measure_size(&bench, &work, 200, "200 B");
	measure_size(&bench, &work, 1400, "1400 B");
	measure_size(&bench, &work, 8900, "8900 B");
	measure_size(&bench, &work, 65536, "64 KiB");
	work_fini(&work);
	return bench_fini(&bench);
}
