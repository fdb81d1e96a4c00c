/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The board of totem-cat: notes in a checkpoint, which all nodes have, and which
 * stay as long as one of them does. For trying the store by hand.
 */
#pragma once

#include <stddef.h>

#include "totem/checkpoint.h"

struct board {
	struct checkpoint_store *store;
	struct checkpoint_handle *handle; /* NULL: not open, or being opened */
};

void board_init(struct board *board, struct checkpoint_store *store);

/* The store may be used now: as struct checkpoint_store_ops. */
void board_opened(struct board *board);

/* A line without its '/': "set NAME TEXT", "get NAME", "drop NAME", "list". */
void board_command(struct board *board, const char *line, size_t length);
