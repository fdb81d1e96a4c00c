/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server with its sockets: its path, clients that come, hang, and go, and its end. */
#include "tests/unit/help.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/nbd/memory.h"
#include "mdclusterd/nbd/nbd.h"
#include "mdclusterd/nbd/wire.h"
#include "tests/nbd/memory_volume.h"

enum { SIZE = 64 << 20, DEADLINE_MS = 20000 };

struct scene {
	char folder[32], path[48];
	struct loop *loop;
	struct memory_volume volume;
	struct nbd_config config;
	struct nbd_server *server;
	uint32_t clients;        /* as clients_changed() says */
	bool is_closed;
	struct loop_timer *deadline;
	struct loop_timer *tick;
	bool (*until)(struct scene *scene);
};

static void closed(void *owner)
{
	((struct scene *)owner)->is_closed = true;
}

static void clients_changed(void *owner, uint32_t count)
{
	((struct scene *)owner)->clients = count;
}

static const struct nbd_server_ops ops = {
	.closed = closed,
	.clients_changed = clients_changed,
};

static void setup(struct scene *s)
{
	struct err err = ERR_INIT;

	memset(s, 0, sizeof(*s));
	strcpy(s->folder, "/tmp/test_nbd.XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/web.nbd", s->folder);
	s->loop = loop_new(&err);
	assert_non_null(s->loop);
	assert_ok(memory_volume_init(&s->volume, s->loop, SIZE, 512, &err), err);
	s->config = (struct nbd_config){ .socket_path = s->path, .export_name = "web" };
}

static void start(struct scene *s)
{
	struct err err = ERR_INIT;

	s->server = nbd_server_new(s->loop, &s->config, &s->volume.volume, &ops, s, &err);
	if (!s->server)
		fail_msg("%s", err.text);
}

static void teardown(struct scene *s)
{
	nbd_server_free(s->server);
	memory_volume_fini(&s->volume);
	loop_free(s->loop);
	unlink(s->path);
	assert_int_equal(rmdir(s->folder), 0); /* nothing else was left there */
}

/* --- the loop, until something is so ------------------------------------------------------- */

static void too_late(void *owner)
{
	(void)owner;
	fail_msg("what was waited for did not come");
}

static void look(void *owner)
{
	struct scene *s = owner;
	struct err err = ERR_INIT;

	s->tick = NULL;
	if (s->until(s))
		loop_stop(s->loop);
	else
		s->tick = loop_timer_start(s->loop, 1, look, s, &err);
}

static void run_until(struct scene *s, bool (*until)(struct scene *s))
{
	struct err err = ERR_INIT;

	if (until(s))
		return;
	s->until = until;
	s->deadline = loop_timer_start(s->loop, DEADLINE_MS, too_late, s, &err);
	look(s);
	loop_run(s->loop);
	loop_timer_cancel(s->deadline);
}

static bool is_closed(struct scene *s)
{
	return s->is_closed;
}

/* --- clients --------------------------------------------------------------------------------- */

