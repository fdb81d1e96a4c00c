/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child process that proves deaths: a fence agent, or a command. It has a process group of
 * its own, nothing of ours open but its three streams, no core files (its input may have
 * passwords), and the rights of the user that it is to be, of which it can gain no more.
 */
#pragma once

#include <stddef.h>

struct err;
struct fence_process;
struct loop;

enum { FENCE_INPUT_BYTES = 32768, FENCE_OUTPUT_BYTES = 256 * 1024 };

struct fence_process_config {
	const char *program;      /* a path */
	const char *const *words; /* its argv, ends with NULL */
	const char *input;        /* NULL: nothing to read; under FENCE_INPUT_BYTES */
	size_t input_length;
	const char *user;         /* "": as we are; so it is where we are not root */
};

/*
 * code: how it exited, or -1: a signal. why: "code 1: " and the last line that it wrote.
 * output: all of that, cut at FENCE_OUTPUT_BYTES; with p's life.
 */
typedef void (*fence_process_fn)(void *owner, struct fence_process *p, int code,
				 const char *why, const char *output);

/* done(): once, unless freed; frees nothing. NULL with a sentence. */
struct fence_process *fence_process_start(struct loop *loop,
					  const struct fence_process_config *config,
					  fence_process_fn done, void *owner, struct err *err);
/* Its process group is killed; done() comes. */
void fence_process_stop(struct fence_process *p);
/* Killed where it still runs. NULL is fine. */
void fence_process_free(struct fence_process *p);
