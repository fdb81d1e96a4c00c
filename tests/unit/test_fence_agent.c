/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fence agents and commands: what they are told, by which way, and what their end means. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/agent.h"
#include "mdclusterd/fence/method.h"

struct scene {
	struct loop *loop;
	char folder[64];
	char program[96], heard[96], secret[96];
	const struct fence_method *method;
	const struct fence_request *req;
	struct fence_job *job;
	bool is_over, is_done;
	char why[512];
};

static void write_file(const char *path, mode_t mode, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;

	assert_non_null(s);
	snprintf(s->folder, sizeof(s->folder), "/tmp/test_fence_agent.XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	assert_int_equal(chmod(s->folder, 0777), 0); /* agents are nobody */
	snprintf(s->program, sizeof(s->program), "%s/agent", s->folder);
	snprintf(s->heard, sizeof(s->heard), "%s/heard", s->folder);
	snprintf(s->secret, sizeof(s->secret), "%s/secret", s->folder);
	s->loop = loop_new(&err);
	assert_non_null(s->loop);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	unlink(s->program);
	unlink(s->heard);
	unlink(s->secret);
	assert_int_equal(rmdir(s->folder), 0);
	loop_free(s->loop);
	free(s);
	return 0;
}

static void done(void *owner, struct fence_job *job, bool is_done, const char *why)
{
	struct scene *s = owner;

	(void)job;
	s->is_over = true;
	s->is_done = is_done;
	snprintf(s->why, sizeof(s->why), "%s", why);
	loop_stop(s->loop);
}

/* An agent that writes down what it hears, and then does as `how` says. */
static void make_agent(struct scene *s, const char *how)
{
	char text[1024];

	snprintf(text, sizeof(text), "#!/bin/sh\n{ echo \"$# words, $(id -un)\"; cat; } >%s\n%s\n",
		 s->heard, how);
	write_file(s->program, 0755, text);
}

static char *heard(struct scene *s)
{
	static char text[1024];
	FILE *f = fopen(s->heard, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	return text;
}

static struct fence_option of_device[] = { { .text = (char[]){ "ip=10.0.0.9" } },
					   { .text = (char[]){ "username=admin" } },
					   { .text = NULL } };
static struct fence_option of_node[] = { { .text = (char[]){ "plug=4" } },
					 { .text = (char[]){ "ip=10.0.0.1" } } };
static struct fence_target targets[] = { { .node = 3, .options = { of_node, 2 } } };

static struct fence_device device_of(struct scene *s, enum fence_type type)
{
	return (struct fence_device){ .name = "ipmi", .type = type, .program = s->program,
				      .user = "nobody", .is_reboot = true,
				      .options = { of_device, 2 }, .targets = targets,
				      .target_count = 1 };
}

/* As in the daemon: from within a callback of the loop. */
static void start(void *owner)
{
	struct scene *s = owner;
	struct err err = ERR_INIT;

	s->job = s->method->start(s->loop, s->req, done, s, &err);
	if (!s->job)
		fail_msg("%s", err.text);
}

static void run(struct scene *s, const struct fence_device *d, enum fence_action action,
		bool is_one_of_many)
{
	const struct fence_method *m = d->type == FENCE_AGENT ? &fence_method_agent
							      : &fence_method_command;
	const struct fence_request req = { .device = d, .action = action, .name = "host3",
					   .node = 3, .incarnation = 77,
					   .is_one_of_many = is_one_of_many };
	struct err err = ERR_INIT;

	s->method = m;
	s->req = &req;
	s->is_over = false;
	assert_non_null(loop_timer_start(s->loop, 1, start, s, &err));
	loop_run(s->loop);
	assert_true(s->is_over);
	m->free(s->job);
}

static const char *who(void)
{
	return geteuid() == 0 ? "nobody" : "";
}

static void an_agent_hears_all_on_its_input_and_nothing_on_its_command_line(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);

	make_agent(s, "exit 0");
	run(s, &d, FENCE_KILL, false);
	assert_true(s->is_done);
	assert_non_null(strstr(heard(s), "0 words"));
	assert_non_null(strstr(heard(s), who()));
	assert_string_equal(strchr(heard(s), '\n') + 1,
			    "action=reboot\nnodename=host3\nplug=4\nip=10.0.0.1\nusername=admin\n");
	run(s, &d, FENCE_KILL, true);
	assert_non_null(strstr(heard(s), "action=off\n")); /* the other supply still feeds it */
	run(s, &d, FENCE_REVIVE, true);
	assert_non_null(strstr(heard(s), "action=on\n"));
	d.is_reboot = false;
	run(s, &d, FENCE_KILL, false);
	assert_non_null(strstr(heard(s), "action=off\n"));
}

static void what_fails_says_why(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);

	make_agent(s, "echo first; echo 'Unable to connect' >&2; exit 1");
	run(s, &d, FENCE_KILL, false);
	assert_false(s->is_done);
	assert_string_equal(s->why, "code 1: Unable to connect");
	make_agent(s, "kill -SEGV $$");
	run(s, &d, FENCE_KILL, false);
	assert_false(s->is_done);
	assert_string_equal(s->why, "signal 11");
}

static void off_is_no_success_but_of_a_test(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);

	make_agent(s, "exit 2");
	run(s, &d, FENCE_KILL, false);
	assert_false(s->is_done);
	run(s, &d, FENCE_TEST, false);
	assert_true(s->is_done);
	assert_string_equal(s->why, "it is off");
	assert_non_null(strstr(heard(s), "action=status\n"));
	make_agent(s, "exit 1");
	run(s, &d, FENCE_TEST, false);
	assert_false(s->is_done);
}

