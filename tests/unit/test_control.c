/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket: calls and answers, promises U1..U3. */
#include "tests/unit/help.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "mdclusterd/control/control.h"
#include "tests/unit/control_rig.h"

#define ECHO(n) "{\"method\":\"test.Echo\",\"parameters\":{\"n\":" n "}}"
#define ECHOED(n) "{\"parameters\":{\"n\":" n "}}"
#define CALL(name) "{\"method\":\"" name "\"}"
#define REFUSED(text, name) \
	"{\"error\":\"org.mdcluster.Refused\",\"parameters\":{\"text\":\"" text \
	"\",\"errno\":\"" name "\"}}"

static int connected(struct control_rig *rig)
{
	int fd = raw_connect(control_rig_path(rig));

	assert_true(fd >= 0);
	return fd;
}

static void next_is(int fd, const char *answer)
{
	char *found = raw_receive(fd);

	assert_string_equal(found, answer);
	free(found);
}

/* Asks until it is so: what another connection has done may not be seen yet. */
static void wait_until(int fd, const char *frame, const char *answer)
{
	bool is_so = false;

	while (!is_so) {
		char *found;

		raw_send(fd, frame);
		found = raw_receive(fd);
		is_so = strcmp(found, answer) == 0;
		free(found);
	}
}

static void a_call_is_answered(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);

	(void)state;
	raw_expect(fd, ECHO("1"), ECHOED("1"));
	raw_expect(fd, ECHO("[2,{}]"), ECHOED("[2,{}]"));
	raw_expect(fd, CALL("test.Echo"), "{\"parameters\":{}}");
	raw_expect(fd, "{\"method\":\"test.Echo\",\"parameters\":null}", "{\"parameters\":{}}");
	close(fd);
	control_rig_free(rig);
}

static void calls_of_a_connection_are_answered_in_their_order(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig), other = connected(rig);

	(void)state;
	raw_send(fd, CALL("test.Hold"));
	raw_send(fd, ECHO("1"));
	raw_send(fd, ECHO("2"));
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":1,\"gone\":0}}");
	raw_expect(other, CALL("test.Release"), "{\"parameters\":{}}");
	next_is(fd, "{\"parameters\":{\"free\":true}}");
	next_is(fd, ECHOED("1"));
	next_is(fd, ECHOED("2"));
	close(fd);
	close(other);
	control_rig_free(rig);
}

static void a_call_in_pieces_and_pieces_of_many_calls(void **state)
{
	static const char text[] = ECHO("1") "\0" ECHO("2") "\0" ECHO("3");
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		assert_int_equal(send(fd, text + i, 1, 0), 1);
	next_is(fd, ECHOED("1"));
	next_is(fd, ECHOED("2"));
	next_is(fd, ECHOED("3"));
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	next_is(fd, ECHOED("1"));
	next_is(fd, ECHOED("2"));
	next_is(fd, ECHOED("3"));
	close(fd);
	control_rig_free(rig);
}

static void a_client_that_says_no_more_is_answered(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig), other = connected(rig);

	(void)state;
	raw_send(fd, ECHO("1"));
	raw_send(fd, CALL("test.Hold"));
	shutdown(fd, SHUT_WR);
	next_is(fd, ECHOED("1"));
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":1,\"gone\":0}}");
	raw_expect(other, CALL("test.Release"), "{\"parameters\":{}}");
	next_is(fd, "{\"parameters\":{\"free\":true}}");
	next_is(fd, "");
	close(fd);
	close(other);
	control_rig_free(rig);
}

static void what_wants_more_is_answered_many_times(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);

	(void)state;
	raw_expect(fd, "{\"method\":\"test.Stream\",\"parameters\":{\"count\":2},\"more\":true}",
		   "{\"parameters\":{\"n\":0},\"continues\":true}");
	next_is(fd, "{\"parameters\":{\"n\":1},\"continues\":true}");
	next_is(fd, "{\"parameters\":{}}");
	/* who did not ask for more gets one answer */
	raw_expect(fd, "{\"method\":\"test.Stream\",\"parameters\":{\"count\":2}}",
		   "{\"parameters\":{}}");
	raw_expect(fd, ECHO("1"), ECHOED("1"));
	close(fd);
	control_rig_free(rig);
}

