/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control server in a thread of its own, on a real socket, with methods for tests; and raw
 * clients, which send and receive frames as text.
 *
 *	test.Echo     its parameters; {"admin"}: the same, for those who may
 *	test.Admin
 *	test.Stream   {"count"}: so many answers {"n": 0...}, then {}
 *	test.Flood    {"count", "bytes"}: so many answers of that size; {"lost"} at the end
 *	test.Large    {"bytes"}: one answer of that size
 *	test.Hold     answered by test.Release, whoever calls that
 *	test.Held     {"held", "gone"}
 *	test.Fail     {"text", "errno": number}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct control_rig;

/* group: NULL, or a name of the system's. */
struct control_rig *control_rig_new(const char *group);
void control_rig_free(struct control_rig *rig);
const char *control_rig_dir(const struct control_rig *rig);
const char *control_rig_path(const struct control_rig *rig); /* of the socket, within */

/* A connected socket, or -errno. */
int raw_connect(const char *path);
/* All of it, with a NUL behind it, or the test fails. */
void raw_send(int fd, const char *frame);
/* One frame; "": the end. free() it. */
char *raw_receive(int fd);
/* Sends, receives: the answer is this. */
void raw_expect(int fd, const char *frame, const char *answer);
