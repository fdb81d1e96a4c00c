/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "mdclusterd/control/client_private.h"

enum { ERRNO_END = 200 }; /* Linux has fewer */

int client_fail(struct mdcluster *c, int code, const char *fmt, ...)
{
	char text[sizeof(c->err.text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->error_name[0] = '\0';
	return err_set(&c->err, code, "%s", text);
}

/* Never -EAGAIN, by which mdcluster_next() says that there is no answer yet: this is one. */
static int by_name(const char *name)
{
	if (name && strcmp(name, "EAGAIN") == 0)
		return -EBUSY;
	for (int e = 1; name && e < ERRNO_END; e++) {
		const char *known = strerrorname_np(e);

		if (known && strcmp(known, name) == 0)
			return -e;
	}
	return -EREMOTEIO;
}

static const char *text_of(const json_t *parameters, const char *name)
{
	const char *text = json_string_value(json_object_get(parameters, name));

	return text ? text : "?";
}

int client_remote_error(struct mdcluster *c, const char *name, const json_t *parameters)
{
	const char *errno_name = json_string_value(json_object_get(parameters, "errno"));

	text_printable(name, strlen(name), c->error_name, sizeof(c->error_name));
	if (strcmp(name, "org.mdcluster.Refused") == 0)
		return err_set(&c->err, by_name(errno_name), "%s", text_of(parameters, "text"));
	if (strcmp(name, "org.varlink.service.PermissionDenied") == 0)
		return err_set(&c->err, -EACCES, "only root may do that");
	if (strcmp(name, "org.varlink.service.InvalidParameter") == 0)
		return err_set(&c->err, -EINVAL, "the daemon does not take '%s' as given",
			       text_of(parameters, "parameter"));
	if (strcmp(name, "org.varlink.service.MethodNotFound") == 0)
		return err_set(&c->err, -EOPNOTSUPP, "the daemon knows no %s; is it older?",
			       text_of(parameters, "method"));
	return err_set(&c->err, -EREMOTEIO, "the daemon refuses: %s", name);
}

const char *mdcluster_error_text(const struct mdcluster *c)
{
	return c->err.text;
}

const char *mdcluster_error_name(const struct mdcluster *c)
{
	return c->error_name;
}
