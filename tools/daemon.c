/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/daemon.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "mdclusterd/control/status.h"

struct mdcluster *daemon_open(const struct cli_args *args, struct err *err)
{
	struct mdcluster *c = mdcluster_new();
	int r;

	if (!c) {
		err_nomem(err, "a connection");
		return NULL;
	}
	r = mdcluster_connect(c, cli_value(args, "run-dir"));
	if (r == -ENOENT || r == -ECONNREFUSED)
		err_set(err, r, "%s" DAEMON_HINT, mdcluster_error_text(c));
	else if (r < 0)
		err_set(err, r, "%s", mdcluster_error_text(c));
	if (r < 0) {
		mdcluster_free(c);
		return NULL;
	}
	return c;
}

static json_t *parse(const char *text, struct err *err)
{
	json_t *json = json_loads(text, 0, NULL);

	if (!json)
		err_nomem(err, "an answer"); /* it was JSON a moment ago */
	return json;
}

struct listener {
	int (*each)(void *owner, const json_t *answer);
	void *owner;
	struct err *err;
};

static int hear(void *owner, const char *answer)
{
	const struct listener *listener = owner;
	json_t *json = parse(answer, listener->err);
	int r = json ? listener->each(listener->owner, json) : -ENOMEM;

	json_decref(json);
	return r;
}

json_t *daemon_follow(struct mdcluster *c, const char *method, json_t *parameters,
		      int (*each)(void *owner, const json_t *answer), void *owner,
		      struct err *err)
{
	struct listener listener = { each, owner, err };
	CLEANUP_FREE char *text = parameters ? json_dumps(parameters, JSON_COMPACT) : NULL;
	CLEANUP_FREE char *answer = NULL;
	int r;

	json_decref(parameters);
	if (each)
		r = mdcluster_call_more(c, method, text, hear, &listener, &answer);
	else
		r = mdcluster_call(c, method, text, &answer);
	if (r == 0)
		return parse(answer, err);
	if (err->code == 0)
		err_set(err, r < 0 ? r : -ECANCELED, "%s", mdcluster_error_text(c));
	return NULL;
}

json_t *daemon_ask(const struct cli_args *args, const char *method, json_t *parameters,
		   struct err *err)
{
	struct mdcluster *c = daemon_open(args, err);
	json_t *answer;

	if (!c) {
		json_decref(parameters);
		return NULL;
	}
	mdcluster_set_timeout(c, DAEMON_TIMEOUT_MS);
	answer = daemon_follow(c, method, parameters, NULL, NULL, err);
	mdcluster_free(c);
	return answer;
}

void daemon_doubt(struct err *err)
{
	if (err->code == -ECONNRESET)
		err_set(err, err->code,
			"%s: whether it is done, or goes on by itself, any node tells (mdcluster status)",
			err->text);
}

int daemon_status(const struct cli_args *args, struct status *s, struct err *err)
{
	json_t *answer = daemon_ask(args, "org.mdcluster.Status", NULL, err);
	int r = err->code;

	if (answer)
		r = status_from_json(json_object_get(answer, "status"), s, err);
	json_decref(answer);
	return r;
}

const char *daemon_array_name(const char *word)
{
	const char *name = word;

	if (strncmp(name, "/dev/", 5) == 0)
		name += 5;
	if (strncmp(name, "md/", 3) == 0)
		return name + 3;
	if (name != word && strncmp(name, "md", 2) == 0 && isdigit((unsigned char)name[2]))
		return name + 2;
	return name;
}
