/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/host.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static bool is_a_name(const char *host)
{
	return *host && strcmp(host, "(none)") != 0 && strcmp(host, "localhost") != 0 &&
	       strncmp(host, "localhost.", 10) != 0;
}

static void from_file(char to[HOST_NAME_BYTES])
{
	FILE *file = fopen("/etc/hostname", "re");

	to[0] = '\0';
	if (!file)
		return;
	if (!fgets(to, HOST_NAME_BYTES, file))
		to[0] = '\0';
	to[strcspn(to, " \t\n")] = '\0';
	(void)fclose(file);
}

int host_name(char to[HOST_NAME_BYTES], struct err *err)
{
	memset(to, 0, HOST_NAME_BYTES);
	if (gethostname(to, HOST_NAME_BYTES - 1) < 0 || !is_a_name(to))
		from_file(to);
	if (is_a_name(to))
		return 0;
	to[0] = '\0';
	return err_set(err, -ENXIO,
		       "this host has no name of its own (hostname), to stand on disks that are its alone");
}