static void a_call_that_wants_no_answer_gets_none(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);

	(void)state;
	raw_send(fd, "{\"method\":\"test.Echo\",\"oneway\":true}");
	raw_send(fd, "{\"method\":\"test.Fail\",\"oneway\":true}");
	raw_expect(fd, ECHO("1"), ECHOED("1"));
	close(fd);
	control_rig_free(rig);
}

static void a_refusal_has_its_sentence_and_its_errno(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);

	(void)state;
	raw_expect(fd, "{\"method\":\"test.Fail\",\"parameters\":{\"text\":\"web: has clients\","
		   "\"errno\":16}}", REFUSED("web: has clients", "EBUSY"));
	raw_expect(fd, "{\"method\":\"test.Fail\",\"parameters\":{\"text\":\"x\","
		   "\"errno\":4711}}", REFUSED("x", "EIO"));
	raw_expect(fd, CALL("test.Fail"),
		   "{\"error\":\"org.varlink.service.InvalidParameter\","
		   "\"parameters\":{\"parameter\":\"text\"}}");
	close(fd);
	control_rig_free(rig);
}

static void what_cannot_be_understood_is_refused_by_name(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);
	static const char *const bad[] = {
		"", "{", "[]", "null", "{}", "{\"method\":7}", "{\"method\":\"a\",\"method\":\"b\"}",
		"{\"method\":\"test.Echo\",\"parameters\":[]}",
		"{\"method\":\"test.Echo\",\"upgrade\":true}",
		"{\"method\":\"test.Echo\"} {\"method\":\"test.Echo\"}",
		"{\"method\":\"\xff\"}", "{\"method\":\"test.Echo\",\"parameters\":{\"\\u0000\":1}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *answer;

		raw_send(fd, bad[i]);
		answer = raw_receive(fd);
		assert_non_null(strstr(answer, "{\"error\":\"org.mdcluster.Refused\""));
		free(answer);
	}
	raw_expect(fd, CALL("test.Nothing"), "{\"error\":\"org.varlink.service.MethodNotFound\","
		   "\"parameters\":{\"method\":\"test.Nothing\"}}");
	raw_expect(fd, ECHO("1"), ECHOED("1"));
	close(fd);
	control_rig_free(rig);
}

static void a_call_of_full_size_is_taken_and_a_longer_one_ends_it(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	char *text = malloc(CONTROL_CALL_BYTES + 2);
	int fd = connected(rig);

	(void)state;
	memset(text, ' ', CONTROL_CALL_BYTES + 1);
	memcpy(text, ECHO("1"), sizeof(ECHO("1")) - 1);
	text[CONTROL_CALL_BYTES] = '\0';
	raw_expect(fd, text, ECHOED("1"));
	text[CONTROL_CALL_BYTES] = ' ';
	text[CONTROL_CALL_BYTES + 1] = '\0';
	raw_expect(fd, text, REFUSED("a call is longer than 65536 bytes", "EMSGSIZE"));
	next_is(fd, "");
	close(fd);
	free(text);
	control_rig_free(rig);
}

/* --- U1 --------------------------------------------------------------------------------- */

static void a_stream_that_is_not_read_loses_and_says_how_much(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig), other = connected(rig);
	json_int_t lost = -1;
	int heard = 0;

	(void)state;
	raw_send(fd, "{\"method\":\"test.Flood\",\"more\":true,"
		 "\"parameters\":{\"count\":1000,\"bytes\":10000}}");
	raw_expect(other, ECHO("1"), ECHOED("1")); /* nobody waits for it */
	while (lost < 0) {
		char *text = raw_receive(fd);
		json_t *frame = json_loads(text, 0, NULL);

		if (json_object_get(frame, "continues"))
			heard++;
		else
			lost = json_integer_value(json_object_get(
				json_object_get(frame, "parameters"), "lost"));
		json_decref(frame);
		free(text);
	}
	assert_int_equal(heard + lost, 1000);
	assert_in_range(heard, 1, CONTROL_STREAM_BYTES / 10000);
	raw_expect(fd, ECHO("2"), ECHOED("2"));
	close(fd);
	close(other);
	control_rig_free(rig);
}

