/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a host must have before a lockspace on the kernel's DLM can be taken, and what must
 * not be there: each lack by a sentence of its own, with what to do. Only looks at files, of
 * sysfs, configfs, procfs and /dev, and waits for nothing.
 *
 * `root` stands before every path: "" for the host, a folder for a recording of one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/dlm_dump.h"

struct err;

/*
 * May a lockspace of this name be taken, in the kernel as kernel_name (dlm_name())? In
 * this order:
 *
 *	-ENOENT  the module is not loaded
 *	-EBUSY   the kernel has one of the bare name (its md-cluster, for an array), or one
 *	         of ours that no process made: their values have 64 bytes, and a value sent
 *	         by a process would be stored beyond its buffer (B55)
 *	-ESTALE  one is left over, and dlm_controld is not there, which alone recovers it
 *	-ESRCH   dlm_controld does not run: the kernel would wait for it for ever
 *	-ENODEV  configfs does not show the cluster; the control device is missing
 */
int dlm_host_check(const char *root, const char *name, size_t name_length,
		   const char *kernel_name, struct err *err);

/* Has the kernel a lockspace of this name? */
bool dlm_host_has_space(const char *root, const char *kernel_name);
/* Those that the kernel has under names of ours (dlm_name()), made by a process; how many. */
size_t dlm_host_our_spaces(const char *root, char (*names)[DLM_NAME_ROOM], size_t room);
/* Does dlm_controld run? Without it whoever leaves a lockspace waits for ever. */
bool dlm_host_has_daemon(const char *root);

/*
 * Of a lockspace of the bare name that is not ours: its owner is a process (there is a
 * device), else the kernel, which for the uuid of an array is md-cluster.
 */
enum dlm_owner { DLM_OWNER_NONE, DLM_OWNER_KERNEL, DLM_OWNER_PROCESS };
enum dlm_owner dlm_host_owner(const char *root, const char *name, size_t name_length);

/*
 * Is it a proof of death that the kernel has dropped a node (D14)? By the configuration that
 * dlm_controld runs with, as `dlm_tool dump_config` writes it. -EPERM: it drops nodes that
 * nobody fenced, and which setting is to be changed; -EBADMSG: the text does not say. Pure.
 */
int dlm_host_check_fencing(const char *text, size_t length, struct err *err);
