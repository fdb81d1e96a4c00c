/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A second handle on a disk: what is asked of it the first one does; it may be closed. */
#pragma once

struct disk;

struct disk *disk_lend(struct disk *disk);
/* Above 0: within the first one; for tests where memory runs out, but not there. */
extern int disk_lend_depth;
