/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmdcluster against a real server, and against one that behaves badly. */
#include "tests/unit/help.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mdclusterd/control/control.h"
#include "mdclusterd/control/mdcluster.h"
#include "tests/unit/control_rig.h"

static struct mdcluster *connected(const char *where)
{
	struct mdcluster *c = mdcluster_new();

	assert_non_null(c);
	if (mdcluster_connect(c, where) < 0)
		fail_msg("%s", mdcluster_error_text(c));
	return c;
}

static void expect_answer(struct mdcluster *c, const char *method, const char *parameters,
			  const char *wanted)
{
	char *result = NULL;

	if (mdcluster_call(c, method, parameters, &result) < 0)
		fail_msg("%s: %s", method, mdcluster_error_text(c));
	assert_string_equal(result, wanted);
	free(result);
}

static void expect_refused(struct mdcluster *c, int r, int wanted, const char *text,
			   const char *name)
{
	assert_int_equal(r, wanted);
	assert_non_null(strstr(mdcluster_error_text(c), text));
	assert_string_equal(mdcluster_error_name(c), name);
}

static void a_call_returns_the_answer(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig)), *other;

	(void)state;
	expect_answer(c, "test.Echo", "{\"n\": 1}", "{\"n\":1}");
	expect_answer(c, "test.Echo", NULL, "{}");
	assert_int_equal(mdcluster_call(c, "test.Echo", NULL, NULL), 0);
	/* by the socket's path, and by the environment */
	other = connected(control_rig_path(rig));
	expect_answer(other, "test.Echo", "{\"n\":2}", "{\"n\":2}");
	mdcluster_free(other);
	setenv("MDCLUSTER_RUN_DIR", control_rig_dir(rig), 1);
	other = connected(NULL);
	expect_answer(other, "test.Echo", "{\"n\":3}", "{\"n\":3}");
	mdcluster_free(other);
	unsetenv("MDCLUSTER_RUN_DIR");
	mdcluster_free(c);
	mdcluster_free(NULL);
	control_rig_free(rig);
}

static void a_large_answer_comes_whole(void **state)
{
	enum { BYTES = CONTROL_CALL_BYTES - 100 };
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));
	char *text = malloc(BYTES + 16);

	(void)state;
	memset(text, 'x', BYTES + 16);
	memcpy(text, "{\"t\":\"", 6);
	strcpy(text + BYTES, "\"}");
	for (int i = 0; i < 3; i++)
		expect_answer(c, "test.Echo", text, text);
	free(text);
	mdcluster_free(c);
	control_rig_free(rig);
}

/* It is an answer, though its errno is the one by which a program waits for one. */
static void a_refusal_for_now_is_no_wait(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));

	(void)state;
	mdcluster_set_timeout(c, 2000);
	expect_refused(c, mdcluster_call(c, "test.Fail",
					 "{\"text\":\"web: not active\",\"errno\":11}", NULL),
		       -EBUSY, "web: not active", "org.mdcluster.Refused");
	expect_answer(c, "test.Echo", NULL, "{}");
	mdcluster_free(c);
	control_rig_free(rig);
}

static void what_a_daemon_refuses_is_text_and_errno(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));

	(void)state;
	expect_refused(c, mdcluster_call(c, "test.Fail", "{\"text\":\"web: busy\",\"errno\":16}",
					 NULL), -EBUSY, "web: busy", "org.mdcluster.Refused");
	/* which would mean that there is no answer yet */
	expect_refused(c, mdcluster_call(c, "test.Fail", "{\"text\":\"not now\",\"errno\":11}",
					 NULL), -EBUSY, "not now", "org.mdcluster.Refused");
	expect_refused(c, mdcluster_call(c, "test.Fail", NULL, NULL), -EINVAL, "'text'",
		       "org.varlink.service.InvalidParameter");
	expect_refused(c, mdcluster_call(c, "test.Nothing", NULL, NULL), -EOPNOTSUPP,
		       "test.Nothing", "org.varlink.service.MethodNotFound");
	/* ours */
	expect_refused(c, mdcluster_call(c, "test.Echo", "[]", NULL), -EINVAL, "JSON object", "");
	expect_refused(c, mdcluster_call(c, "test.Echo", "{", NULL), -EINVAL, "JSON object", "");
	/* and the connection is as good as before */
	expect_answer(c, "test.Echo", NULL, "{}");
	mdcluster_free(c);
	control_rig_free(rig);
}

