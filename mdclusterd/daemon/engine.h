/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine: all that a daemon does, in one process below its supervisor. Its main thread
 * has the ring, the locks, the arrays' cluster side and the control socket; each array
 * has a thread for its data and one for its metadata.
 */
#pragma once

struct options;

/* Runs until it is told to stop, or its supervisor is gone. Returns an exit_code. */
int engine_run(const struct options *options);
