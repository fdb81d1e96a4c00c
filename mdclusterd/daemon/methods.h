/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The methods of the control socket (control/interface.c says what each takes and gives).
 * A method that cannot answer at once keeps a struct that begins with a method_call, so
 * that it is known when its client goes.
 */
#pragma once

#include <jansson.h>
#include <qb/qblist.h>

#include "mdclusterd/control/control.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"

struct method_call {
	struct engine *engine;
	struct control_call *call;
	/* Forget all; free it. */
	void (*drop)(struct method_call *m);
};

/* Of `bytes`, and the call's state from here on. NULL: no memory, and that was answered. */
void *method_new(struct engine *e, struct control_call *call, size_t bytes,
		 void (*drop)(struct method_call *m));

/* Of one array, or NULL after it was refused. */
struct unit *method_unit(struct engine *e, struct control_call *call,
			 const json_t *parameters, const char *key);
const char *method_text(const json_t *parameters, const char *key); /* NULL: not there */
bool method_truth(const json_t *parameters, const char *key);
void method_refuse(struct control_call *call, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Index of the node by name or id, or -1 after it was refused. */
int method_node(const struct engine *e, struct control_call *call, const json_t *parameters,
		const char *key);
/* Nothing, or the sentence. */
void method_answer(struct control_call *call, const struct err *err);

/* methods_look.c */
void method_status(void *owner, struct control_call *call, const json_t *parameters);
void method_ring(void *owner, struct control_call *call, const json_t *parameters);
void method_locks(void *owner, struct control_call *call, const json_t *parameters);
void method_detail(void *owner, struct control_call *call, const json_t *parameters);

/* methods_array.c */
void method_assemble(void *owner, struct control_call *call, const json_t *parameters);
void method_stop(void *owner, struct control_call *call, const json_t *parameters);
void method_set(void *owner, struct control_call *call, const json_t *parameters);

/* methods_disks.c */
void method_add(void *owner, struct control_call *call, const json_t *parameters);
void method_remove(void *owner, struct control_call *call, const json_t *parameters);
void method_fail(void *owner, struct control_call *call, const json_t *parameters);

/* methods_grow.c */
void method_grow(void *owner, struct control_call *call, const json_t *parameters);

/* methods_incremental.c */
void method_incremental(void *owner, struct control_call *call, const json_t *parameters);
void method_incremental_gone(void *owner, struct control_call *call, const json_t *parameters);

/* methods_check.c */
void method_check(void *owner, struct control_call *call, const json_t *parameters);
void method_check_cancel(void *owner, struct control_call *call, const json_t *parameters);

/* methods_quorum.c */
void method_quorum(void *owner, struct control_call *call, const json_t *parameters);
void method_quorum_expected(void *owner, struct control_call *call, const json_t *parameters);
/* methods_fence.c */
void method_fence(void *owner, struct control_call *call, const json_t *parameters);
void method_fence_list(void *owner, struct control_call *call, const json_t *parameters);
void method_fence_test(void *owner, struct control_call *call, const json_t *parameters);

/* methods_events.c */
void method_events(void *owner, struct control_call *call, const json_t *parameters);