/* 20 MiB that nobody reads, of each: the fourth is not answered, and all others are. */
static void what_waits_for_all_who_do_not_read_is_bounded(void **state)
{
	enum { BYTES = 20 << 20, FIT = CONTROL_WAITING_BYTES / BYTES };
	struct control_rig *rig = control_rig_new(NULL);
	int fds[FIT + 1], other = connected(rig);
	char *call, *answer;

	(void)state;
	assert_true(asprintf(&call, "{\"method\":\"test.Large\",\"parameters\":{\"bytes\":%d}}",
			     BYTES) > 0);
	for (size_t i = 0; i <= FIT; i++) {
		fds[i] = connected(rig);
		raw_send(fds[i], call);
		if (i < FIT) /* its first bytes: it is done */
			assert_int_equal(recv(fds[i], &(char){ 0 }, 1, MSG_PEEK), 1);
	}
	next_is(fds[FIT], "");
	raw_expect(other, ECHO("1"), ECHOED("1"));
	answer = raw_receive(fds[0]);
	assert_int_equal(strlen(answer), BYTES + sizeof("{\"parameters\":{\"text\":\"\"}}") - 1);
	free(answer);
	/* there is room again */
	close(fds[1]);
	wait_until(other, ECHO("2"), ECHOED("2"));
	raw_send(fds[0], call);
	answer = raw_receive(fds[0]);
	assert_string_not_equal(answer, "");
	free(answer);
	free(call);
	for (size_t i = 0; i <= FIT; i++)
		if (i != 1)
			close(fds[i]);
	close(other);
	control_rig_free(rig);
}

static void a_client_that_goes_is_told_to_who_would_answer(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig), other = connected(rig);

	(void)state;
	raw_send(fd, CALL("test.Hold"));
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":1,\"gone\":0}}");
	close(fd);
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":0,\"gone\":1}}");
	/* what it sent behind that is not begun */
	fd = connected(rig);
	raw_send(fd, CALL("test.Hold"));
	raw_send(fd, CALL("test.Hold"));
	close(fd);
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":0,\"gone\":2}}");
	close(other);
	control_rig_free(rig);
}

static void calls_that_are_held_when_the_server_goes_are_told(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig), other = connected(rig);

	(void)state;
	raw_send(fd, CALL("test.Hold"));
	wait_until(other, CALL("test.Held"), "{\"parameters\":{\"held\":1,\"gone\":0}}");
	control_rig_free(rig); /* checks that */
	next_is(fd, "");
	close(fd);
	close(other);
}

static void connections_have_an_end(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fds[CONTROL_MAX_CONNECTIONS + 1];

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < CONTROL_MAX_CONNECTIONS; i++) {
		fds[i] = connected(rig);
		raw_expect(fds[i], ECHO("1"), ECHOED("1"));
	}
	fds[CONTROL_MAX_CONNECTIONS] = connected(rig);
	next_is(fds[CONTROL_MAX_CONNECTIONS],
		REFUSED("128 connections are there already", "EUSERS"));
	next_is(fds[CONTROL_MAX_CONNECTIONS], "");
	raw_expect(fds[0], ECHO("1"), ECHOED("1"));
	close(fds[1]);
	wait_until(fds[0], ECHO("1"), ECHOED("1"));
	close(fds[CONTROL_MAX_CONNECTIONS]);
	fds[1] = connected(rig);
	raw_expect(fds[1], ECHO("1"), ECHOED("1"));
	for (size_t i = 0; i < CONTROL_MAX_CONNECTIONS; i++)
		close(fds[i]);
	control_rig_free(rig);
}

/* --- who may what ----------------------------------------------------------------------- */

enum { NOBODY = 65534 };

