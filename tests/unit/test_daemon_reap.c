/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fact of the kernel that obituaries rest on (design, section 7): when a process that
 * was killed is reaped, and when the locks that it held are free, no libaio write of it
 * is under way any more. Writes are made slow by the throttle of a cgroup; on a host that
 * lets us make none this cannot be seen, and is skipped.
 */
#include "tests/unit/disk_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PIECE = 64 << 10, PIECES = DISK_BYTES / PIECE, BYTES_A_SECOND = 512 << 10, PATTERN = 0xa7 };

struct scene {
	char disk[DISK_RIG_PATH_BYTES];
	int loop, lock;
	char lock_path[DISK_RIG_PATH_BYTES];
	char group[128];
};

/* --- slow writes ---------------------------------------------------------------------------- */

static bool put(const char *folder, const char *file, const char *text)
{
	char path[256];
	int fd;
	bool is_done;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	is_done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return is_done;
}

/* NULL, or why not. */
static const char *make_slow(struct scene *s)
{
	static const char *const roots[] = { "/sys/fs/cgroup/blkio", "/sys/fs/cgroup" };
	static const char *const files[] = { "blkio.throttle.write_bps_device", "io.max" };
	static const char *const lines[] = { "%u:%u %d", "%u:%u wbps=%d" };
	char line[64];
	struct stat st;

	if (stat(s->disk, &st) < 0)
		return "the loop device is not there";
	for (int i = 0; i < 2; i++) {
		snprintf(s->group, sizeof(s->group), "%s/mdcluster-test-%d", roots[i], getpid());
		if (mkdir(s->group, 0755) < 0)
			continue;
		snprintf(line, sizeof(line), i ? lines[1] : lines[0], major(st.st_rdev),
			 minor(st.st_rdev), BYTES_A_SECOND);
		if (put(s->group, files[i], line))
			return NULL;
		rmdir(s->group);
	}
	s->group[0] = '\0';
	return "no cgroup that throttles block devices";
}

/* --- the process that dies ------------------------------------------------------------------- */

static void never(struct disk_req *req, int result)
{
	(void)req;
	(void)result;
}

static void *idle(void *owner)
{
	(void)owner;
	while (pause() < 0)
		;
	return NULL;
}

/* As an engine is: threads, a lock that it shares with its parent, writes under way. */
static void write_and_wait(const struct scene *s, int told)
{
	static struct disk_req reqs[PIECES];
	uint8_t *data = disk_buffer_new(PIECE);
	struct err err = ERR_INIT;
	struct disk *disk;
	pthread_t thread;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (!put(s->group, "cgroup.procs", pid) || pthread_create(&thread, NULL, idle, NULL))
		_exit(1);
	disk = disk_aio_open(s->disk, DISK_SHARED, &err);
	if (!disk || !data)
		_exit(1);
	memset(data, PATTERN, PIECE);
	for (int i = 0; i < PIECES; i++) {
		reqs[i] = (struct disk_req){ .op = DISK_WRITE, .buffer = data,
					     .offset_bytes = (uint64_t)i * PIECE,
					     .length_bytes = PIECE, .done = never };
		if (disk_submit(disk, &reqs[i], &err) < 0)
			_exit(1);
	}
	if (write(told, "x", 1) != 1)
		_exit(1);
	idle(NULL);
}

/* A process of its own lock: the parent gives its copy up. */
static pid_t start_writer(struct scene *s)
{
	int fds[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_and_wait(s, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

/* --- what is on the disk ------------------------------------------------------------------------ */

static int pieces_written(const struct scene *s)
{
	CLEANUP_FREE uint8_t *data = disk_buffer_new(PIECE);
	int fd = open(s->disk, O_RDONLY | O_DIRECT | O_CLOEXEC), count = 0;

	assert_true(fd >= 0);
	for (int i = 0; i < PIECES; i++) {
		assert_int_equal(pread(fd, data, PIECE, (off_t)i * PIECE), PIECE);
		count += data[0] == PATTERN && data[PIECE - 1] == PATTERN;
	}
	close(fd);
	return count;
}

static void skip_unless_slow(struct scene *s)
{
	const char *why = NULL;

	s->loop = disk_rig_loop(512, s->disk);
	if (s->loop < 0)
		why = "no loop devices here";
	if (!why)
		why = make_slow(s);
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

static void end(struct scene *s)
{
	rmdir(s->group);
	close(s->loop);
}

static void who_is_reaped_writes_nothing_any_more(void **state)
{
	struct scene s = { .lock = -1 };
	int before, status;
	pid_t pid;

	(void)state;
	skip_unless_slow(&s);
	pid = start_writer(&s);
	kill(pid, SIGKILL);
	before = pieces_written(&s);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(pieces_written(&s), PIECES);
	end(&s);
	if (before == PIECES) {
		print_message("skipped: the writes were over before: the throttle does nothing\n");
		skip();
	}
}

static void a_lock_is_free_when_its_owner_writes_nothing_any_more(void **state)
{
	struct scene s = { .lock = disk_rig_file(s.lock_path) };
	char path[64];
	int before, status, again;
	pid_t pid;

	(void)state;
	skip_unless_slow(&s);
	assert_int_equal(flock(s.lock, LOCK_EX), 0);
	pid = start_writer(&s);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s.lock);
	again = open(path, O_RDWR | O_CLOEXEC); /* another opener, as the next daemon is */
	assert_true(again >= 0);
	close(s.lock); /* the writer alone has it now */
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1);
	kill(pid, SIGKILL);
	before = pieces_written(&s);
	assert_int_equal(flock(again, LOCK_EX), 0);
	assert_int_equal(pieces_written(&s), PIECES);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(again);
	end(&s);
	if (before == PIECES) {
		print_message("skipped: the writes were over before: the throttle does nothing\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_reaped_writes_nothing_any_more),
		cmocka_unit_test(a_lock_is_free_when_its_owner_writes_nothing_any_more),
	};

	alarm(HANG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
