/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk of an array that runs is replaced: the steps of replace.h, asked of its daemon. */
#pragma once

#include <jansson.h>

struct cli_args;
struct err;

/*
 * `old`, `new` (NULL: its one spare) as a person spells disks. Returns when it is done on all
 * nodes. A new object CHANGE of mdcluster-json(7), or NULL with a sentence.
 */
json_t *replace_array(const struct cli_args *args, const char *array, const char *old,
		      const char *new, struct err *err);
