/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration that was judged, for people and as JSON ("migration"). */
#pragma once

#include <jansson.h>

#include "tools/migrate.h"
#include "tools/terminal.h"

void show_migrate(const struct migration *m, struct terminal *t);
json_t *show_migrate_json(const struct migration *m);