static void where_no_daemon_is_that_is_said(void **state)
{
	struct mdcluster *c = mdcluster_new();
	char dir[] = "/tmp/mdcluster-test.XXXXXX", path[64];

	(void)state;
	expect_refused(c, mdcluster_call(c, "test.Echo", NULL, NULL), -ENOTCONN,
		       "no connection", "");
	assert_non_null(mkdtemp(dir));
	expect_refused(c, mdcluster_connect(c, dir), -ENOENT, dir, "");
	assert_non_null(strstr(mdcluster_error_text(c), CONTROL_SOCKET));
	expect_refused(c, mdcluster_connect(c, "/nowhere/at/all"), -ENOENT,
		       "/nowhere/at/all/control.sock", "");
	/* left by one that was killed */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, dir);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	expect_refused(c, mdcluster_connect(c, dir), -ECONNREFUSED, "no mdclusterd", "");
	unlink(path);
	rmdir(dir);
	mdcluster_free(c);
}

/* --- streams ---------------------------------------------------------------------------- */

struct heard {
	int count, stop_at;
};

static int hear(void *owner, const char *answer)
{
	struct heard *heard = owner;
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "{\"n\":%d}", heard->count);
	assert_string_equal(answer, wanted);
	return ++heard->count == heard->stop_at ? -4711 : 0;
}

static void a_stream_comes_one_by_one_and_ends_with_the_result(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));
	struct heard heard = { 0 };
	char *result = NULL;

	(void)state;
	assert_int_equal(mdcluster_call_more(c, "test.Stream", "{\"count\":100}", hear, &heard,
					     &result), 0);
	assert_int_equal(heard.count, 100);
	assert_string_equal(result, "{}");
	free(result);
	assert_int_equal(mdcluster_call_more(c, "test.Stream", "{\"count\":3}", NULL, NULL,
					     NULL), 0);
	mdcluster_free(c);
	control_rig_free(rig);
}

static void who_has_heard_enough_is_gone_for_the_daemon(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));
	struct heard heard = { .stop_at = 2 };

	(void)state;
	assert_int_equal(mdcluster_call_more(c, "test.Stream", "{\"count\":5}", hear, &heard,
					     NULL), -4711);
	assert_int_equal(heard.count, 2);
	assert_int_equal(mdcluster_fd(c), -1);
	/* what follows is not the rest of that */
	expect_answer(c, "test.Echo", "{\"n\":9}", "{\"n\":9}");
	mdcluster_free(c);
	control_rig_free(rig);
}

/* --- waiting ---------------------------------------------------------------------------- */

static void *cancel_when_held(void *owner)
{
	struct mdcluster **both = owner; /* who waits, who looks */
	char *result = NULL;

	do {
		free(result);
		result = NULL;
		if (mdcluster_call(both[1], "test.Held", NULL, &result) < 0)
			abort();
	} while (strcmp(result, "{\"held\":1,\"gone\":0}") != 0);
	free(result);
	mdcluster_cancel(both[0]);
	return NULL;
}

static void a_wait_is_cancelled_from_another_thread(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *both[2] = { connected(control_rig_dir(rig)),
				      connected(control_rig_dir(rig)) };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_held, both), 0);
	expect_refused(both[0], mdcluster_call(both[0], "test.Hold", NULL, NULL), -ECANCELED,
		       "cancelled", "");
	pthread_join(thread, NULL);
	/* once */
	expect_answer(both[0], "test.Echo", NULL, "{}");
	/* who waits next */
	mdcluster_cancel(both[0]);
	mdcluster_cancel(both[0]);
	expect_refused(both[0], mdcluster_call(both[0], "test.Hold", NULL, NULL), -ECANCELED,
		       "cancelled", "");
	expect_answer(both[0], "test.Echo", NULL, "{}");
	mdcluster_free(both[0]);
	mdcluster_free(both[1]);
	control_rig_free(rig);
}

