/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/manage.h"

#include "base/err.h"
#include "base/log.h"
#include "tools/daemon.h"

LOG_SUBSYSTEM(manage);

json_t *manage_ask(const struct cli_args *args, const char *array, const char *method,
		   json_t *parameters, struct err *err)
{
	struct mdcluster *c = daemon_open(args, err);
	json_t *answer;

	json_object_set_new(parameters, "array", json_string(array));
	if (!c) {
		json_decref(parameters);
		return NULL;
	}
	answer = daemon_follow(c, method, parameters, NULL, NULL, err);
	mdcluster_free(c);
	if (!answer)
		daemon_doubt(err);
	return answer;
}

void manage_note_unconfigured(const char *array, const char *disk, const json_t *answer)
{
	if (json_is_false(json_object_get(answer, "configured")))
		log_notice("MDC3022", "%s: %s is not among its disks in mdclusterd.conf: name it there, on every node, or it is missing at the next start",
			   array, disk);
}
