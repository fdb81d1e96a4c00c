/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for what an array's nodes copy or compare, with a bar on a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cli_args;
struct err;
struct status_array;

/*
 * A resync, recovery or check runs, on any node, or is about to: a spare for a role without a
 * disk.
 */
bool wait_is_busy(const struct status_array *a);
/* There are two disks to resync one to the other: what is needed is done some time. */
bool wait_can_resync(const struct status_array *a);
/* Of what is known of it: "recovery", "resync", "check"; how far it is. total 0: not known. */
const char *wait_progress(const struct status_array *a, uint64_t *done, uint64_t *total);
/* On a terminal, where nothing speaks against it. */
bool wait_is_shown(const struct cli_args *args);
/* The bar, over the line that the cursor is in. */
void wait_show(const struct status_array *a);
/* Until it is not; *was_busy: it was at all. */
int wait_array(const struct cli_args *args, const char *array, bool *was_busy, struct err *err);
