/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/host.h"

#include <stdlib.h>

#include "bitmap/kernel_arrays.h"

const char *host_root(void)
{
	const char *root = secure_getenv("MDCLUSTER_TEST_ROOT");

	return root ? root : "";
}

int host_refuse(const uint8_t uuid[16], const char *path, struct err *err)
{
	return kernel_arrays_refuse(host_root(), uuid, path, err);
}
