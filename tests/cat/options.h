/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words on totem-cat's command line. */
#pragma once

#include <stdbool.h>

#include "totem/corosync.h"
#include "totem/station.h"

struct err;

struct cat_options {
	struct station_config station; /* points into this struct, and to argv */
	struct keyfile keys;           /* keyfile_wipe() is the caller's */
	char path[64];
	struct corosync_map map;       /* with --corosync */
	bool is_safe, is_traced;
};

/* 0 or -EINVAL with a sentence; --help and an unknown option end the process. */
int cat_options_parse(int argc, char **argv, struct cat_options *options,
		      struct err *err);
