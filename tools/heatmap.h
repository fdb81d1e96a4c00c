/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heat map of a slot: one line, each cell a run of chunks, darker where
 * more of them are dirty. A cell with one dirty chunk of a million shows.
 */
#pragma once

#include <stdio.h>

#include "bitmap/slot.h"

enum heatmap_style {
	HEATMAP_ASCII,  /* " .:-=+*#@" */
	HEATMAP_BLOCKS, /* eighths of a block, UTF-8 */
	HEATMAP_COLOUR, /* blocks, green to red */
};

/* What this output can show: UTF-8 locale, terminal, NO_COLOR. */
enum heatmap_style heatmap_best_style(FILE *to);

/* Columns of the terminal, or 80. */
unsigned int heatmap_columns(FILE *to);

void heatmap_legend(FILE *to, const struct bitmap_geometry *geo,
		    unsigned int columns);
void heatmap_draw(FILE *to, const struct bitmap_slot *slot,
		  unsigned int columns, enum heatmap_style style);
