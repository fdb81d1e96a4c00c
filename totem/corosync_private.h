/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that call corosync's libraries share. */
#pragma once

struct err;

/* A cs_error_t as -errno and what to do about it; `what` was asked for. */
int corosync_refusal(int error, const char *what, struct err *err);