static void a_wait_has_a_deadline(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));

	(void)state;
	mdcluster_set_timeout(c, 1);
	expect_refused(c, mdcluster_call(c, "test.Hold", NULL, NULL), -ETIMEDOUT,
		       "does not answer", "");
	mdcluster_set_timeout(c, -1);
	expect_answer(c, "test.Echo", NULL, "{}");
	mdcluster_free(c);
	control_rig_free(rig);
}

static void who_does_not_want_to_wait_polls(void **state)
{
	struct control_rig *rig = control_rig_new(NULL);
	struct mdcluster *c = connected(control_rig_dir(rig));
	struct mdcluster *other = connected(control_rig_dir(rig));
	char *result = NULL;
	struct pollfd fd;
	int r;

	(void)state;
	expect_refused(c, mdcluster_next(c, &result), -EINVAL, "no call", "");
	assert_int_equal(mdcluster_begin(c, "test.Hold", NULL, 0), 0);
	assert_int_equal(mdcluster_next(c, &result), -EAGAIN);
	expect_refused(c, mdcluster_begin(c, "test.Echo", NULL, 0), -EBUSY, "under way", "");
	assert_int_equal(mdcluster_poll_events(c), POLLIN);
	while (mdcluster_call(other, "test.Held", NULL, &result) == 0 &&
	       strcmp(result, "{\"held\":1,\"gone\":0}") != 0)
		free(result);
	free(result);
	assert_int_equal(mdcluster_call(other, "test.Release", NULL, NULL), 0);
	fd = (struct pollfd){ .fd = mdcluster_fd(c), .events = mdcluster_poll_events(c) };
	assert_int_equal(poll(&fd, 1, -1), 1);
	assert_int_equal(mdcluster_next(c, &result), 0);
	assert_string_equal(result, "{\"free\":true}");
	free(result);

	assert_int_equal(mdcluster_begin(c, "test.Stream", "{\"count\":2}", 1), 0);
	for (int seen = 0; seen < 3;) {
		r = mdcluster_next(c, &result);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, seen < 2);
		free(result);
		seen++;
	}
	mdcluster_free(other);
	mdcluster_free(c);
	control_rig_free(rig);
}

/* --- daemons that go, or talk nonsense --------------------------------------------------- */

struct liar {
	char dir[32], path[64];
	int fd;
	const char *says; /* behind the first call */
	size_t length;
	int times;
	bool is_first;    /* says it before it is asked */
	pthread_t thread;
};

static void *lie(void *owner)
{
	struct liar *liar = owner;

	for (int i = 0; i < liar->times; i++) {
		int peer = accept(liar->fd, NULL, NULL);
		char *call = liar->is_first ? NULL : raw_receive(peer);

		free(call);
		if (send(peer, liar->says, liar->length, MSG_NOSIGNAL) < 0)
			abort();
		close(peer);
	}
	return NULL;
}

static struct mdcluster *meet(struct liar *liar, const char *says, size_t length, int times)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(liar->dir, "/tmp/mdcluster-test.XXXXXX");
	assert_non_null(mkdtemp(liar->dir));
	snprintf(liar->path, sizeof(liar->path), "%s/" CONTROL_SOCKET, liar->dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", liar->path);
	liar->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(liar->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(liar->fd, 4), 0);
	liar->says = says;
	liar->length = length;
	liar->times = times;
	assert_int_equal(pthread_create(&liar->thread, NULL, lie, liar), 0);
	return connected(liar->dir);
}

static void part(struct liar *liar, struct mdcluster *c)
{
	pthread_join(liar->thread, NULL);
	close(liar->fd);
	unlink(liar->path);
	rmdir(liar->dir);
	mdcluster_free(c);
}

static void expect_after(const char *says, size_t length, int wanted)
{
	struct liar liar = { 0 };
	struct mdcluster *c = meet(&liar, says, length, 1);

	assert_int_equal(mdcluster_call(c, "test.Echo", NULL, NULL), wanted);
	assert_string_not_equal(mdcluster_error_text(c), "");
	assert_int_equal(mdcluster_fd(c), -1);
	part(&liar, c);
}

