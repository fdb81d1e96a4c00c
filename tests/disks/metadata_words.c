/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a node does to superblocks and slots of an array, by words, for tests that look at the disks
 * afterwards with other eyes: metadata-words DISK... -- WORD [ARGUMENT]...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "mdclusterd/array/metadata.h"

static const struct word {
	const char *name;
	enum metadata_op op;
	const char *takes; /* p: path, r: role, n: number, o: position; b, s: by bitmap, all slots */
} words[] = {
	{ "activate", METADATA_ACTIVATE, "" },
	{ "reload", METADATA_RELOAD, "" },
	{ "fail", METADATA_FAIL, "r" },
	{ "prepare", METADATA_PREPARE, "p" },
	{ "re-add", METADATA_PREPARE, "pb" },
	{ "unprepare", METADATA_UNPREPARE, "n" },
	{ "add", METADATA_ADD, "n" },
	{ "rebuild", METADATA_REBUILD, "rn" },
	{ "return", METADATA_REBUILD, "nb" },
	{ "progress", METADATA_PROGRESS, "ro" },
	{ "in-sync", METADATA_IN_SYNC, "rs" },
	{ "remove", METADATA_REMOVE, "n" },
	{ "forget", METADATA_FORGET, "n" },
};

static struct disk *open_disk(void *owner, const char *path, struct err *err)
{
	(void)owner;
	return disk_aio_open(path, DISK_SHARED, err);
}

static size_t find_disks(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	(void)owner, (void)set_uuid, (void)paths, (void)room;
	return 0;
}

static int claim_disk(void *owner, struct disk *disk, bool is_member, bool is_forced,
		      struct err *err)
{
	(void)owner, (void)disk, (void)is_member, (void)is_forced, (void)err;
	return 0;
}

static void random_bytes(void *owner, void *to, size_t bytes)
{
	uuid_t uuid;

	(void)owner;
	uuid_generate_random(uuid);
	memcpy(to, uuid, min_u64(bytes, sizeof(uuid)));
}

static const struct metadata_ops ops = {
	.open = open_disk, .find = find_disks, .claim = claim_disk, .random = random_bytes,
};

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	fprintf(stderr, "metadata-words: %s: no such word\n", name);
	exit(2);
}

static char **take(struct metadata_request *req, const char *takes, char **args)
{
	for (; *takes; takes++) {
		if (*takes == 'b')
			req->is_re_add = true;
		if (*takes == 's')
			req->slots = UINT64_MAX;
		if (*takes == 'b' || *takes == 's')
			continue;
		if (!*args) {
			fprintf(stderr, "metadata-words: something lacks at the end\n");
			exit(2);
		}
		if (*takes == 'p')
			req->path = *args;
		else if (*takes == 'r')
			req->role = (uint32_t)strtoul(*args, NULL, 10);
		else if (*takes == 'n')
			req->number = (uint32_t)strtoul(*args, NULL, 10);
		else
			req->position = strtoull(*args, NULL, 10);
		args++;
	}
	return args;
}

static int run(struct metadata *md, const char *name, struct metadata_request *req)
{
	static struct metadata_view view;
	int r;

	req->view = &view;
	r = metadata_run(md, req);
	if (r < 0)
		fprintf(stderr, "metadata-words: %s: %s\n", name, req->err.text);
	else if (req->op == METADATA_PREPARE)
		printf("%u%s\n", req->number, req->is_re_add ? " again" : "");
	return r;
}

int main(int argc, char **argv)
{
	struct metadata_request assemble = { .op = METADATA_ASSEMBLE, .may_start_degraded = true };
	struct metadata *md = metadata_new(&ops, NULL);
	char **args = argv + 1;
	int r;

	(void)argc;
	while (*args && strcmp(*args, "--") != 0)
		args++;
	assemble.paths = (const char *const *)(argv + 1);
	assemble.path_count = (size_t)(args - argv - 1);
	if (*args)
		args++;
	r = md ? run(md, "assemble", &assemble) : -1;
	while (r == 0 && *args) {
		const struct word *w = find_word(*args);
		struct metadata_request req = { .op = w->op };

		args = take(&req, w->takes, args + 1);
		r = run(md, w->name, &req);
	}
	metadata_free(md);
	return r == 0 ? 0 : 1;
}
