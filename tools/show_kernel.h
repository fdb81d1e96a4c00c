/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel's md-cluster runs on this host, for people and as JSON ("kernel-status"). */
#pragma once

#include <jansson.h>

#include "tools/kernel_view.h"
#include "tools/terminal.h"

struct err;

/* only: that one; NULL: all. */
int show_kernel(const struct kernel_view *view, const struct kernel_view_array *only,
		struct terminal *t, struct err *err);
json_t *show_kernel_json(const struct kernel_view *view, const struct kernel_view_array *only);

/* The worst of what is shown. */
enum status_health show_kernel_health(const struct kernel_view *view,
				      const struct kernel_view_array *only);
