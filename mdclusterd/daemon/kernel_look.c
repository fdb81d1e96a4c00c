/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/kernel_look.h"

#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/err.h"
#include "bitmap/kernel_arrays.h"
#include "lockres/dlm_host.h"

int kernel_look(const char *root, const uint8_t uuid[16], enum kernel_hold *hold, char *to,
		size_t size)
{
	const struct kernel_array *a = NULL;
	struct kernel_arrays arrays;
	struct err err = ERR_INIT;
	char name[37]; /* as md-cluster calls it */

	to[0] = '\0';
	*hold = KERNEL_HAS_NOTHING;
	uuid_unparse_lower(uuid, name);
	if (kernel_arrays_read(root, &arrays, &err) < 0)
		return err.code;
	a = kernel_arrays_find(&arrays, uuid);
	if (a && kernel_array_is_run(a->state)) {
		*hold = KERNEL_RUNS_IT;
		snprintf(to, size, "runs it as /dev/%s", a->name);
	} else if (dlm_host_owner(root, name, strlen(name)) == DLM_OWNER_KERNEL) {
		*hold = KERNEL_HAS_LOCKSPACE;
		snprintf(to, size, "holds its lockspace (md-cluster)");
	}
	kernel_arrays_fini(&arrays);
	return 0;
}
