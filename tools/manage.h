/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands share that change the disks of an array. */
#pragma once

#include <jansson.h>

struct cli_args;
struct err;

/*
 * Asks, with the array and `parameters` (taken), and waits as long as it takes: all nodes have
 * to hear of it. A new answer, or NULL with a sentence.
 */
json_t *manage_ask(const struct cli_args *args, const char *array, const char *method,
		   json_t *parameters, struct err *err);
/* Add has answered that the configuration does not name the disk: says what to do. */
void manage_note_unconfigured(const char *array, const char *disk, const json_t *answer);