static void what_is_no_answer_ends_the_connection(void **state)
{
	static const char half[] = "{\"parameters\":{";
	static const char more[] = "{\"parameters\":{},\"continues\":true}";

	(void)state;
	expect_after("", 0, -ECONNRESET);
	expect_after(half, sizeof(half) - 1, -ECONNRESET);
	expect_after("", 1, -EBADMSG);
	expect_after(half, sizeof(half), -EBADMSG);
	expect_after("[]", 3, -EBADMSG);
	expect_after("{\"parameters\":[]}", 18, -EBADMSG);
	expect_after(more, sizeof(more), -EBADMSG); /* nobody asked for more */
}

static void an_error_of_any_kind_is_told(void **state)
{
	static const char unknown[] = "{\"error\":\"com.example.\\u001b[31mNo\"}";
	static const char bare[] = "{\"error\":\"org.mdcluster.Refused\"}";
	struct liar liar = { 0 };
	struct mdcluster *c = meet(&liar, unknown, sizeof(unknown), 1);

	(void)state;
	expect_refused(c, mdcluster_call(c, "test.Echo", NULL, NULL), -EREMOTEIO, "com.example.",
		       "com.example.?[31mNo");
	assert_null(strchr(mdcluster_error_text(c), '\033'));
	part(&liar, c);
	c = meet(&liar, bare, sizeof(bare), 1);
	expect_refused(c, mdcluster_call(c, "test.Echo", NULL, NULL), -EREMOTEIO, "?",
		       "org.mdcluster.Refused");
	part(&liar, c);
}

static void who_is_turned_away_hears_why(void **state)
{
	static const char refusal[] = "{\"error\":\"org.mdcluster.Refused\",\"parameters\":"
				      "{\"text\":\"128 connections are there already\","
				      "\"errno\":\"EUSERS\"}}";
	struct liar liar = { .is_first = true };
	struct mdcluster *c = meet(&liar, refusal, sizeof(refusal), 1);

	(void)state;
	pthread_join(liar.thread, NULL); /* it has closed: the call cannot be sent */
	expect_refused(c, mdcluster_call(c, "test.Echo", NULL, NULL), -EUSERS,
		       "128 connections", "org.mdcluster.Refused");
	close(liar.fd);
	unlink(liar.path);
	rmdir(liar.dir);
	mdcluster_free(c);
}

static void a_daemon_that_was_restarted_is_found_again(void **state)
{
	static const char fine[] = "{\"parameters\":{\"n\":1}}";
	struct liar liar = { 0 };
	struct mdcluster *c = meet(&liar, fine, sizeof(fine), 2);

	(void)state;
	expect_answer(c, "test.Echo", NULL, "{\"n\":1}");
	/* it has closed since: that is noticed by the call, and the next one is fine */
	expect_refused(c, mdcluster_call(c, "test.Echo", NULL, NULL), -ECONNRESET, "has gone", "");
	expect_answer(c, "test.Echo", NULL, "{\"n\":1}");
	part(&liar, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_returns_the_answer),
		cmocka_unit_test(a_large_answer_comes_whole),
		cmocka_unit_test(a_refusal_for_now_is_no_wait),
		cmocka_unit_test(what_a_daemon_refuses_is_text_and_errno),
		cmocka_unit_test(where_no_daemon_is_that_is_said),
		cmocka_unit_test(a_stream_comes_one_by_one_and_ends_with_the_result),
		cmocka_unit_test(who_has_heard_enough_is_gone_for_the_daemon),
		cmocka_unit_test(a_wait_is_cancelled_from_another_thread),
		cmocka_unit_test(a_wait_has_a_deadline),
		cmocka_unit_test(who_does_not_want_to_wait_polls),
		cmocka_unit_test(what_is_no_answer_ends_the_connection),
		cmocka_unit_test(an_error_of_any_kind_is_told),
		cmocka_unit_test(who_is_turned_away_hears_why),
		cmocka_unit_test(a_daemon_that_was_restarted_is_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
