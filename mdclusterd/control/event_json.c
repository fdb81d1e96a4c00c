/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct status_event as JSON and back: mdcluster-json(7), EVENT. */
#include <string.h>

#include "mdclusterd/control/json_fields.h"
#include "mdclusterd/control/status.h"

static const struct json_field fields[] = {
	JSON_FIELD(status_event, number, FIELD_U64, "number"),
	JSON_FIELD(status_event, time_us, FIELD_U64, "time_us"),
	JSON_FIELD(status_event, kind, FIELD_TEXT, "kind"),
	JSON_FIELD(status_event, array, FIELD_TEXT, "array"),
	JSON_FIELD(status_event, node, FIELD_U32, "node"),
	JSON_FIELD(status_event, from, FIELD_U32, "from"),
	JSON_FIELD(status_event, is_ours, FIELD_BOOL, "is_ours"),
	JSON_FIELD(status_event, slot, FIELD_NUMBER_OR_NONE, "slot"),
	JSON_FIELD(status_event, role, FIELD_NUMBER_OR_NONE, "role"),
	JSON_FIELD(status_event, disk, FIELD_TEXT, "disk"),
	JSON_FIELD(status_event, low, FIELD_U64, "low_sectors"),
	JSON_FIELD(status_event, high, FIELD_U64, "high_sectors"),
	JSON_FIELD(status_event, bytes, FIELD_U64, "bytes"),
	JSON_FIELD(status_event, text, FIELD_TEXT, "text"),
	JSON_FIELD(status_event, priority, FIELD_I32, "priority"),
	JSON_FIELDS_END
};

json_t *status_event_to_json(const struct status_event *e)
{
	json_t *o = json_fields_write(fields, e);

	if (o && json_object_set_new(o, "schema", json_string(STATUS_SCHEMA)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int status_event_from_json(const json_t *json, struct status_event *e, struct err *err)
{
	memset(e, 0, sizeof(*e));
	return json_fields_read(fields, json, e, "event", err);
}
