/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dump's columns, one line a lock (fs/dlm/debug_fs.c, the second format):
 *
 *	id nodeid remid pid xid exflags flags sts grmode rqmode time_ms
 *	r_nodeid r_len "r_name"
 *
 * id, remid and flags in hex. The name has r_len bytes, quotes in it too.
 */
#include "lockres/dlm_dump.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

enum { STATUS_GRANTED = 2, STATUS_CONVERTING = 3 }; /* 1 waits */
enum { KERNEL_ORPHAN = 2 };                          /* of the kernel's own flags */

/* --- words and numbers of a line ------------------------------------------------------- */

struct text {
	const char *at, *end;
	bool failed;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

static void skip_blanks(struct text *t)
{
	while (t->at < t->end && *t->at == ' ')
		t->at++;
}

static uint64_t number(struct text *t, unsigned int base, uint64_t max)
{
	const char *first;
	uint64_t n = 0;

	skip_blanks(t);
	first = t->at;
	while (t->at < t->end && (unsigned int)digit(*t->at) < base) {
		unsigned int d = (unsigned int)digit(*t->at++);

		if (d > max || n > (max - d) / base) {
			t->failed = true;
			return 0;
		}
		n = n * base + d;
	}
	if (t->at == first || (t->at < t->end && *t->at != ' '))
		t->failed = true;
	return t->failed ? 0 : n;
}

/* A mode, or -1. */
static enum lock_mode mode(struct text *t)
{
	skip_blanks(t);
	if (t->end - t->at >= 2 && t->at[0] == '-' && t->at[1] == '1') {
		t->at += 2;
		return LOCK_NONE;
	}
	return (enum lock_mode)number(t, 10, LOCK_EX);
}

static bool take_name(struct text *t, size_t length, struct dlm_dump_line *to)
{
	skip_blanks(t);
	if ((size_t)(t->end - t->at) < length + 2 || t->at[0] != '"' ||
	    t->at[length + 1] != '"')
		return false;
	to->name = t->at + 1;
	to->name_length = length;
	return true;
}

int dlm_dump_take(const char *line, size_t length, struct dlm_dump_line *to)
{
	struct text t = { line, line + length, false };
	uint64_t node, name_length;
	enum lock_mode granted;
	unsigned int status, kernel_flags;
	uint64_t remote;

	if (length == 0 || (length >= 3 && memcmp(line, "id ", 3) == 0))
		return -ENOENT;
	to->lkid = (uint32_t)number(&t, 16, UINT32_MAX);
	node = number(&t, 10, INT32_MAX);
	remote = number(&t, 16, UINT32_MAX);
	(void)number(&t, 10, UINT32_MAX); /* the process */
	(void)number(&t, 10, UINT64_MAX);
	(void)number(&t, 16, UINT32_MAX); /* flags of the call */
	kernel_flags = (unsigned int)number(&t, 16, UINT32_MAX);
	status = (unsigned int)number(&t, 10, STATUS_CONVERTING);
	granted = mode(&t);
	to->wanted = mode(&t);
	(void)number(&t, 10, UINT64_MAX); /* since when */
	to->master = (uint32_t)number(&t, 10, INT32_MAX);
	name_length = number(&t, 10, LOCK_MAX_NAME);
	if (t.failed || !take_name(&t, name_length, to))
		return -EBADMSG;
	to->node = (uint32_t)node;
	to->is_master_copy = remote != 0 && to->master == 0;
	to->is_orphan = kernel_flags & KERNEL_ORPHAN && !to->is_master_copy;
	to->granted = status == STATUS_GRANTED || status == STATUS_CONVERTING ? granted :
										LOCK_NONE;
	if (status == STATUS_GRANTED)
		to->wanted = LOCK_NONE;
	return 0;
}

/* --- who is in the way ------------------------------------------------------------------- */

/* The next sound line; false: there is none. */
static bool next_line(const char **at, const char *end, struct dlm_dump_line *line)
{
	while (*at < end) {
		const char *newline = memchr(*at, '\n', (size_t)(end - *at));
		const char *from = *at, *to = newline ? newline : end;

		*at = newline ? newline + 1 : end;
		if (dlm_dump_take(from, (size_t)(to - from), line) == 0)
			return true;
	}
	return false;
}

static bool find(const char *text, size_t length, uint32_t lkid, struct dlm_dump_line *line)
{
	const char *at = text;

	while (next_line(&at, text + length, line))
		if (line->lkid == lkid)
			return true;
	return false;
}

static bool is_in(const uint32_t *nodes, size_t count, uint32_t node)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (nodes[i] == node)
			return true;
	return false;
}

static bool is_in_the_way(const struct dlm_dump_line *of, const struct dlm_dump_line *line)
{
	return line->lkid != of->lkid && line->name_length == of->name_length &&
	       memcmp(line->name, of->name, of->name_length) == 0 &&
	       line->granted != LOCK_NONE &&
	       !lock_modes_compatible(line->granted, of->wanted);
}

size_t dlm_dump_blockers(const char *text, size_t length, uint32_t self, uint32_t lkid,
			 uint32_t *nodes, size_t room)
{
	struct dlm_dump_line of, line;
	const char *at = text;
	size_t count = 0;

	if (!find(text, length, lkid, &of) || of.wanted == LOCK_NONE)
		return 0;
	while (next_line(&at, text + length, &line)) {
		uint32_t node = line.is_master_copy ? line.node : self;

		if (!is_in_the_way(&of, &line) || is_in(nodes, count < room ? count : room, node))
			continue;
		if (count < room)
			nodes[count] = node;
		count++;
	}
	return count;
}

bool dlm_dump_has_orphan(const char *text, size_t length)
{
	struct dlm_dump_line line;
	const char *at = text;

	while (next_line(&at, text + length, &line))
		if (line.is_orphan)
			return true;
	return false;
}

/* --- names -------------------------------------------------------------------------------- */

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

void dlm_name(const void *name, size_t name_length, char kernel_name[DLM_NAME_ROOM])
{
	static const char plain[] = "mdcl-", hashed[] = "mdclx-";
	unsigned char hash[24];
	const char *c = name;
	size_t i;

	for (i = 0; i < name_length && is_plain(c[i]); i++)
		;
	if (i == name_length && sizeof(plain) - 1 + name_length < DLM_NAME_ROOM) {
		memcpy(kernel_name, plain, sizeof(plain) - 1);
		memcpy(kernel_name + sizeof(plain) - 1, name, name_length);
		kernel_name[sizeof(plain) - 1 + name_length] = '\0';
		return;
	}
	crypto_generichash(hash, sizeof(hash), name, name_length, NULL, 0);
	memcpy(kernel_name, hashed, sizeof(hashed) - 1);
	sodium_bin2hex(kernel_name + sizeof(hashed) - 1, DLM_NAME_ROOM - sizeof(hashed) + 1,
		       hash, sizeof(hash));
}

bool dlm_has_device(const char *misc, size_t length, const char *kernel_name)
{
	size_t want = strlen(kernel_name);
	const char *at = misc, *end = misc + length;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		struct text t = { at, newline ? newline : end, false };

		(void)number(&t, 10, UINT32_MAX);
		skip_blanks(&t);
		if (!t.failed && (size_t)(t.end - t.at) == want + 4 &&
		    memcmp(t.at, "dlm_", 4) == 0 &&
		    memcmp(t.at + 4, kernel_name, want) == 0)
			return true;
		at = newline ? newline + 1 : end;
	}
	return false;
}