static int dial(struct scene *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_true(fd >= 0);
	strcpy(address.sun_path, s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int heard_fd;
static size_t heard_wanted;
static bool heard_end;

static bool has_heard(struct scene *s)
{
	static uint8_t bytes[1 << 20];
	ssize_t n = recv(heard_fd, bytes, sizeof(bytes), MSG_PEEK);

	(void)s;
	heard_end = n == 0 || (n < 0 && errno == ECONNRESET);
	return heard_end || n >= (ssize_t)heard_wanted;
}

/* The next bytes that the client hears; false: the server hung up before that. */
static bool hear(struct scene *s, int fd, uint8_t *bytes, size_t length)
{
	heard_fd = fd;
	heard_wanted = length;
	run_until(s, has_heard);
	return !heard_end && read(fd, bytes, length) == (ssize_t)length;
}

static void hear_end(struct scene *s, int fd)
{
	uint8_t bytes[4096];

	while (hear(s, fd, bytes, 1))
		;
	close(fd);
}

static void say(int fd, const void *bytes, size_t length)
{
	assert_int_equal(write(fd, bytes, length), length);
}

/* By the old way in: the shortest. */
static int client_new(struct scene *s)
{
	uint8_t bytes[NBD_GREETING_BYTES];
	int fd = dial(s);

	assert_true(hear(s, fd, bytes, NBD_GREETING_BYTES));
	say(fd, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\3web", 23);
	assert_true(hear(s, fd, bytes, 10));
	return fd;
}

static void ask(int fd, uint16_t command, uint64_t cookie, uint64_t offset, uint32_t length)
{
	uint8_t bytes[NBD_REQUEST_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr_be_u32(&wr, 0x25609513);
	wr_be_u16(&wr, 0);
	wr_be_u16(&wr, command);
	wr_be_u64(&wr, cookie);
	wr_be_u64(&wr, offset);
	wr_be_u32(&wr, length);
	say(fd, bytes, sizeof(bytes));
}

static void hear_reply(struct scene *s, int fd, uint64_t cookie, uint32_t error)
{
	uint8_t bytes[NBD_REPLY_BYTES] = { 0 };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	assert_true(hear(s, fd, bytes, sizeof(bytes)));
	assert_int_equal(rd_be_u32(&rd), 0x67446698);
	assert_int_equal(rd_be_u32(&rd), error);
	assert_int_equal(rd_be_u64(&rd), cookie);
}

static void assert_serves(struct scene *s, int fd)
{
	ask(fd, NBD_CMD_FLUSH, 4711, 0, 0);
	hear_reply(s, fd, 4711, 0);
}

/* --- the socket -------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void the_socket_is_its_owners_unless_said_otherwise(void **state)
{
	struct group *group = getgrgid(getgid());
	mode_t mask = umask(0);
	struct scene s;

	(void)state;
	setup(&s);
	start(&s);
	assert_int_equal(mode_of(s.path), 0600);
	nbd_server_free(s.server);
	assert_int_equal(access(s.path, F_OK), -1);

	s.config.socket_mode = 0660;
	s.config.socket_group = group ? group->gr_name : NULL;
	umask(0777);
	start(&s);
	assert_int_equal(mode_of(s.path), 0660);
	umask(mask);
	teardown(&s);
}

static void a_group_that_is_not_there_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct scene s;

	(void)state;
	setup(&s);
	s.config.socket_group = "no-such-group";
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -ENOENT);
	assert_non_null(strstr(err.text, "no-such-group"));
	teardown(&s);
}

static void a_socket_that_is_served_is_not_taken_away(void **state)
{
	struct err err = ERR_INIT;
	struct scene s;
	int fd;

	(void)state;
	setup(&s);
	start(&s);
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -EADDRINUSE);
	fd = client_new(&s);
	assert_serves(&s, fd);
	close(fd);
	teardown(&s);
}

static void a_socket_that_was_left_behind_is_replaced(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct scene s;

	(void)state;
	setup(&s);
	strcpy(address.sun_path, s.path);
	assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);
	start(&s);
	fd = client_new(&s);
	assert_serves(&s, fd);
	close(fd);
	teardown(&s);
}

static void what_is_no_socket_stays(void **state)
{
	struct err err = ERR_INIT;
	struct scene s;
	FILE *file;

	(void)state;
	setup(&s);
	file = fopen(s.path, "w");
	assert_non_null(file);
	fclose(file);
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -EEXIST);
	assert_int_equal(access(s.path, F_OK), 0);
	teardown(&s);
}

/* Another one took our place: it stays. */
static void only_our_own_socket_is_removed(void **state)
{
	struct scene s;
	FILE *file;

	(void)state;
	setup(&s);
	start(&s);
	unlink(s.path);
	file = fopen(s.path, "w");
	assert_non_null(file);
	fclose(file);
	nbd_server_free(s.server);
	s.server = NULL;
	assert_int_equal(access(s.path, F_OK), 0);
	teardown(&s);
}

static void limits_that_make_no_sense_are_refused(void **state)
{
	char name[400];
	struct err err = ERR_INIT;
	struct scene s;

	(void)state;
	setup(&s);
	s.config.max_clients = 200;
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.text, "100 MiB"));
	s.config.max_clients = 0;
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	s.config.export_name = name;
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -EINVAL);
	s.config.export_name = "web";
	s.config.socket_path = name;
	name[120] = '\0';
	assert_null(nbd_server_new(s.loop, &s.config, NULL, &ops, &s, &err));
	assert_int_equal(err.code, -ENAMETOOLONG);
	teardown(&s);
}

/* --- clients ------------------------------------------------------------------------------------- */

static void too_many_clients_are_turned_away_and_room_is_found_again(void **state)
{
	struct nbd_server_look seen;
	struct scene s;
	int first, second;

	(void)state;
	setup(&s);
	s.config.max_clients = 2;
	start(&s);
	first = client_new(&s);
	second = client_new(&s);
	hear_end(&s, dial(&s));
	nbd_server_look(s.server, &seen);
	assert_int_equal(seen.counters.turned_away, 1);
	assert_int_equal(seen.clients, 2);
	close(first);
	assert_serves(&s, second);
	first = client_new(&s);
	assert_serves(&s, first);
	close(first);
	close(second);
	teardown(&s);
}

/* In and out again, so that the server has none. */
static int dial_and_flee(struct scene *s)
{
	int fd = dial(s);

	say(fd, "nonsense", 8);
	return fd;
}

static bool has_no_clients(struct scene *s)
{
	return s->clients == 0;
}

static bool has_two_clients(struct scene *s)
{
	return s->clients == 2;
}

static void clients_are_told_of_when_they_are_through_and_when_they_go(void **state)
{
	struct scene s;
	int first, second, dumb;

	(void)state;
	setup(&s);
	start(&s);
	dumb = dial(&s);
	first = client_new(&s);
	second = client_new(&s);
	run_until(&s, has_two_clients);
	ask(first, NBD_CMD_DISC, 0, 0, 0);
	hear_end(&s, first);
	close(second);
	run_until(&s, has_no_clients);
	close(dumb);
	hear_end(&s, dial_and_flee(&s));
	assert_false(s.is_closed); /* that is of nbd_server_close() alone */
	teardown(&s);
}

static void who_does_not_finish_its_handshake_is_cut(void **state)
{
	struct nbd_server_look seen;
	struct scene s;
	int dumb, good;

	(void)state;
	setup(&s);
	s.config.handshake_ms = 50;
	start(&s);
	good = client_new(&s);
	dumb = dial(&s);
	say(dumb, "\0\0\0\3", 4);
	hear_end(&s, dumb);
	assert_serves(&s, good);
	nbd_server_look(s.server, &seen);
	assert_int_equal(seen.counters.cut, 1);
	close(good);
	teardown(&s);
}

static void each_look(void *owner, const struct nbd_client_look *look)
{
	*(struct nbd_client_look *)owner = *look;
}

static struct nbd_client_look look_of(struct scene *s)
{
	struct nbd_client_look seen = { 0 };

	nbd_server_each_client(s->server, each_look, &seen);
	return seen;
}

static bool is_stalled(struct scene *s)
{
	return look_of(s).waits_for != NULL;
}

/* The socket is full, and so is what is kept for it; the other one does not notice. */
static void who_does_not_read_is_no_ones_trouble(void **state)
{
	struct nbd_client_look seen;
	struct scene s;
	int good, bad;

	(void)state;
	setup(&s);
	start(&s);
	good = client_new(&s);
	bad = client_new(&s);
	for (uint64_t i = 0; i < 20; i++)
		ask(bad, NBD_CMD_READ, i, 0, 32 << 20);
	run_until(&s, is_stalled);
	seen = look_of(&s);
	assert_int_equal(seen.pid, getpid());
	assert_int_equal(seen.uid, getuid());
	assert_true(seen.requests > 0);
	for (int i = 0; i < 100; i++)
		assert_serves(&s, good);
	close(bad);
	assert_serves(&s, good);
	close(good);
	teardown(&s);
}

/* The loop tells when there is room again. */
static void who_reads_late_hears_all(void **state)
{
	static const uint8_t zeroes[16384];
	uint8_t bytes[16384] = { 1 };
	struct scene s;
	int late;

	(void)state;
	setup(&s);
	start(&s);
	late = client_new(&s);
	for (uint64_t i = 0; i < 4; i++)
		ask(late, NBD_CMD_READ, i, 0, 1 << 20);
	run_until(&s, is_stalled);
	for (uint64_t i = 0; i < 4; i++) {
		hear_reply(&s, late, i, 0);
		for (size_t at = 0; at < 1 << 20; at += sizeof(bytes)) {
			assert_true(hear(&s, late, bytes, sizeof(bytes)));
			assert_memory_equal(bytes, zeroes, sizeof(bytes));
		}
	}
	assert_serves(&s, late);
	close(late);
	teardown(&s);
}

static uint32_t in_volume_before;

static bool is_starved(struct scene *s)
{
	const char *why = look_of(s).waits_for;

	return why && strcmp(why, "memory") == 0;
}

static bool has_gone_on(struct scene *s)
{
	return look_of(s).in_volume > in_volume_before;
}

/* Nothing of its own moves: it must be told of what another gave back. */
static void who_waits_for_memory_goes_on_when_another_gives_some_back(void **state)
{
	static uint8_t bytes[8192];
	struct scene s;
	int late, starved;

	(void)state;
	setup(&s);
	s.config.max_clients = 2;
	s.config.memory_bytes = 1 << 20;
	s.volume.park_high = 1 << 20;
	start(&s);
	late = client_new(&s);
	starved = client_new(&s);
	for (uint64_t i = 0; i < 8; i++)
		ask(late, NBD_CMD_READ, i, 32 << 20, 262144);
	assert_serves(&s, starved);
	for (uint64_t i = 0; i < 20; i++)
		ask(starved, NBD_CMD_READ, i, 0, 65536);
	run_until(&s, is_starved);
	in_volume_before = look_of(&s).in_volume;
	for (uint64_t i = 0; i < 8; i++) {
		hear_reply(&s, late, i, 0);
		for (size_t at = 0; at < 262144; at += sizeof(bytes))
			assert_true(hear(&s, late, bytes, sizeof(bytes)));
	}
	run_until(&s, has_gone_on);
	memory_volume_unpark(&s.volume);
	close(starved);
	assert_serves(&s, late);
	close(late);
	teardown(&s);
}

static uint64_t memory_of(struct scene *s)
{
	struct nbd_server_look seen;

	nbd_server_look(s->server, &seen);
	return seen.memory_bytes;
}

static bool is_memory_back(struct scene *s)
{
	return memory_of(s) <= NBD_KEPT_BYTES;
}

/* Of a client that stays, and asks for nothing. */
static void memory_that_nobody_needs_goes_back(void **state)
{
	enum { READS = 16, READ_BYTES = 1 << 20 };
	uint8_t bytes[16384];
	struct scene s;
	int client;

	(void)state;
	setup(&s);
	s.volume.park_high = 1 << 20;
	start(&s);
	client = client_new(&s);
	for (uint64_t i = 0; i < READS; i++)
		ask(client, NBD_CMD_READ, i, 0, READ_BYTES);
	for (uint64_t i = 0; i < 2 * READS; i++)
		ask(client, NBD_CMD_FLUSH, READS + i, 0, 0);
	for (uint64_t i = 0; i < 2 * READS; i++)
		hear_reply(&s, client, READS + i, 0);
	assert_int_equal(memory_of(&s), READS * READ_BYTES);
	memory_volume_unpark(&s.volume);
	for (uint64_t i = 0; i < READS; i++) {
		hear_reply(&s, client, i, 0);
		for (size_t at = 0; at < READ_BYTES; at += sizeof(bytes))
			assert_true(hear(&s, client, bytes, sizeof(bytes)));
	}
	run_until(&s, is_memory_back);
	assert_serves(&s, client);
	close(client);
	teardown(&s);
}

static bool has_one_client(struct scene *s)
{
	struct nbd_server_look seen;

	nbd_server_look(s->server, &seen);
	return seen.clients == 1;
}

static bool is_one_leaving(struct scene *s)
{
	return look_of(s).is_leaving;
}

/* Its ios are still in the volume: it is counted until they are not. */
static void who_vanishes_stays_until_its_ios_are_over(void **state)
{
	struct nbd_client_look seen;
	struct scene s;
	int good, bad;

	(void)state;
	setup(&s);
	s.volume.park_low = 0;
	s.volume.park_high = 65536;
	start(&s);
	good = client_new(&s);
	bad = client_new(&s);
	ask(bad, NBD_CMD_READ, 1, 0, 65536);
	ask(bad, NBD_CMD_READ, 2, 65536, 65536);
	ask(bad, NBD_CMD_WRITE, 2, 1 << 20, 65536);
	say(bad, "half a payload", 14);
	assert_serves(&s, good);
	close(bad);
	assert_serves(&s, good);
	run_until(&s, is_one_leaving);
	seen = look_of(&s);
	assert_true(seen.is_leaving);
	assert_int_equal(seen.in_volume, 1);
	assert_int_equal(seen.memory_bytes, 65536);
	memory_volume_unpark(&s.volume);
	run_until(&s, has_one_client);
	assert_serves(&s, good);
	close(good);
	teardown(&s);
}

/* It is neither read nor written just then; and the loop does not turn on its end for ever. */
static void who_vanishes_while_all_that_it_asked_for_waits_is_noticed(void **state)
{
	struct scene s;
	int good, bad;

	(void)state;
	setup(&s);
	s.config.max_requests = 2;
	s.volume.park_high = 4096;
	start(&s);
	good = client_new(&s);
	bad = client_new(&s);
	for (uint64_t i = 0; i < 3; i++)
		ask(bad, NBD_CMD_READ, i, 0, 512);
	run_until(&s, is_stalled);
	close(bad);
	run_until(&s, is_one_leaving);
	assert_int_equal(look_of(&s).in_volume, 2);
	memory_volume_unpark(&s.volume);
	run_until(&s, has_one_client);
	assert_serves(&s, good);
	close(good);
	teardown(&s);
}

/* --- its end ---------------------------------------------------------------------------------------- */

static void closing_ends_what_is_under_way_and_then_tells(void **state)
{
	static const uint8_t zeroes[512];
	uint8_t bytes[512];
	struct scene s;
	int idle, busy;

	(void)state;
	setup(&s);
	s.volume.park_low = 0;
	s.volume.park_high = 512;
	start(&s);
	idle = client_new(&s);
	busy = client_new(&s);
	ask(busy, NBD_CMD_READ, 1, 0, 512);
	assert_serves(&s, busy);
	nbd_server_close(s.server);
	nbd_server_close(s.server); /* once more is nothing */
	assert_false(s.is_closed);
	assert_int_equal(access(s.path, F_OK), -1);
	hear_end(&s, idle);
	assert_false(s.is_closed);
	memory_volume_unpark(&s.volume);
	hear_reply(&s, busy, 1, 0);
	assert_true(hear(&s, busy, bytes, 512));
	assert_memory_equal(bytes, zeroes, 512);
	hear_end(&s, busy);
	run_until(&s, is_closed);
	teardown(&s);
}

static void closing_without_clients_tells_too_and_not_at_once(void **state)
{
	struct scene s;

	(void)state;
	setup(&s);
	start(&s);
	nbd_server_close(s.server);
	assert_false(s.is_closed);
	run_until(&s, is_closed);
	teardown(&s);
}

static void who_takes_no_replies_does_not_hold_up_closing(void **state)
{
	struct scene s;
	int bad;

	(void)state;
	setup(&s);
	s.config.drain_ms = 50;
	start(&s);
	bad = client_new(&s);
	for (uint64_t i = 0; i < 20; i++)
		ask(bad, NBD_CMD_READ, i, 0, 1 << 20);
	run_until(&s, is_stalled);
	nbd_server_close(s.server);
	run_until(&s, is_closed);
	close(bad);
	teardown(&s);
}

/* The volume must be asked for what it has before its memory may go. */
static void closing_waits_for_the_volume_whatever_the_time(void **state)
{
	struct nbd_server_look seen;
	struct scene s;
	int bad;

	(void)state;
	setup(&s);
	s.config.drain_ms = 20;
	s.volume.park_high = 4096;
	start(&s);
	bad = client_new(&s);
	ask(bad, NBD_CMD_READ, 1, 0, 4096);
	assert_serves(&s, bad);
	nbd_server_close(s.server);
	hear_end(&s, bad);
	assert_false(s.is_closed);
	nbd_server_look(s.server, &seen);
	assert_int_equal(seen.clients, 1);
	memory_volume_unpark(&s.volume);
	run_until(&s, is_closed);
	teardown(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_socket_is_its_owners_unless_said_otherwise),
		cmocka_unit_test(a_group_that_is_not_there_is_refused),
		cmocka_unit_test(a_socket_that_is_served_is_not_taken_away),
		cmocka_unit_test(a_socket_that_was_left_behind_is_replaced),
		cmocka_unit_test(what_is_no_socket_stays),
		cmocka_unit_test(only_our_own_socket_is_removed),
		cmocka_unit_test(limits_that_make_no_sense_are_refused),
		cmocka_unit_test(too_many_clients_are_turned_away_and_room_is_found_again),
		cmocka_unit_test(clients_are_told_of_when_they_are_through_and_when_they_go),
		cmocka_unit_test(who_does_not_finish_its_handshake_is_cut),
		cmocka_unit_test(who_does_not_read_is_no_ones_trouble),
		cmocka_unit_test(who_reads_late_hears_all),
		cmocka_unit_test(who_waits_for_memory_goes_on_when_another_gives_some_back),
		cmocka_unit_test(memory_that_nobody_needs_goes_back),
		cmocka_unit_test(who_vanishes_stays_until_its_ios_are_over),
		cmocka_unit_test(who_vanishes_while_all_that_it_asked_for_waits_is_noticed),
		cmocka_unit_test(closing_ends_what_is_under_way_and_then_tells),
		cmocka_unit_test(closing_without_clients_tells_too_and_not_at_once),
		cmocka_unit_test(who_takes_no_replies_does_not_hold_up_closing),
		cmocka_unit_test(closing_waits_for_the_volume_whatever_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
