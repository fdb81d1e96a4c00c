/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where things are in the text of a configuration, which libconfuse does not tell: the
 * other brace of a section, and how to read on behind what it stopped at. Comments and
 * quotes as in its language. Lines from 1. Pure.
 */
#pragma once

#include <stdbool.h>

/* The line of the brace that is closed in this one; the line itself where there is none. */
int config_text_opening(const char *text, int closing_line);

/*
 * Blanks the first `word` of the line and what is given to it: a value, a list, a section
 * to its end. Returns false where there is no such word. NULL: the whole line, and what
 * it opens.
 */
bool config_text_blank(char *text, int line, const char *word);

/*
 * The first line behind that one with an asterisk outside of quotes, 0: none. libconfuse reads
 * on as if it were not there: a pattern would be a name.
 */
int config_text_stray_star(const char *text, int line);

/* How many letters must be changed, added or taken away; for "did you mean". */
unsigned int config_text_distance(const char *a, const char *b);
