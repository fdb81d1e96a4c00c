/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon for tests of the commands: the control socket, with answers from files.
 *
 *	fake-daemon RUN-DIR ANSWERS-DIR [GROUP]
 *
 * A call of org.mdcluster.X is answered as ANSWERS-DIR/X.json says at that time, a list of:
 *
 *	{"continue": {...}}       one of many
 *	{"reply": {...}}          the last
 *	{"refuse": "text", "errno": number}
 *	{"release": "X"}          calls of X that are held get {}, behind this one
 *	{"hold": true}            no answer, until that
 *
 * Each call is a line in ANSWERS-DIR/calls: ["X", parameters], and "X gone" if its client
 * was not there for the answer. Ends by SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/control/control.h"

enum { MAX_HELD = 64 };

struct fake {
	struct loop *loop;
	const char *answers;
	struct { struct control_call *call; const char *name; } held[MAX_HELD];
	size_t held_count;
};

static void note(const struct fake *fake, const char *name, const json_t *parameters)
{
	char path[512];
	FILE *to;

	snprintf(path, sizeof(path), "%s/calls", fake->answers);
	to = fopen(path, "a");
	if (!to)
		return;
	if (parameters) {
		fprintf(to, "[\"%s\",", name);
		json_dumpf(parameters, to, JSON_COMPACT | JSON_SORT_KEYS);
		fprintf(to, "]\n");
	} else {
		fprintf(to, "%s gone\n", name);
	}
	fclose(to);
}

static void release(struct fake *fake, const char *name)
{
	for (size_t i = fake->held_count; i-- > 0;)
		if (strcmp(fake->held[i].name, name) == 0) {
			control_reply(fake->held[i].call, NULL);
			fake->held[i] = fake->held[--fake->held_count];
		}
}

static void refuse(struct control_call *call, const json_t *item)
{
	struct err err = ERR_INIT;

	err_set(&err, -(int)json_integer_value(json_object_get(item, "errno")), "%s",
		json_string_value(json_object_get(item, "refuse")));
	control_fail(call, &err);
}

/* true: the call is over, or held. */
static bool answer(struct fake *fake, struct control_call *call, const char *name,
		   const json_t *item)
{
	if (json_object_get(item, "continue")) {
		control_continue(call, json_incref(json_object_get(item, "continue")));
		return false;
	}
	if (json_object_get(item, "release")) {
		release(fake, json_string_value(json_object_get(item, "release")));
		return false;
	}
	if (json_object_get(item, "refuse")) {
		refuse(call, item);
	} else if (json_object_get(item, "hold")) {
		fake->held[fake->held_count].call = call;
		fake->held[fake->held_count++].name = name;
	} else {
		control_reply(call, json_incref(json_object_get(item, "reply")));
	}
	return true;
}

static void begin(struct fake *fake, struct control_call *call, const char *name,
		  const json_t *parameters)
{
	struct err err = ERR_INIT;
	char path[512];
	json_t *items, *item;
	size_t i;

	note(fake, name, parameters);
	snprintf(path, sizeof(path), "%s/%s.json", fake->answers, name);
	items = json_load_file(path, 0, NULL);
	json_array_foreach(items, i, item)
		if (answer(fake, call, name, item))
			break;
	if (i == json_array_size(items)) {
		err_set(&err, -38, "no answer to %s", name);
		control_fail(call, &err);
	}
	json_decref(items);
}

static void gone(void *owner, struct control_call *call)
{
	struct fake *fake = owner;

	for (size_t i = fake->held_count; i-- > 0;)
		if (fake->held[i].call == call) {
			note(fake, fake->held[i].name, NULL);
			fake->held[i] = fake->held[--fake->held_count];
		}
}

#define METHOD(name)                                                         \
	static void begin_##name(void *owner, struct control_call *call,     \
				 const json_t *parameters)                   \
	{                                                                    \
		begin(owner, call, #name, parameters);                       \
	}
METHOD(Status) METHOD(Events) METHOD(Ring) METHOD(Locks) METHOD(Detail) METHOD(Record)
METHOD(Assemble) METHOD(Stop) METHOD(Set) METHOD(Check) METHOD(CheckCancel) METHOD(Fail)
METHOD(Add) METHOD(Remove) METHOD(Grow) METHOD(ConfirmDead) METHOD(Reload) METHOD(Quorum) METHOD(QuorumExpected)

#define READ(name) { "org.mdcluster." #name, CONTROL_READ, begin_##name, gone }
#define ADMIN(name) { "org.mdcluster." #name, CONTROL_ADMIN, begin_##name, gone }
static const struct control_method methods[] = {
	READ(Status), READ(Events), READ(Ring), READ(Locks), READ(Detail), READ(Record),
	ADMIN(Assemble), ADMIN(Stop), ADMIN(Set), ADMIN(Check), ADMIN(CheckCancel),
	ADMIN(Fail), ADMIN(Add), ADMIN(Remove), ADMIN(Grow), ADMIN(ConfirmDead), ADMIN(Reload), READ(Quorum), ADMIN(QuorumExpected),
	{ NULL, CONTROL_READ, NULL, NULL },
};

static void stop(void *owner)
{
	loop_stop(((struct fake *)owner)->loop);
}

int main(int argc, char **argv)
{
	struct fake fake = { .answers = argc > 2 ? argv[2] : NULL };
	char path[512];
	struct control_config config = { .path = path, .group = argc > 3 ? argv[3] : NULL };
	struct control_server *server;
	struct err err = ERR_INIT;

	if (argc < 3) {
		fprintf(stderr, "fake-daemon RUN-DIR ANSWERS-DIR [GROUP]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, argv[1]);
	fake.loop = loop_new(&err);
	server = fake.loop ? control_server_new(fake.loop, &config, methods, &fake, &err) : NULL;
	if (!server || loop_signal_add(fake.loop, SIGTERM, stop, &fake, &err) < 0) {
		fprintf(stderr, "fake-daemon: %s\n", err.text);
		return 1;
	}
	loop_run(fake.loop);
	control_server_free(server);
	loop_free(fake.loop);
	return 0;
}