/* What `ask` returns in a process of a user who is not root, in these groups; -1: it died. */
static int as_nobody(struct control_rig *rig, gid_t own, gid_t other, int (*ask)(int fd))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = -EPERM;

		if (setgroups(1, &other) == 0 && setgid(own) == 0 && setuid(NOBODY) == 0)
			fd = raw_connect(control_rig_path(rig));
		_exit(fd < 0 ? -fd : ask(fd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum { ANSWERED = 200, DENIED, REFUSED_HERE, SOMETHING_ELSE };

static int answer_to(int fd, const char *frame)
{
	const char *text;

	if (frame)
		raw_send(fd, frame);
	text = raw_receive(fd);
	if (strcmp(text, ECHOED("1")) == 0)
		return ANSWERED;
	if (strcmp(text, "{\"error\":\"org.varlink.service.PermissionDenied\","
			 "\"parameters\":{}}") == 0)
		return DENIED;
	return strstr(text, "only root") ? REFUSED_HERE : SOMETHING_ELSE;
}

static int ask_to_read(int fd)
{
	return answer_to(fd, ECHO("1"));
}

static int ask_to_change(int fd)
{
	return answer_to(fd, CALL("test.Admin"));
}

static int listen_only(int fd)
{
	return answer_to(fd, NULL);
}

static void members_of_the_group_may_look_and_root_may_all(void **state)
{
	const struct group *group = getgrgid(1);
	struct control_rig *rig;
	struct stat st;
	int fd;

	(void)state;
	if (geteuid() != 0 || !group)
		skip();
	rig = control_rig_new(group->gr_name);
	assert_int_equal(stat(control_rig_path(rig), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, 1);
	/* its own group, or one of the others that it has */
	assert_int_equal(as_nobody(rig, 1, NOBODY, ask_to_read), ANSWERED);
	assert_int_equal(as_nobody(rig, NOBODY, 1, ask_to_read), ANSWERED);
	assert_int_equal(as_nobody(rig, NOBODY, 1, ask_to_change), DENIED);
	/* the mode keeps others out; and so does the daemon, should somebody change it */
	assert_int_equal(as_nobody(rig, NOBODY, NOBODY, ask_to_read), EACCES);
	assert_int_equal(chmod(control_rig_path(rig), 0666), 0);
	assert_int_equal(as_nobody(rig, NOBODY, NOBODY, listen_only), REFUSED_HERE);
	fd = connected(rig);
	raw_expect(fd, CALL("test.Admin"), "{\"parameters\":{}}");
	close(fd);
	control_rig_free(rig);
}

static void without_a_group_root_is_alone(void **state)
{
	struct control_rig *rig;

	(void)state;
	if (geteuid() != 0)
		skip();
	rig = control_rig_new("no-such-group");
	assert_int_equal(as_nobody(rig, 1, 1, ask_to_read), EACCES);
	assert_int_equal(chmod(control_rig_path(rig), 0666), 0);
	assert_int_equal(as_nobody(rig, 0, 0, listen_only), REFUSED_HERE);
	control_rig_free(rig);
}

static int another(int fd)
{
	struct sockaddr_un peer;
	socklen_t length = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &length) < 0 ?
		       -errno : raw_connect(peer.sun_path);
}

static int be_there_too_often(int fd)
{
	int answer = ask_to_read(fd);

	for (int i = 1; i < CONTROL_USER_CONNECTIONS && answer == ANSWERED; i++)
		answer = ask_to_read(another(fd));
	if (answer != ANSWERED)
		return answer;
	return strstr(raw_receive(another(fd)), "has 16 connections already") ?
		       ANSWERED : SOMETHING_ELSE;
}

static void a_user_has_so_many_connections(void **state)
{
	const struct group *group = getgrgid(1);
	struct control_rig *rig;

	(void)state;
	if (geteuid() != 0 || !group)
		skip();
	rig = control_rig_new(group->gr_name);
	assert_int_equal(as_nobody(rig, 1, 1, be_there_too_often), ANSWERED);
	control_rig_free(rig);
}

/* --- the service, the socket ------------------------------------------------------------ */

static void varlink_clients_find_what_there_is(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	int fd = connected(rig);
	char *text;

	(void)state;
	raw_send(fd, CALL("org.varlink.service.GetInfo"));
	text = raw_receive(fd);
	assert_non_null(strstr(text, "\"interfaces\":[\"org.mdcluster\",\"org.varlink.service\"]"));
	free(text);
	raw_send(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
		 "\"parameters\":{\"interface\":\"org.mdcluster\"}}");
	text = raw_receive(fd);
	assert_non_null(strstr(text, "method Status() -> (status: object)"));
	free(text);
	raw_expect(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
		   "\"parameters\":{\"interface\":\"com.example\"}}",
		   "{\"error\":\"org.varlink.service.InterfaceNotFound\","
		   "\"parameters\":{\"interface\":\"com.example\"}}");
	raw_expect(fd, CALL("org.varlink.service.GetInterfaceDescription"),
		   "{\"error\":\"org.varlink.service.InvalidParameter\","
		   "\"parameters\":{\"parameter\":\"interface\"}}");
	close(fd);
	control_rig_free(rig);
}

static struct control_server *try_server(const char *path, struct loop *loop, struct err *err)
{
	static const struct control_method none[] = { { NULL, CONTROL_READ, NULL, NULL } };
	const struct control_config config = { .path = path };

	return control_server_new(loop, &config, none, NULL, err);
}

static void a_socket_that_lives_is_not_taken_and_a_dead_one_is(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	struct control_server *s, *other;
	char path[128], moved[128];
	struct stat st;
	int fd;

	(void)state;
	assert_null(try_server(control_rig_path(rig), loop, &err));
	assert_int_equal(err.code, -EADDRINUSE);
	fd = connected(rig);
	raw_expect(fd, ECHO("1"), ECHOED("1"));
	close(fd);

	/* left by a daemon that was killed */
	snprintf(path, sizeof(path), "%s/x", control_rig_dir(rig));
	snprintf(moved, sizeof(moved), "%s/y", control_rig_dir(rig));
	s = try_server(path, loop, &err);
	assert_non_null(s);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600); /* no group: root alone */
	rename(path, moved);
	other = try_server(path, loop, &err);
	assert_non_null(other);
	control_server_free(s);
	assert_int_equal(access(path, F_OK), 0); /* the other one's by now */
	control_server_free(other);
	assert_int_equal(access(path, F_OK), -1);
	s = try_server(moved, loop, &err);
	assert_non_null(s);
	control_server_free(s);
	assert_int_equal(access(moved, F_OK), -1);

	/* what is no socket stays */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_null(try_server(path, loop, &err));
	assert_int_equal(err.code, -EEXIST);
	unlink(path);
	loop_free(loop);
	control_rig_free(rig);
}

static void a_path_of_any_length_is_served(void **state)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	char dir[256] = "/tmp/mdcluster-test.XXXXXX", path[300];
	struct control_server *s;
	size_t at;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = strlen(dir);
	dir[at] = '/';
	memset(dir + at + 1, 'd', 200);
	dir[at + 201] = '\0';
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s", dir, CONTROL_SOCKET);
	s = try_server(path, loop, &err);
	if (!s)
		fail_msg("%s", err.text);
	assert_null(try_server(path, loop, &err));
	assert_int_equal(err.code, -EADDRINUSE);
	control_server_free(s);
	loop_free(loop);
	assert_int_equal(rmdir(dir), 0);
	dir[at] = '\0';
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_answered),
		cmocka_unit_test(calls_of_a_connection_are_answered_in_their_order),
		cmocka_unit_test(a_call_in_pieces_and_pieces_of_many_calls),
		cmocka_unit_test(a_client_that_says_no_more_is_answered),
		cmocka_unit_test(what_wants_more_is_answered_many_times),
		cmocka_unit_test(a_call_that_wants_no_answer_gets_none),
		cmocka_unit_test(a_refusal_has_its_sentence_and_its_errno),
		cmocka_unit_test(what_cannot_be_understood_is_refused_by_name),
		cmocka_unit_test(a_call_of_full_size_is_taken_and_a_longer_one_ends_it),
		cmocka_unit_test(a_stream_that_is_not_read_loses_and_says_how_much),
		cmocka_unit_test(what_waits_for_all_who_do_not_read_is_bounded),
		cmocka_unit_test(a_client_that_goes_is_told_to_who_would_answer),
		cmocka_unit_test(calls_that_are_held_when_the_server_goes_are_told),
		cmocka_unit_test(connections_have_an_end),
		cmocka_unit_test(members_of_the_group_may_look_and_root_may_all),
		cmocka_unit_test(without_a_group_root_is_alone),
		cmocka_unit_test(a_user_has_so_many_connections),
		cmocka_unit_test(varlink_clients_find_what_there_is),
		cmocka_unit_test(a_socket_that_lives_is_not_taken_and_a_dead_one_is),
		cmocka_unit_test(a_path_of_any_length_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
