/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of libdlm_locks.c where the build has no libdlm. */
#include "mdclusterd/daemon/libdlm_locks.h"

#include <errno.h>
#include <stddef.h>

#include "base/err.h"

bool libdlm_is_built_in(void)
{
	return false;
}

struct libdlm_locks *libdlm_locks_open(const struct libdlm_locks_config *config,
				       struct err *err)
{
	(void)config;
	err_set(err, -EOPNOTSUPP,
		"locks = libdlm: this build has no libdlm; configure found none (libdlm-dev)");
	return NULL;
}

void libdlm_locks_close(struct libdlm_locks *l)
{
	(void)l;
}

struct lockspace_engine *libdlm_locks_engine(struct libdlm_locks *l)
{
	(void)l;
	return NULL;
}
