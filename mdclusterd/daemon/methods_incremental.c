/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods of who watches the disks, udev for one: Incremental, IncrementalGone. */
#include <errno.h>

#include "base/err.h"
#include "base/text.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/methods.h"

enum { MAX_NAMES = 64 };

/* Borrowed. 0: refused. */
static size_t take_names(struct control_call *call, const json_t *parameters,
			 const char *names[MAX_NAMES])
{
	const json_t *list = json_object_get(parameters, "disks"), *item;
	size_t i, count = json_array_size(list);

	if (count == 0 || count > MAX_NAMES) {
		control_fail_parameter(call, "disks");
		return 0;
	}
	json_array_foreach(list, i, item) {
		names[i] = json_string_value(item);
		if (!names[i] || *names[i] != '/') {
			method_refuse(call, -EINVAL, "name %zu of the disk is no path from the root",
				      i + 1);
			return 0;
		}
	}
	return count;
}

static bool take_uuid(struct control_call *call, const json_t *parameters, const char *key,
		      uint8_t uuid[16])
{
	const char *text = method_text(parameters, key);
	struct err err = ERR_INIT;

	if (!text) {
		control_fail_parameter(call, key);
		return false;
	}
	if (text_parse_uuid(text, key, uuid, &err) == 0)
		return true;
	control_fail(call, &err);
	return false;
}

void method_incremental(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const char *names[MAX_NAMES];
	struct autostart_member m = { .paths = names,
				      .name = method_text(parameters, "name"),
				      .cluster = method_text(parameters, "cluster") };
	enum autostart_verdict verdict;
	char array[CONFIG_NAME_BYTES];
	struct err err = ERR_INIT;

	m.path_count = take_names(call, parameters, names);
	if (m.path_count == 0 || !take_uuid(call, parameters, "uuid", m.uuid) ||
	    !take_uuid(call, parameters, "device_uuid", m.device_uuid))
		return;
	if (!m.name || !m.cluster)
		control_fail_parameter(call, m.name ? "cluster" : "name");
	else if (autostart_seen(e->autostart, &m, array, &verdict, &err) < 0)
		control_fail(call, &err);
	else
		control_reply(call, json_pack("{s:s, s:s}", "array", array, "verdict",
					      autostart_verdict_name(verdict)));
}

void method_incremental_gone(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const char *names[MAX_NAMES];
	size_t count = take_names(call, parameters, names);
	struct err err = ERR_INIT;
	int failed;

	if (count == 0)
		return;
	failed = autostart_gone(e->autostart, names, count, &err);
	if (err.code < 0)
		control_fail(call, &err);
	else
		control_reply(call, json_pack("{s:i}", "failed", failed));
}
