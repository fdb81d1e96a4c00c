/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/heatmap.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/text.h"
#include "bitmap/bits.h"

enum { LEVELS = 8, MARGIN_COLUMNS = 26, MIN_CELLS = 16 };

enum heatmap_style heatmap_best_style(FILE *to)
{
	const char *no_colour = getenv("NO_COLOR");

	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		return HEATMAP_ASCII;
	if (!isatty(fileno(to)) || (no_colour && *no_colour))
		return HEATMAP_BLOCKS;
	return HEATMAP_COLOUR;
}

unsigned int heatmap_columns(FILE *to)
{
	struct winsize ws;

	if (ioctl(fileno(to), TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

static uint64_t cells_of(const struct bitmap_geometry *geo, unsigned int columns)
{
	uint64_t cells = columns > MARGIN_COLUMNS + MIN_CELLS ?
				 columns - MARGIN_COLUMNS :
				 MIN_CELLS;

	return min_u64(cells, geo->chunks);
}

void heatmap_legend(FILE *to, const struct bitmap_geometry *geo,
		    unsigned int columns)
{
	uint64_t cells = cells_of(geo, columns);
	char text[TEXT_SIZE_BYTES];

	fprintf(to, "%" PRIu64 " chunks of %s; a cell is %" PRIu64 " to %" PRIu64 " chunks\n",
		geo->chunks, text_size(geo->chunk_bytes, text),
		geo->chunks / cells, div_round_up(geo->chunks, cells));
}

/* 0: clean; 1..LEVELS: any .. all dirty. */
static unsigned int level_of(uint64_t dirty, uint64_t chunks)
{
	return dirty == 0 ? 0 :
			    1 + (unsigned int)(dirty * (LEVELS - 1) / chunks);
}

static void draw_cell(FILE *to, unsigned int level, enum heatmap_style style)
{
	static const char ascii[LEVELS + 1] = { ' ', '.', ':', '-', '=',
						'+', '*', '#', '@' };
	static const char *const blocks[LEVELS + 1] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"
	};
	static const int colours[LEVELS + 1] = { 0,   34,  70,  106, 142,
						 178, 208, 202, 196 };

	if (style == HEATMAP_ASCII)
		fputc(ascii[level], to);
	else if (style == HEATMAP_COLOUR && level)
		fprintf(to, "\033[38;5;%dm%s\033[0m", colours[level],
			blocks[level]);
	else
		fputs(blocks[level], to);
}

void heatmap_draw(FILE *to, const struct bitmap_slot *slot,
		  unsigned int columns, enum heatmap_style style)
{
	const char *edge = style == HEATMAP_ASCII ? "|" : "│";
	uint64_t cells = cells_of(&slot->geo, columns), cell;
	char text[TEXT_SIZE_BYTES];

	fprintf(to, "slot %2u %s", slot->number, edge);
	for (cell = 0; cell < cells; cell++) {
		uint64_t first = slot->geo.chunks * cell / cells;
		uint64_t end = slot->geo.chunks * (cell + 1) / cells;

		draw_cell(to,
			  level_of(bits_count_range(slot->bits, first, end - 1),
				   end - first),
			  style);
	}
	fprintf(to, "%s %12s\n", edge,
		text_size(bitmap_slot_dirty_bytes(slot), text));
}
