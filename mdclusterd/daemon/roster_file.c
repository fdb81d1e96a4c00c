/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/roster_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/saver.h"

LOG_SUBSYSTEM(roster);

static const uint8_t magic[8] = "mdcros2";

enum { FILE_BYTES = sizeof(magic) + ROSTER_MAX_BYTES };

struct roster_file {
	char path[PATH_MAX];
	struct node_table nodes;
	struct saver *saver;
	bool is_going; /* the file, for it could not be written */
	roster_saved_fn saved;
	void *owner;
};

static bool parse(const struct roster_file *f, const uint8_t *bytes, size_t length,
		  struct roster *roster)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t head[sizeof(magic)];

	rd_bytes(&rd, head, sizeof(head));
	return memcmp(head, magic, sizeof(magic)) == 0 && roster_read(&rd, roster, &f->nodes) &&
	       rd.at == rd.length;
}

static void read_file(const struct roster_file *f, struct roster *roster)
{
	uint8_t bytes[FILE_BYTES + 1];
	FILE *from = fopen(f->path, "re");
	size_t length;

	*roster = roster_blank();
	if (!from && errno == ENOENT) {
		log_notice("MDC5460", "%s: there is none: nothing is known of nodes that are not here",
			   f->path);
		return;
	}
	length = from ? fread(bytes, 1, sizeof(bytes), from) : 0;
	if (from)
		(void)fclose(from);
	if (parse(f, bytes, length, roster))
		return;
	*roster = roster_blank();
	log_warning("MDC5461", "%s: is damaged or cannot be read: it is as if nothing was known of nodes that are not here",
		    f->path);
}

static void is_saved(void *owner, uint64_t version)
{
	struct roster_file *f = owner;

	f->is_going = false;
	f->saved(f->owner, version);
}

static void is_not_saved(void *owner, uint64_t version, int code)
{
	struct roster_file *f = owner;

	log_error("MDC5462", "%s: cannot be %s: %s", f->path, f->is_going ? "removed" : "written",
		  strerror(-code));
	if (!f->is_going && saver_put(f->saver, NULL, 0, version) == 0)
		f->is_going = true;
}

void roster_file_save(struct roster_file *f, const struct roster *roster, uint64_t version)
{
	uint8_t bytes[FILE_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	f->is_going = false;
	wr_bytes(&wr, magic, sizeof(magic));
	roster_write(&wr, roster, &f->nodes);
	if (saver_put(f->saver, bytes, wr.at, version) < 0)
		is_not_saved(f, version, -ENOMEM);
}

struct roster_file *roster_file_open(const char *state_dir, const struct node_table *nodes,
				     struct loop *loop, roster_saved_fn saved, void *owner,
				     struct roster *roster, struct err *err)
{
	static const struct saver_ops ops = { is_saved, is_not_saved };
	struct roster_file *f = calloc(1, sizeof(*f));

	if (!f) {
		err_nomem(err, "the roster");
		return NULL;
	}
	snprintf(f->path, sizeof(f->path), "%s/roster", state_dir);
	f->nodes = *nodes;
	f->saved = saved;
	f->owner = owner;
	read_file(f, roster);
	f->saver = saver_open(f->path, loop, &ops, f, err);
	if (f->saver)
		return f;
	free(f);
	return NULL;
}

void roster_file_close(struct roster_file *f)
{
	if (!f)
		return;
	saver_close(f->saver);
	free(f);
}
