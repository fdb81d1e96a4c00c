/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/kernel_look.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/err.h"
#include "base/fnv.h"
#include "bitmap/kernel_arrays.h"
#include "lockres/dlm_host.h"

static bool is_run(const struct kernel_array *a)
{
	return strcmp(a->state, "inactive") != 0;
}

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
	if (a && is_run(a)) {
		*hold = KERNEL_RUNS_IT;
		snprintf(to, size, "runs it as /dev/%s", a->name);
	} else if (dlm_host_owner(root, name, strlen(name)) == DLM_OWNER_KERNEL) {
		*hold = KERNEL_HAS_LOCKSPACE;
		snprintf(to, size, "holds its lockspace (md-cluster)");
	}
	kernel_arrays_fini(&arrays);
	return 0;
}

int kernel_look_sum(const char *root, uint64_t *sum)
{
	struct kernel_arrays arrays;
	struct err err = ERR_INIT;

	if (kernel_arrays_read(root, &arrays, &err) < 0)
		return err.code;
	*sum = 0;
	for (size_t i = 0; i < arrays.count; i++) {
		const struct kernel_array *a = &arrays.arrays[i];

		if (!a->has_uuid || !is_run(a))
			continue;
		*sum = fnv_add(*sum ? *sum : FNV_START, a->name, strlen(a->name) + 1);
		*sum = fnv_add(*sum, a->uuid, sizeof(a->uuid));
	}
	kernel_arrays_fini(&arrays);
	return 0;
}
