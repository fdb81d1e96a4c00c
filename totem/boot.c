/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "base/saver.h"
#include "totem/ring.h"

LOG_SUBSYSTEM(boot);

struct boot {
	char *path;
	uint64_t number;
	uint64_t first_seq, wanted_seq;
	struct saver *saver;
	boot_saved_fn saved;
	void *owner;
};

size_t boot_record_write(const struct boot_record *record,
			 char text[BOOT_RECORD_BYTES])
{
	return (size_t)snprintf(text, BOOT_RECORD_BYTES,
				"ring-seq %" PRIu64 "\nboot %" PRIu64 "\n",
				record->ring_seq, record->number);
}

/*
 * Written again and compared: half a number is a number, too, and scanf() takes
 * signs, blanks and whatever follows.
 */
int boot_record_parse(const char *text, size_t length, struct boot_record *record)
{
	char copy[BOOT_RECORD_BYTES], again[BOOT_RECORD_BYTES];

	*record = (struct boot_record){ 0 };
	if (length >= sizeof(copy))
		return -EBADMSG;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (sscanf(copy, "ring-seq %" SCNu64 " boot %" SCNu64, &record->ring_seq,
		   &record->number) != 2 ||
	    boot_record_write(record, again) != length ||
	    memcmp(again, text, length) != 0 ||
	    record->ring_seq > WIRE_MAX_NUMBER - RING_SEQ_STRIDE ||
	    record->number > UINT64_MAX - 2 * BOOT_NUMBERS)
		return -EBADMSG;
	return 0;
}

/* No file is a node that never ran; half a file is one to look at. */
static int read_record(const char *path, struct boot_record *record, struct err *err)
{
	char text[BOOT_RECORD_BYTES];
	FILE *from = fopen(path, "re");
	size_t length;

	*record = (struct boot_record){ 0 };
	if (!from && errno == ENOENT)
		return 0;
	if (!from)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	length = fread(text, 1, sizeof(text), from);
	fclose(from);
	if (boot_record_parse(text, length, record) < 0)
		return err_set(err, -EBADMSG,
			       "%s: does not hold a ring-seq and a boot number; if it is beyond repair, remove it: numbers start beyond the clock then",
			       path);
	return 0;
}

static void seq_is_saved(void *owner, uint64_t seq)
{
	struct boot *b = owner;

	b->saved(b->owner, seq);
}

static void seq_is_not_saved(void *owner, uint64_t seq, int code)
{
	struct boot *b = owner;

	(void)seq;
	log_error("MDC4101", "%s: %s: no new ring can be led", b->path, strerror(-code));
	b->wanted_seq = b->first_seq; /* until it is asked again */
}

/* A start: beyond all that was used before, and durable before anything is sent. */
static int advance(struct boot *b, uint64_t now_us, struct err *err)
{
	struct boot_record before;
	char text[BOOT_RECORD_BYTES];
	int r = read_record(b->path, &before, err);

	if (r < 0)
		return r;
	b->first_seq = b->wanted_seq = before.ring_seq + RING_SEQ_STRIDE;
	b->number = max_u64(before.number + BOOT_NUMBERS, now_us);
	r = file_replace(b->path, text,
			 boot_record_write(&(struct boot_record){ b->first_seq, b->number }, text));
	return r < 0 ? err_set(err, r, "%s: cannot be written: %s", b->path, strerror(-r)) : 0;
}

struct boot *boot_open(const char *path, uint64_t now_us, struct loop *loop,
		       boot_saved_fn saved, void *owner, struct err *err)
{
	static const struct saver_ops ops = { seq_is_saved, seq_is_not_saved };
	struct boot *b = calloc(1, sizeof(*b));

	if (!b || !(b->path = strdup(path))) {
		free(b);
		err_nomem(err, "the boot record");
		return NULL;
	}
	b->saved = saved;
	b->owner = owner;
	if (advance(b, now_us, err) == 0)
		b->saver = saver_open(path, loop, &ops, b, err);
	if (b->saver)
		return b;
	boot_close(b);
	return NULL;
}

void boot_close(struct boot *b)
{
	if (!b)
		return;
	saver_close(b->saver);
	free(b->path);
	free(b);
}

uint64_t boot_number(const struct boot *b)
{
	return b->number;
}

uint64_t boot_first_ring_seq(const struct boot *b)
{
	return b->first_seq;
}

void boot_save(struct boot *b, uint64_t seq)
{
	char text[BOOT_RECORD_BYTES];

	if (seq <= b->wanted_seq)
		return;
	if (saver_put(b->saver, text,
		      boot_record_write(&(struct boot_record){ seq, b->number }, text), seq) < 0)
		seq_is_not_saved(b, seq, -ENOMEM);
	else
		b->wanted_seq = seq;
}
