/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's nbd, by nbd-client. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "tools/attach.h"
#include "tools/run.h"

enum { MAX_DEVICES = 256 };

/* The module may be there and not be loaded; nbd-client must be, too. */
bool attach_has_nbd(void)
{
	struct err ignored = ERR_INIT;

	if (run_find("nbd-client", "nbd-client", &ignored) < 0)
		return false;
	if (access("/sys/block/nbd0", F_OK) < 0)
		run_program((const char *[]){ "modprobe", "nbd", NULL }, "kmod", NULL, 0,
			    &ignored);
	return access("/sys/block/nbd0", F_OK) == 0;
}

static int find_free(struct attach *a, struct err *err)
{
	char file[64];

	for (int i = 0; i < MAX_DEVICES; i++) {
		snprintf(file, sizeof(file), "/sys/block/nbd%d", i);
		if (access(file, F_OK) < 0)
			break;
		snprintf(file, sizeof(file), "/sys/block/nbd%d/pid", i);
		if (access(file, F_OK) == 0)
			continue;
		snprintf(a->device, sizeof(a->device), "/dev/nbd%d", i);
		return 0;
	}
	return err_set(err, -EBUSY, "no /dev/nbd* is free (the module's nbds_max= says how many there are)");
}

int attach_nbd(struct attach *a, struct err *err)
{
	char block[16], connections[16];
	const char *argv[16] = { "nbd-client", "-unix", a->socket, a->device, "-name", a->name,
				 "-block-size", block, "-connections", connections,
				 "-persist", a->is_read_only ? "-readonly" : NULL, NULL };
	int r;

	if (!attach_has_nbd())
		return err_set(err, -ENODEV, "the kernel has no nbd, or there is no nbd-client: install the package nbd-client");
	r = find_free(a, err);
	if (r < 0)
		return r;
	snprintf(block, sizeof(block), "%u", a->block_bytes);
	snprintf(connections, sizeof(connections), "%u", a->connections);
	return run_program(argv, "nbd-client", NULL, 0, err);
}

int detach_nbd(struct attach *a, struct err *err)
{
	return run_program((const char *[]){ "nbd-client", "-d", a->device, NULL },
			   "nbd-client", NULL, 0, err);
}
