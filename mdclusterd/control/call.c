/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A frame becomes a call, a call gets its answers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/control/control_private.h"
#include "mdclusterd/control/json_fields.h"

/* --- answers ---------------------------------------------------------------------------- */

static json_t *error_frame(const char *name, json_t *parameters)
{
	return json_pack("{s:s, s:o}", "error", name, "parameters",
			 parameters ? parameters : json_object());
}

static json_t *refusal(const char *text, int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : EIO);

	return json_pack("{s:o, s:s}", "text", json_from_text(text), "errno",
			 name ? name : "EIO");
}

/* What cannot be said ends the connection: U2. */
static void send_or_end(struct control_connection *c, json_t *frame)
{
	if (control_connection_send(c, frame, SIZE_MAX) < 0) {
		c->is_ending = true;
		loop_soon(c->server->loop, &c->go_on);
	}
	json_decref(frame);
}

void control_refuse(struct control_connection *c, int code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_or_end(c, error_frame("org.mdcluster.Refused", refusal(text, code)));
}

static void end(struct control_call *call, json_t *frame)
{
	struct control_connection *c = call->connection;

	c->call = NULL;
	if (call->is_oneway) {
		json_decref(frame);
		loop_soon(c->server->loop, &c->go_on);
	} else {
		send_or_end(c, frame);
	}
	free(call);
}

void control_error(struct control_call *call, const char *name, json_t *parameters)
{
	end(call, error_frame(name, parameters));
}

void control_reply(struct control_call *call, json_t *parameters)
{
	end(call, json_pack("{s:o}", "parameters", parameters ? parameters : json_object()));
}

bool control_continue(struct control_call *call, json_t *parameters)
{
	json_t *frame = json_pack("{s:o, s:b}", "parameters",
				  parameters ? parameters : json_object(), "continues", 1);
	bool is_sent = call->wants_more &&
		       control_connection_send(call->connection, frame,
					       CONTROL_STREAM_BYTES) == 0;

	json_decref(frame);
	return is_sent;
}

void control_fail(struct control_call *call, const struct err *err)
{
	control_error(call, "org.mdcluster.Refused", refusal(err->text, err->code));
}

void control_fail_parameter(struct control_call *call, const char *name)
{
	control_error(call, "org.varlink.service.InvalidParameter",
		      json_pack("{s:s}", "parameter", name));
}

/* --- calls ------------------------------------------------------------------------------ */

static const struct control_method *find(const struct control_server *s, const char *name)
{
	const struct control_method *m;

	for (m = s->methods; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static void dispatch(struct control_call *call, const char *name, const json_t *parameters)
{
	struct control_connection *c = call->connection;
	const struct control_method *method = find(c->server, name);

	if (control_service(call, name, parameters))
		return;
	if (!method) {
		control_error(call, "org.varlink.service.MethodNotFound",
			      json_pack("{s:o}", "method", json_from_text(name)));
	} else if (method->access == CONTROL_ADMIN && !c->may_admin) {
		control_error(call, "org.varlink.service.PermissionDenied", NULL);
	} else {
		call->method = method;
		method->begin(c->server->owner, call, parameters);
	}
}

static struct control_call *call_new(struct control_connection *c, const json_t *frame)
{
	struct control_call *call = calloc(1, sizeof(*call));

	if (!call) {
		control_refuse(c, -ENOMEM, "no memory for a call");
		return NULL;
	}
	call->connection = c;
	call->wants_more = json_is_true(json_object_get(frame, "more"));
	call->is_oneway = json_is_true(json_object_get(frame, "oneway"));
	c->call = call;
	return call;
}

void control_call_begin(struct control_connection *c, const char *text, size_t length)
{
	json_error_t why;
	json_t *frame = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
	const char *name = json_string_value(json_object_get(frame, "method"));
	json_t *parameters = json_object_get(frame, "parameters");
	json_t *none = json_object();
	struct control_call *call;

	if (!frame)
		control_refuse(c, -EBADMSG, "a call that is not JSON: %s", why.text);
	else if (!name)
		control_refuse(c, -EBADMSG, "a call without a method");
	else if (parameters && !json_is_object(parameters) && !json_is_null(parameters))
		control_refuse(c, -EBADMSG, "%.100s: its parameters are not an object", name);
	else if (json_is_true(json_object_get(frame, "upgrade")))
		control_refuse(c, -EOPNOTSUPP, "%.100s: no other protocol is spoken here",
			       name);
	else if ((call = call_new(c, frame)) != NULL)
		dispatch(call, name, json_is_object(parameters) ? parameters : none);
	json_decref(none);
	json_decref(frame);
}

bool control_wants_more(const struct control_call *call)
{
	return call->wants_more;
}

void control_set_state(struct control_call *call, void *state)
{
	call->state = state;
}

void *control_state(const struct control_call *call)
{
	return call->state;
}

uid_t control_uid(const struct control_call *call)
{
	return call->connection->uid;
}
