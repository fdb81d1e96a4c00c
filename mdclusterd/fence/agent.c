/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/process.h"

enum { METADATA_MS = 20000, SECRET_BYTES = 1024 };

/* --- what it is told ---------------------------------------------------------------------- */

const char *agent_action(const struct fence_request *req)
{
	if (req->action == FENCE_TEST)
		return "status";
	if (req->action == FENCE_REVIVE)
		return "on";
	return req->device->is_reboot && !req->is_one_of_many ? "reboot" : "off";
}

struct text {
	char *to;
	size_t room, length;
};

static int put(struct text *t, const char *bytes, size_t length)
{
	if (length > t->room - t->length)
		return -ENOSPC;
	memcpy(t->to + t->length, bytes, length);
	t->length += length;
	return 0;
}

static int put_secret(struct text *t, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	char line[SECRET_BYTES];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = err_set(err, -errno, "%s: %s", path, strerror(errno));
	} else if (st.st_mode & 07) {
		r = err_set(err, -EPERM, "%s: everybody may read or write it: chmod o-rwx", path);
	} else {
		n = read(fd, line, sizeof(line) - 1);
		line[n > 0 ? n : 0] = '\0';
		r = put(t, line, strcspn(line, "\n"));
		explicit_bzero(line, sizeof(line));
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static size_t name_length(const char *option)
{
	return strcspn(option, "=");
}

static bool has_option(const struct fence_options *o, const char *option)
{
	size_t length = name_length(option);

	for (size_t i = 0; o && i < o->count; i++)
		if (name_length(o->all[i].text) == length &&
		    strncmp(o->all[i].text, option, length) == 0)
			return true;
	return false;
}

static int put_option(struct text *t, const char *option, struct err *err)
{
	const char *value = option + name_length(option) + 1;
	int r;

	if (*value != '@')
		r = put(t, option, strlen(option));
	else if ((r = put(t, option, (size_t)(value - option))) == 0)
		r = put_secret(t, value + 1, err);
	return r < 0 ? r : put(t, "\n", 1);
}

static int put_options(struct text *t, const struct fence_options *o,
		       const struct fence_options *before, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->count; i++)
		if (!has_option(before, o->all[i].text))
			r = put_option(t, o->all[i].text, err);
	return r;
}

int agent_input(const struct fence_request *req, char *to, size_t room, size_t *length,
		struct err *err)
{
	const struct fence_target *target = fence_target_of(req->device, req->node);
	const struct fence_options *own = target ? &target->options : NULL;
	struct text t = { to, room, 0 };
	char head[FENCE_NAME_BYTES + 64];
	int r;

	snprintf(head, sizeof(head), "action=%s\nnodename=%.64s\n", agent_action(req), req->name);
	r = put(&t, head, strlen(head));
	if (r == 0 && own)
		r = put_options(&t, own, NULL, err);
	if (r == 0)
		r = put_options(&t, &req->device->options, own, err);
	*length = t.length;
	if (r == -ENOSPC)
		err_set(err, r, "its options are too long");
	return r;
}

/* --- what it knows --------------------------------------------------------------------------- */

bool agent_metadata_has(const char *xml, const char *kind, const char *name, size_t length)
{
	size_t kind_length = strlen(kind);

	while ((xml = strchr(xml, '<')) != NULL) {
		const char *end = xml + strcspn(xml, ">"), *at;

		xml++;
		if (strncmp(xml, kind, kind_length) != 0 || xml[kind_length] != ' ')
			continue;
		at = strstr(xml, " name=\"");
		if (at && at < end && strncmp(at + 7, name, length) == 0 &&
		    at[7 + length] == '"')
			return true;
	}
	return false;
}

struct metadata_call {
	struct loop *loop;
	char *xml;
	struct err *err;
};

static void has_told(void *owner, struct fence_process *p, int code, const char *why,
		     const char *output)
{
	struct metadata_call *m = owner;

	(void)p;
	if (code != 0)
		err_set(m->err, -EIO, "it does not tell its metadata: %s", why);
	else if (!strstr(output, "<resource-agent"))
		err_set(m->err, -EBADMSG, "its metadata is none of a fence agent");
	else if (!(m->xml = strdup(output)))
		err_nomem(m->err, "a fence agent's metadata");
	loop_stop(m->loop);
}

static void takes_too_long(void *owner)
{
	struct metadata_call *m = owner;

	err_set(m->err, -ETIMEDOUT, "it does not tell its metadata within %d s",
		METADATA_MS / 1000);
	loop_stop(m->loop);
}

int agent_metadata(const char *program, const char *user, char **xml, struct err *err)
{
	static const char input[] = "action=metadata\n";
	const char *words[] = { program, NULL };
	const struct fence_process_config c = { program, words, input, sizeof(input) - 1, user };
	struct metadata_call m = { .loop = loop_new(err), .err = err };
	struct loop_timer *limit = NULL;
	struct fence_process *p = NULL;

	if (m.loop)
		p = fence_process_start(m.loop, &c, has_told, &m, err);
	if (p)
		limit = loop_timer_start(m.loop, METADATA_MS, takes_too_long, &m, err);
	if (limit) {
		loop_run(m.loop);
		if (err->code != -ETIMEDOUT)
			loop_timer_cancel(limit);
	}
	fence_process_free(p);
	loop_free(m.loop);
	*xml = m.xml;
	return err->code;
}
