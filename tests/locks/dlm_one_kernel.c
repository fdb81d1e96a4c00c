/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands for lockres/dlm_kernel.c where several engines of one process are the "nodes"
 * of one kernel: all open one lockspace, and the last who closes it releases it. To
 * configfs every node is a member for ever, so that only processes can die; orphans
 * are the kernel's node's, whoever of ours left them.
 */
#include "lockres/dlm_kernel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libdlm.h>

#include "base/err.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;

int dlm_kernel_check(const char *name, size_t name_length, const char *kernel_name,
		     struct err *err)
{
	(void)name;
	(void)name_length;
	(void)kernel_name;
	(void)err;
	return 0;
}

int dlm_kernel_check_fencing(struct err *err)
{
	(void)err;
	return 0;
}

int dlm_kernel_open(const char *kernel_name, void **handle, struct err *err)
{
	pthread_mutex_lock(&lock);
	*handle = users ? dlm_open_lockspace(kernel_name) :
			  dlm_new_lockspace(kernel_name, 0600, 0);
	users += *handle != NULL;
	pthread_mutex_unlock(&lock);
	return *handle ? 0 : err_set(err, -errno, "lockspace %s: %s", kernel_name,
				     strerror(errno));
}

int dlm_kernel_fd(void *handle)
{
	return dlm_ls_get_fd(handle);
}

bool dlm_kernel_close(const char *kernel_name, void *handle)
{
	bool is_last;

	pthread_mutex_lock(&lock);
	is_last = --users == 0;
	if (is_last)
		dlm_release_lockspace(kernel_name, handle, 1);
	else
		dlm_close_lockspace(handle);
	pthread_mutex_unlock(&lock);
	return is_last;
}

uint64_t dlm_kernel_member(const char *kernel_name, uint32_t node)
{
	(void)kernel_name;
	(void)node;
	return 1;
}

char *dlm_kernel_dump(const char *kernel_name, size_t *length)
{
	(void)kernel_name;
	(void)length;
	return NULL;
}
