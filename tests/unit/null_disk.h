/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that takes everything and keeps nothing, without memory of its own: to measure
 * what somebody else costs. Requests end in the order they came, by disk_pump().
 */
#pragma once

#include "bitmap/disk.h"

struct null_disk {
	struct disk disk;
	struct qb_list_head pending;
};

/* Embedded; there is nothing to close. */
void null_disk_init(struct null_disk *null);