static void a_secret_comes_from_its_file_and_never_from_one_that_all_may_read(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);
	const struct fence_request req = { .device = &d, .action = FENCE_KILL, .name = "host3",
					   .node = 3 };
	struct err err = ERR_INIT;
	char option[128], input[512];
	size_t length;

	snprintf(option, sizeof(option), "password=@%s", s->secret);
	of_device[2].text = option;
	d.options.count = 3;
	write_file(s->secret, 0600, "hush = hush\nmore\n");
	make_agent(s, "exit 0");
	run(s, &d, FENCE_KILL, false);
	assert_non_null(strstr(heard(s), "\npassword=hush = hush\n"));
	assert_null(strstr(heard(s), "more"));
	write_file(s->secret, 0644, "hush\n");
	assert_int_equal(agent_input(&req, input, sizeof(input), &length, &err), -EPERM);
	assert_non_null(strstr(err.text, "everybody"));
	unlink(s->secret);
	assert_int_equal(agent_input(&req, input, sizeof(input), &length, &err), -ENOENT);
	of_device[2].text = NULL;
}

static void one_that_hangs_is_ended_with_its_children(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);
	const struct fence_request req = { .device = &d, .action = FENCE_KILL, .name = "host3",
					   .node = 3 };
	struct err err = ERR_INIT;
	struct fence_job *job;

	make_agent(s, "sleep 1000");
	job = fence_method_agent.start(s->loop, &req, done, s, &err);
	assert_non_null(job);
	fence_method_agent.stop(job);
	loop_run(s->loop);
	assert_false(s->is_done);
	fence_method_agent.free(job);
	job = fence_method_agent.start(s->loop, &req, done, s, &err);
	assert_non_null(job);
	fence_method_agent.free(job); /* nothing is left that would wait */
}

static void what_cannot_be_started_says_so_at_once(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_AGENT);
	const struct fence_request req = { .device = &d, .name = "host3", .node = 3 };
	struct err err = ERR_INIT;

	assert_null(fence_method_agent.start(s->loop, &req, done, s, &err));
	assert_non_null(strstr(err.text, "No such file"));
	make_agent(s, "exit 0");
	snprintf(d.user, sizeof(d.user), "nobody-at-all");
	if (geteuid() == 0) {
		assert_null(fence_method_agent.start(s->loop, &req, done, s, &err));
		assert_non_null(strstr(err.text, "no user 'nobody-at-all'"));
	}
}

static void a_command_is_called_with_name_id_and_incarnation(void **state)
{
	struct scene *s = *state;
	struct fence_device d = device_of(s, FENCE_COMMAND);
	char text[256];

	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$@\" >%s\n", s->heard);
	write_file(s->program, 0755, text);
	run(s, &d, FENCE_KILL, false);
	assert_true(s->is_done);
	assert_string_equal(heard(s), "host3 3 77\n");
	unlink(s->heard);
	run(s, &d, FENCE_TEST, false);
	assert_true(s->is_done);
	assert_int_equal(access(s->heard, F_OK), -1); /* a test kills nobody */
	assert_int_equal(chmod(s->program, 0644), 0);
	run(s, &d, FENCE_TEST, false);
	assert_false(s->is_done);
}

static const char metadata[] =
	"<?xml version=\"1.0\" ?>\n<resource-agent name=\"fence_x\">\n"
	"<parameter name=\"ip\" unique=\"0\" required=\"1\">\n"
	"<parameter unique=\"0\" name=\"plug\">\n"
	"<action name=\"off\" /><action name=\"reboot\" />\n";

static void metadata_tells_options_and_actions(void **state)
{
	(void)state;
	assert_true(agent_metadata_has(metadata, "parameter", "ip", 2));
	assert_true(agent_metadata_has(metadata, "parameter", "plug", 4));
	assert_false(agent_metadata_has(metadata, "parameter", "plu", 3));
	assert_false(agent_metadata_has(metadata, "parameter", "plugs", 5));
	assert_false(agent_metadata_has(metadata, "parameter", "off", 3));
	assert_true(agent_metadata_has(metadata, "action", "off", 3));
	assert_false(agent_metadata_has("<parameter", "parameter", "ip", 2));
}

static void an_agent_is_asked_for_its_metadata(void **state)
{
	struct scene *s = *state;
	struct err err = ERR_INIT;
	char *xml = NULL;

	make_agent(s, "echo '<resource-agent><parameter name=\"ip\">'");
	assert_int_equal(agent_metadata(s->program, "", &xml, &err), 0);
	assert_true(agent_metadata_has(xml, "parameter", "ip", 2));
	assert_non_null(strstr(heard(s), "\naction=metadata\n"));
	free(xml);
	make_agent(s, "echo hello");
	assert_int_equal(agent_metadata(s->program, "", &xml, &err), -EBADMSG);
	err = (struct err)ERR_INIT;
	make_agent(s, "echo no such action; exit 1");
	assert_int_equal(agent_metadata(s->program, "", &xml, &err), -EIO);
	assert_non_null(strstr(err.text, "no such action"));
}

#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(an_agent_hears_all_on_its_input_and_nothing_on_its_command_line),
		STORY(what_fails_says_why),
		STORY(off_is_no_success_but_of_a_test),
		STORY(a_secret_comes_from_its_file_and_never_from_one_that_all_may_read),
		STORY(one_that_hangs_is_ended_with_its_children),
		STORY(what_cannot_be_started_says_so_at_once),
		STORY(a_command_is_called_with_name_id_and_incarnation),
		cmocka_unit_test(metadata_tells_options_and_actions),
		STORY(an_agent_is_asked_for_its_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
