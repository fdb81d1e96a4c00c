/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/metadata_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <uuid/uuid.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/host.h"
#include "bitmap/discover.h"
#include "bitmap/disk.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/daemon/cluster.h"
#include "mdclusterd/daemon/disk_probe.h"
#include "mdclusterd/daemon/disk_search.h"
#include "mdclusterd/daemon/finder.h"
#include "mdclusterd/daemon/mailbox.h"

/* Another node waits for the answer meanwhile. */
enum { SEARCH_MS = 3500 };

/* A request on its way: first in todo, then as a letter. */
struct job {
	struct letter letter;
	struct metadata_thread *thread;
	struct metadata_request *req;
	int result;
};

struct metadata_thread {
	struct metadata_runner runner;
	struct metadata *metadata; /* the thread's while it runs */
	const struct lease *lease;
	char **patterns;           /* owned */
	size_t pattern_count;
	char host[HOST_NAME_BYTES]; /* the thread's */
	size_t asked;              /* and not answered; the asker's */
	struct mailbox *answers;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex;     /* of the rest */
	pthread_cond_t has_work;
	struct qb_list_head todo;
	bool is_ending;
};

static void answer(struct letter *letter)
{
	struct job *job = container_of(letter, struct job, letter);
	struct metadata_request *req = job->req;
	int result = job->result;

	job->thread->asked--;
	free(job);
	req->done(req->owner, req, result);
}

static struct job *next_job(struct metadata_thread *t)
{
	struct job *job = NULL;

	pthread_mutex_lock(&t->mutex);
	while (!t->is_ending && qb_list_empty(&t->todo))
		pthread_cond_wait(&t->has_work, &t->mutex);
	if (!t->is_ending) {
		job = qb_list_first_entry(&t->todo, struct job, letter.link);
		qb_list_del(&job->letter.link);
	}
	pthread_mutex_unlock(&t->mutex);
	return job;
}

static void *work(void *owner)
{
	struct metadata_thread *t = owner;
	struct job *job;

	(void)prctl(PR_SET_NAME, "mdcluster-meta"); /* for top -H */
	while ((job = next_job(t)) != NULL) {
		job->result = metadata_run(t->metadata, job->req);
		mailbox_post(t->answers, &job->letter);
	}
	return NULL;
}

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct metadata_thread *t = container_of(runner, struct metadata_thread, runner);
	struct job *job = letter_alloc(sizeof(*job));

	job->letter.open = answer;
	job->req = req;
	job->thread = t;
	t->asked++;
	pthread_mutex_lock(&t->mutex);
	qb_list_add_tail(&job->letter.link, &t->todo);
	pthread_cond_signal(&t->has_work);
	pthread_mutex_unlock(&t->mutex);
}

bool metadata_thread_is_idle(const struct metadata_thread *t)
{
	return t->asked == 0;
}

static bool has_lease(void *owner)
{
	const struct metadata_thread *t = owner;

	return clock_boot_ns() < atomic_load(&t->lease->until_ns);
}

/* One that hangs is nobody's yet, and shall hold up nobody. */
static struct disk *open_shared(void *owner, const char *path, struct err *err)
{
	struct disk *disk = NULL;

	if (disk_probe(path, disk_probe_read, SEARCH_MS, err) == 0)
		disk = disk_aio_open(path, DISK_SHARED, err);

	if (disk)
		disk_guard(disk, has_lease, owner);
	return disk;
}

static size_t find(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	const struct metadata_thread *t = owner;

	return disk_search(t->patterns, t->pattern_count, set_uuid, SEARCH_MS, paths, room);
}

/* As `mdcluster create` looks at it; a member of the array may have been one. */
static int claim(void *owner, struct disk *disk, bool is_member, bool is_forced, struct err *err)
{
	struct md_signature found[MD_MAX_SIGNATURES];
	int count = md_discover_contents(disk->name, found, err);

	(void)owner;
	for (int i = 0; i < count && !is_forced; i++)
		if (!is_member || strcmp(found[i].what, "linux_raid_member") != 0)
			return err_set(err, -EBUSY,
				       "%s: already holds: %s%s%s%s; nothing was written (--force overwrites it)",
				       disk->name, found[i].what, found[i].label[0] ? " '" : "",
				       found[i].label, found[i].label[0] ? "'" : "");
	return count < 0 ? count : md_discover_erase(disk, found, count, 0, 0, err);
}

static void random_bytes(void *owner, void *to, size_t bytes)
{
	uuid_t uuid;

	(void)owner;
	for (size_t at = 0; at < bytes; at += sizeof(uuid)) {
		uuid_generate_random(uuid);
		memcpy((uint8_t *)to + at, uuid, min_u64(sizeof(uuid), bytes - at));
	}
}

static int host(void *owner, const char **host, struct err *err)
{
	struct metadata_thread *t = owner;

	*host = t->host;
	return host_name(t->host, err);
}

static const struct metadata_ops metadata_ops = {
	.open = open_shared, .find = find, .claim = claim, .random = random_bytes, .host = host,
};

static bool copy_patterns(struct metadata_thread *t, char *const *patterns, size_t count)
{
	t->patterns = calloc(count + 1, sizeof(*t->patterns));
	while (t->patterns && t->pattern_count < count) {
		t->patterns[t->pattern_count] = strdup(patterns[t->pattern_count]);
		if (!t->patterns[t->pattern_count])
			return false;
		t->pattern_count++;
	}
	return t->patterns != NULL;
}

struct metadata_thread *metadata_thread_new(struct loop *loop, const struct lease *lease,
					    char *const *patterns, size_t count,
					    struct err *err)
{
	struct metadata_thread *t = calloc(1, sizeof(*t));
	int r;

	if (!t) {
		err_nomem(err, "a thread for metadata");
		return NULL;
	}
	t->runner.submit = submit;
	t->lease = lease;
	qb_list_init(&t->todo);
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->has_work, NULL);
	t->answers = mailbox_new(loop, err);
	if (copy_patterns(t, patterns, count))
		t->metadata = metadata_new(&metadata_ops, t);
	if (t->answers && !t->metadata)
		err_nomem(err, "an array's metadata");
	r = t->answers && t->metadata ? pthread_create(&t->thread, NULL, work, t) : 0;
	t->has_thread = t->answers && t->metadata && r == 0;
	if (t->has_thread)
		return t;
	if (r != 0)
		err_set(err, -r, "a thread for metadata: %s", strerror(r));
	metadata_thread_free(t);
	return NULL;
}

void metadata_thread_free(struct metadata_thread *t)
{
	if (!t)
		return;
	if (t->has_thread) {
		pthread_mutex_lock(&t->mutex);
		t->is_ending = true;
		pthread_cond_signal(&t->has_work);
		pthread_mutex_unlock(&t->mutex);
		pthread_join(t->thread, NULL);
	}
	while (!qb_list_empty(&t->todo)) {
		struct job *job = qb_list_first_entry(&t->todo, struct job, letter.link);

		qb_list_del(&job->letter.link);
		free(job);
	}
	metadata_free(t->metadata);
	finder_free_paths(t->patterns, t->pattern_count);
	mailbox_free(t->answers);
	pthread_cond_destroy(&t->has_work);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

struct metadata_runner *metadata_thread_runner(struct metadata_thread *t)
{
	return &t->runner;
}
