/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { KEY_CHARS = 44 }; /* base64 of 32 bytes, with its one '=' */

static const char head[] =
	"# Cluster key of mdclusterd: secret, the same on every node, mode 0400.\n"
	"# The first key seals what is sent; either opens what is received.\n"
	"# mdcluster keygen makes and changes it: see mdcluster(8).\n";

void keyfile_wipe(struct keyfile *file)
{
	sodium_memzero(file, sizeof(*file));
}

/* Text */

/* `text` without blanks, and the CR of other systems, at either end. */
static void trim(const char **text, size_t *length)
{
	while (*length > 0 && strchr(" \t\r", (*text)[*length - 1]))
		(*length)--;
	while (*length > 0 && strchr(" \t", **text)) {
		(*text)++;
		(*length)--;
	}
}

/* Control characters: no text has them; of 32 random bytes few have none. */
static bool is_text(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_random(const struct seal_key *key)
{
	size_t i;

	for (i = 1; i < SEAL_KEY_BYTES; i++)
		if (key->bytes[i] != key->bytes[0])
			return true;
	return false;
}

/*
 * What is read is what would be written: libsodium's decoder (1.0.18) takes some
 * bytes above 127 for letters.
 */
static bool read_key(const char *text, size_t length, struct seal_key *key)
{
	char again[KEY_CHARS + 1];
	size_t bytes = 0;
	bool is_key;

	if (length != KEY_CHARS ||
	    sodium_base642bin(key->bytes, SEAL_KEY_BYTES, text, length, NULL,
			      &bytes, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes != SEAL_KEY_BYTES)
		return false;
	sodium_bin2base64(again, sizeof(again), key->bytes, SEAL_KEY_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
	is_key = sodium_memcmp(again, text, KEY_CHARS) == 0;
	sodium_memzero(again, sizeof(again));
	return is_key;
}

static int parse_key(const char *text, size_t length, unsigned int line,
		     struct keyfile *file, struct err *err)
{
	struct seal_key *key = &file->keys[file->count];

	if (file->count == SEAL_MAX_KEYS)
		return err_set(err, -EBADMSG,
			       "line %u: a third key: one, or two while keys change",
			       line);
	if (!read_key(text, length, key))
		return err_set(err, -EBADMSG,
			       "line %u: is no key (%d characters of base64, of 32 bytes): copy the file again, or make one with mdcluster keygen",
			       line, KEY_CHARS);
	if (!is_random(key))
		return err_set(err, -EBADMSG,
			       "line %u: this key anybody can guess: make one with mdcluster keygen",
			       line);
	if (file->count == 1 &&
	    sodium_memcmp(key->bytes, file->keys[0].bytes, SEAL_KEY_BYTES) == 0)
		return err_set(err, -EBADMSG, "line %u: has the same key again: remove it",
			       line);
	file->count++;
	return 0;
}

static int parse_lines(const char *text, size_t length, struct keyfile *file,
		       struct err *err)
{
	const char *end = text + length;
	unsigned int line = 0;
	int r = 0;

	while (r == 0 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;
		size_t n = (size_t)(stop - text);

		line++;
		trim(&text, &n);
		if (n > 0 && *text != '#')
			r = parse_key(text, n, line, file, err);
		text = newline ? newline + 1 : end;
	}
	return r;
}

int keyfile_parse(const char *text, size_t length, struct keyfile *file,
		  struct err *err)
{
	int r;

	memset(file, 0, sizeof(*file));
	if (length > KEYFILE_MAX_BYTES)
		return err_set(err, -EBADMSG,
			       "is longer than %d bytes: this is no key file",
			       KEYFILE_MAX_BYTES);
	if (!is_text(text, length))
		return err_set(err, -EBADMSG,
			       "holds raw bytes, as corosync's authkey does: here a key is a line of text, made with mdcluster keygen");
	r = parse_lines(text, length, file, err);
	if (r == 0 && file->count == 0)
		r = err_set(err, -EBADMSG, "holds no key: make one with mdcluster keygen");
	if (r < 0)
		keyfile_wipe(file);
	return r;
}

/* The text of `file`; its length. */
static size_t format(const struct keyfile *file, char text[KEYFILE_MAX_BYTES])
{
	size_t at = sizeof(head) - 1, i;

	memcpy(text, head, at);
	for (i = 0; i < file->count; i++) {
		sodium_bin2base64(text + at, KEY_CHARS + 1, file->keys[i].bytes,
				  SEAL_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL);
		at += KEY_CHARS;
		text[at++] = '\n';
	}
	return at;
}

/* Reading */

/* Of the open file, so that nobody can change it between look and read. */
static int check_access(const struct stat *st, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EACCES, "is not a regular file");
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, -EACCES,
			       "belongs to user %u, who can read and change it: it must belong to root or to user %u, who asks (chown)",
			       (unsigned int)st->st_uid, (unsigned int)geteuid());
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, -EACCES,
			       "can be used by group or others (mode %04o): chmod 0400 it, and if a stranger may have read it, make a new key",
			       (unsigned int)st->st_mode & 07777);
	return 0;
}

/* Fills `text` up to its end, one byte beyond what is allowed. */
static int read_all(int fd, char text[KEYFILE_MAX_BYTES + 1], size_t *length,
		    struct err *err)
{
	ssize_t n;

