/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The flight recorder of one array: it stands between the array and what the array talks to,
 * and writes down all that comes in, and what the array says (record.h). It changes nothing:
 * an array with a recorder does what it would do without.
 *
 * Who has a recorder calls recorded_*() instead of array_*() where an input is given; the
 * rest (array_look(), array_deadline()) as ever, on recorded_array().
 *
 * When the sink fails, memory runs out, or max_bytes are written, recording ends, with a word
 * of why at its end; the array goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/array/array.h"

struct recorded;

struct recorder_config {
	/* Takes the bytes; 0 or -errno. Never NULL. */
	int (*write)(void *owner, const void *bytes, size_t length);
	void *owner;
	uint64_t max_bytes;
	/* Recording has ended, told once: for the log. May be NULL. */
	void (*ended)(void *owner, const char *why);
};

/* As array_new(), with a recorder before each of its arguments. */
struct recorded *recorded_new(const struct recorder_config *recorder,
			      const struct array_config *config,
			      struct lockspace_engine *locks,
			      struct metadata_runner *metadata, struct plane *plane,
			      const struct array_ops *ops, void *owner, struct err *err);
/* With its array: see array_free(). NULL is fine. */
void recorded_free(struct recorded *r);
struct array *recorded_array(struct recorded *r);

void recorded_start(struct recorded *r);
int recorded_stop(struct recorded *r, struct err *err);
void recorded_give_up(struct recorded *r, const struct err *why);
void recorded_set_quorate(struct recorded *r, bool is_quorate);
void recorded_set_missing(struct recorded *r, uint32_t node, bool is_missing);
void recorded_advance(struct recorded *r, uint64_t now);
int recorded_check(struct recorded *r, bool is_repair, struct err *err);
void recorded_check_cancel(struct recorded *r);
void recorded_set_speed(struct recorded *r, uint64_t min_bytes, uint64_t max_bytes);
int recorded_fail_disk(struct recorded *r, uint32_t role, struct err *err);
int recorded_grow(struct recorded *r, struct array_grow *g, struct err *err);
int recorded_change(struct recorded *r, struct array_change *c, struct err *err);
void recorded_change_forget(struct recorded *r, struct array_change *c);
