/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"

enum { MIN_WIDTH = 40, MIN_HEIGHT = 4, CONTINUED = 4, BAR_CELLS = 20 };

static void measure(int fd, struct terminal *t)
{
	struct winsize size = { 0 };

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		size.ws_col = 80;
	if (size.ws_row == 0)
		size.ws_row = 24;
	t->width = size.ws_col < MIN_WIDTH ? MIN_WIDTH : size.ws_col;
	t->height = size.ws_row < MIN_HEIGHT ? MIN_HEIGHT : size.ws_row;
}

struct terminal terminal_of(FILE *to, bool is_plain)
{
	const char *no_colour = getenv("NO_COLOR");
	struct terminal t = { .to = to };

	if (isatty(fileno(to))) {
		measure(fileno(to), &t);
		t.has_colours = !is_plain && !(no_colour && *no_colour);
	}
	return t;
}

struct terminal terminal_like(const struct terminal *t, FILE *to)
{
	return (struct terminal){ .to = to, .has_colours = t->has_colours, .width = t->width,
				  .height = t->height };
}

/* --- lines ------------------------------------------------------------------------------ */

void terminal_begin(struct terminal *t, unsigned int indent)
{
	fprintf(t->to, "%*s", (int)indent, "");
	t->column = indent;
	t->is_line_open = false;
}

static void colour_on(struct terminal *t, enum terminal_colour colour)
{
	static const char *const codes[] = {
		[TERMINAL_BOLD] = "1", [TERMINAL_GREEN] = "32", [TERMINAL_YELLOW] = "33",
		[TERMINAL_RED] = "31",
	};

	if (t->has_colours && colour != TERMINAL_PLAIN)
		fprintf(t->to, "\033[%sm", codes[colour]);
}

static void colour_off(struct terminal *t, enum terminal_colour colour)
{
	if (t->has_colours && colour != TERMINAL_PLAIN)
		fputs("\033[0m", t->to);
}

/* Characters, as far as UTF-8 tells: bytes that do not continue one. */
static unsigned int columns_of(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Blanks before a word, or a new line where it does not fit. */
static void make_way(struct terminal *t, unsigned int blanks, const char *word)
{
	if (t->is_line_open && t->width &&
	    t->column + blanks + columns_of(word) > t->width) {
		fprintf(t->to, "\n%*s", CONTINUED, "");
		t->column = CONTINUED;
	} else if (t->is_line_open) {
		fprintf(t->to, "%*s", (int)blanks, "");
		t->column += blanks;
	}
}

static void put(struct terminal *t, const char *word)
{
	fputs(word, t->to);
	t->column += columns_of(word);
	t->is_line_open = true;
}

void terminal_word(struct terminal *t, enum terminal_colour colour, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_way(t, 2, text);
	colour_on(t, colour);
	put(t, text);
	colour_off(t, colour);
}

void terminal_sentence(struct terminal *t, enum terminal_colour colour, const char *text)
{
	bool is_first = true;

	while (*text) {
		size_t length = strcspn(text, " ");
		char word[256];

		snprintf(word, sizeof(word), "%.*s", (int)min_u64(length, 255), text);
		make_way(t, is_first ? 2 : 1, word);
		if (is_first)
			colour_on(t, colour);
		put(t, word);
		text += length + strspn(text + length, " ");
		is_first = false;
	}
	if (!is_first)
		colour_off(t, colour);
}

void terminal_end(struct terminal *t)
{
	fputc('\n', t->to);
	t->is_line_open = false;
}

/* --- numbers ---------------------------------------------------------------------------- */

char *terminal_age(uint64_t ns, char to[TERMINAL_AGE_BYTES])
{
	static const struct { const char *large, *small; uint64_t seconds, per; } units[] = {
		{ "d", "h", 86400, 3600 }, { "h", "min", 3600, 60 }, { "min", "s", 60, 1 },
	};
	uint64_t s = ns / NS_PER_S;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s >= units[i].seconds) {
			uint64_t rest = s % units[i].seconds / units[i].per;
			int n = snprintf(to, TERMINAL_AGE_BYTES, "%" PRIu64 " %s",
					 s / units[i].seconds, units[i].large);

			if (rest)
				snprintf(to + n, (size_t)(TERMINAL_AGE_BYTES - n),
					 " %" PRIu64 " %s", rest, units[i].small);
			return to;
		}
	snprintf(to, TERMINAL_AGE_BYTES, "%" PRIu64 " s", s);
	return to;
}

unsigned int terminal_per_mille(uint64_t done, uint64_t total)
{
	if (done >= total)
		return 1000;
	/* 999 is the most that what is not done can be; no product overflows */
	return (unsigned int)min_u64(total < UINT64_MAX / 1000 ? done * 1000 / total :
								 done / (total / 1000), 999);
}

char *terminal_bar(uint64_t done, uint64_t total, char to[TERMINAL_BAR_BYTES])
{
	unsigned int full = terminal_per_mille(done, total) * BAR_CELLS / 1000;
	char *at = to;

	*at++ = '[';
	for (unsigned int i = 0; i <= BAR_CELLS; i++)
		*at++ = i < full ? '=' : i == full ? '>' : '.';
	*at++ = ']';
	*at = '\0';
	return to;
}
