/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the rig share. */
#pragma once

#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

void rig_plane_init(struct rig_plane *p, struct array_rig *rig, int node);
/* Takes or finishes something; false: there is nothing that can be. */
bool rig_plane_step(struct rig_plane *p);
bool rig_plane_can_step(const struct rig_plane *p);
/* V5, of what it copies now. */
void rig_plane_check(struct rig_plane *p);
/* Its process is dead. */
void rig_plane_die(struct rig_plane *p);
/* What one sector range covers, as chunks. */
uint64_t rig_chunks(uint64_t low, uint64_t high);

void rig_metadata_init(struct rig_metadata *m, struct array_rig *rig, int node);
bool rig_metadata_step(struct rig_metadata *m);
void rig_view(const struct array_rig *rig, struct metadata_view *view);

/* array_rig_disks.c */
int rig_disk_fail(struct array_rig *rig, uint32_t role, struct err *err);
int rig_disks_run(struct rig_metadata *m, struct metadata_request *req);
void rig_disks_unsee(struct metadata_view *view, uint32_t number);
void rig_disks_view(const struct rig_disks *d, struct metadata_view *view);
void rig_disks_written(struct rig_plane *p, uint64_t mask);
void rig_disks_copied(struct rig_plane *p, uint64_t mask);
void rig_disks_torn(struct rig_plane *p, uint64_t mask);

/* Its lease is over: it changes no disk (D13). */
bool rig_is_out(const struct array_rig *rig, int node);
/* The rules, after each step. */
void rig_check(struct array_rig *rig);
