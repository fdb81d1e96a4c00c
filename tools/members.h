/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of this host that are members of an array, and not open in it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct err;

/*
 * metadata: of the method Detail. Calls each() with the path of every block device that has
 * its uuid, and is no disk of it now; a result that is not 0 ends that, and is returned.
 */
int members_missing(const json_t *metadata, int (*each)(void *owner, const char *path),
		    void *owner, struct err *err);
