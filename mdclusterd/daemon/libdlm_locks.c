/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/libdlm_locks.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "lockres/dlm_host.h"
#include "lockres/dlm_kernel.h"
#include "lockres/lockspace_dlm.h"
#include "totem/station.h"

LOG_SUBSYSTEM(libdlm);

enum { LEFT_BEHIND = 64 };

struct libdlm_locks {
	struct libdlm_locks_config config;
	struct lockspace_dlm *dlm;
};

/*
 * V1 (dlm_gate.h): what corosync has told dlm_controld it has told us, but it may be unread,
 * and a change is the groups' when all services of all members are done with it.
 */
static bool is_pending(void *owner, struct group *group)
{
	const struct libdlm_locks *l = owner;

	(void)group;
	return station_is_pending(l->config.station);
}

/* The slot of a node that died comes free by that alone. */
static bool is_guarded(void *owner, const void *name, size_t length)
{
	static const char bitmap[] = "bitmap";

	(void)owner;
	return length >= sizeof(bitmap) - 1 && memcmp(name, bitmap, sizeof(bitmap) - 1) == 0;
}

static void dropped(void *owner, uint32_t node)
{
	const struct libdlm_locks *l = owner;

	l->config.dropped(l->config.owner, node);
}

bool libdlm_is_built_in(void)
{
	return true;
}

struct libdlm_locks *libdlm_locks_open(const struct libdlm_locks_config *config,
				       struct err *err)
{
	static const struct lockspace_dlm_ops ops = { is_pending, is_guarded, dropped };
	const struct lockspace_dlm_config c = {
		.loop = config->loop,
		.groups = config->groups,
		.guards = config->guards,
		.self = config->self,
		.incarnation = config->incarnation,
		.drops_are_proofs = config->drops_are_proofs,
	};
	struct libdlm_locks *l = calloc(1, sizeof(*l));

	if (!l) {
		err_nomem(err, "locks of the kernel's DLM");
		return NULL;
	}
	l->config = *config;
	l->dlm = lockspace_dlm_new(&c, &ops, l, err);
	if (l->dlm)
		return l;
	free(l);
	return NULL;
}

/*
 * A process that is killed leaves its lockspaces in the kernel, where the next one opens them;
 * those that none has opened since keep dlm_controld from ending. All of ours are closed by now.
 */
static void leave_what_was_left_behind(void)
{
	char names[LEFT_BEHIND][DLM_NAME_ROOM];
	size_t count = dlm_host_has_daemon("") ? dlm_host_our_spaces("", names, LEFT_BEHIND) : 0;

	for (size_t i = 0; i < count; i++) {
		if (dlm_kernel_leave(names[i]))
			log_notice("MDC5931", "lockspace %s, which a process that was killed had left in the kernel, is left",
				   names[i]);
		else
			log_warning("MDC5932", "lockspace %s stays in the kernel: it cannot be left, or somebody's locks are in it",
				    names[i]);
	}
}

void libdlm_locks_close(struct libdlm_locks *l)
{
	if (!l || !lockspace_dlm_is_idle(l->dlm))
		return;
	lockspace_dlm_free(l->dlm);
	leave_what_was_left_behind();
	free(l);
}

struct lockspace_engine *libdlm_locks_engine(struct libdlm_locks *l)
{
	return lockspace_dlm_engine(l->dlm);
}