	*length = 0;
	do {
		n = read(fd, text + *length, KEYFILE_MAX_BYTES + 1 - *length);
		if (n > 0)
			*length += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? err_set(err, -errno, "cannot be read: %s", strerror(errno)) : 0;
}

static int read_open(int fd, struct keyfile *file, struct err *err)
{
	char text[KEYFILE_MAX_BYTES + 1];
	struct stat st;
	size_t length;
	int r;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	r = check_access(&st, err);
	if (r == 0)
		r = read_all(fd, text, &length, err);
	if (r == 0)
		r = keyfile_parse(text, length, file, err);
	sodium_memzero(text, sizeof(text));
	return r;
}

/* O_NONBLOCK: a pipe without a writer must not hold us up. */
static int open_to_read(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		return err_set(err, -EACCES,
			       "is a symbolic link, which could be pointed elsewhere: name the file itself");
	if (errno == ENOENT)
		return err_set(err, -ENOENT,
			       "there is no key: make one on one node with mdcluster keygen, then copy it to the others");
	return err_set(err, -errno, "cannot be opened: %s", strerror(errno));
}

int keyfile_read(const char *path, struct keyfile *file, struct err *err)
{
	CLEANUP_FD int fd = open_to_read(path, err);
	int r = fd < 0 ? fd : 0;

	memset(file, 0, sizeof(*file));
	if (r == 0)
		r = read_open(fd, file, err);
	return r < 0 ? err_prefix(err, "%s", path) : 0;
}

/* Writing */

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* A new file beside `path`, durable but for its name. */
static int write_beside(const char *temporary, const struct keyfile *file)
{
	CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
						    O_NOFOLLOW, 0400);
	char text[KEYFILE_MAX_BYTES];
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0400) < 0)
		r = -errno;
	if (r == 0)
		r = write_all(fd, text, format(file, text));
	sodium_memzero(text, sizeof(text));
	if (r < 0)
		unlink(temporary);
	return r;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder = NULL;
	CLEANUP_FD int fd = -1;

	if (slash == path)
		folder = strdup("/");
	else
		folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* link() and not rename() where nothing may be there: it refuses, atomically. */
static int put_in_place(const char *temporary, const char *path,
			enum keyfile_write_mode mode)
{
	int r = 0;

	if (mode == KEYFILE_REPLACE)
		return rename(temporary, path) < 0 ? -errno : 0;
	if (link(temporary, path) < 0)
		r = -errno;
	unlink(temporary);
	return r;
}

/* rename() would put the file where a symbolic link or a device was. */
static int check_replaced(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0; /* what else may be wrong with it, open() tells */
	return err_set(err, -EEXIST,
		       "%s: is not a regular file: nothing was written (name another place, or remove it)",
		       path);
}

int keyfile_write(const char *path, const struct keyfile *file,
		  enum keyfile_write_mode mode, struct err *err)
{
	CLEANUP_FREE char *temporary = NULL;
	int r = mode == KEYFILE_REPLACE ? check_replaced(path, err) : 0;

	if (r < 0)
		return r;
	if (asprintf(&temporary, "%s.%08x.new", path, randombytes_random()) < 0) {
		temporary = NULL;
		return err_nomem(err, "a file name");
	}
	r = write_beside(temporary, file);
	if (r == 0) {
		r = put_in_place(temporary, path, mode);
		if (r < 0)
			unlink(temporary);
	}
	if (r == 0)
		r = sync_folder(path);
	if (r == -EEXIST)
		return err_set(err, r, "%s: exists already", path);
	if (r == -ENOENT)
		return err_set(err, r, "%s: its folder does not exist: make it first",
			       path);
	return r < 0 ? err_set(err, r, "%s: cannot be written: %s", path,
			       strerror(-r)) : 0;
}

/* Changing keys */

/* Another one, should the hint on the wire not tell the two apart (1 in 256). */
int keyfile_add_key(struct keyfile *file, struct err *err)
{
	struct seal_key *key = &file->keys[file->count];

	if (sodium_init() < 0)
		return err_set(err, -EIO, "libsodium cannot start");
	if (file->count == SEAL_MAX_KEYS)
		return err_set(err, -EEXIST,
			       "there are two keys already: a change of keys is under way, --promote or --drop ends it");
	do {
		randombytes_buf(key->bytes, SEAL_KEY_BYTES);
	} while (file->count == 1 && seal_key_fingerprint(key) >> 24 ==
					     seal_key_fingerprint(&file->keys[0]) >> 24);
	file->count++;
	return 0;
}

int keyfile_promote(struct keyfile *file, struct err *err)
{
	struct seal_key first = file->keys[0];

	if (file->count != 2)
		return err_set(err, -ENOENT,
			       "there is no second key to promote: --add makes one");
	file->keys[0] = file->keys[1];
	file->keys[1] = first;
	sodium_memzero(&first, sizeof(first));
	return 0;
}

int keyfile_drop(struct keyfile *file, struct err *err)
{
	if (file->count != 2)
		return err_set(err, -ENOENT, "there is no second key to drop");
	sodium_memzero(&file->keys[1], sizeof(file->keys[1]));
	file->count = 1;
	return 0;
}
