/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands; each cmd_*.c defines one. */
#pragma once

#include "tools/cli.h"

extern const struct cli_command cmd_add;
extern const struct cli_command cmd_assemble;
extern const struct cli_command cmd_attach;
extern const struct cli_command cmd_check;
extern const struct cli_command cmd_confirm_dead;
extern const struct cli_command cmd_fence;
extern const struct cli_command cmd_create;
extern const struct cli_command cmd_detach;
extern const struct cli_command cmd_detail;
extern const struct cli_command cmd_doctor;
extern const struct cli_command cmd_events;
extern const struct cli_command cmd_examine;
extern const struct cli_command cmd_examine_bitmap;
extern const struct cli_command cmd_fail;
extern const struct cli_command cmd_grow;
extern const struct cli_command cmd_incremental;
extern const struct cli_command cmd_keygen;
extern const struct cli_command cmd_locks;
extern const struct cli_command cmd_manage;
extern const struct cli_command cmd_migrate;
extern const struct cli_command cmd_monitor;
extern const struct cli_command cmd_nodes;
extern const struct cli_command cmd_record;
extern const struct cli_command cmd_re_add;
extern const struct cli_command cmd_reload;
extern const struct cli_command cmd_remove;
extern const struct cli_command cmd_repair;
extern const struct cli_command cmd_replace;
extern const struct cli_command cmd_quorum;
extern const struct cli_command cmd_ring;
extern const struct cli_command cmd_scan;
extern const struct cli_command cmd_set;
extern const struct cli_command cmd_status;
extern const struct cli_command cmd_stop;
extern const struct cli_command cmd_replay;
extern const struct cli_command cmd_update;
extern const struct cli_command cmd_wait;
extern const struct cli_command cmd_zero;
