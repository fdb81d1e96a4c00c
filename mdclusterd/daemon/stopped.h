/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays that were stopped here by hand stay so, whatever happens to other nodes and to this
 * engine, until they are assembled by hand or the daemon is started anew: who stopped one may
 * be about to give its disks to somebody else. run_dir/NAME.stopped has the number of the
 * supervisor under which that was said.
 */
#pragma once

#include <stdbool.h>

/* Failing is logged: the array is stopped all the same. */
void stopped_note(const char *run_dir, const char *array);
void stopped_forget(const char *run_dir, const char *array);
bool stopped_is(const char *run_dir, const char *array);
