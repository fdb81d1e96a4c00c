/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How text looks where it goes: colours and width on a terminal, neither elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum terminal_colour { TERMINAL_PLAIN, TERMINAL_BOLD, TERMINAL_GREEN, TERMINAL_YELLOW,
		       TERMINAL_RED };

struct terminal {
	FILE *to;
	bool has_colours;
	unsigned int width;    /* columns; 0: as long as it is */
	unsigned int height;   /* rows, of a terminal */
	unsigned int column;   /* of the line that terminal_word() writes */
	bool is_line_open;
};

/* is_plain: no colours, whatever it is; NO_COLOR says the same. */
struct terminal terminal_of(FILE *to, bool is_plain);
/* The same for what is written to memory first. */
struct terminal terminal_like(const struct terminal *t, FILE *to);

/*
 * A word that is not broken, two blanks behind the one before, or on a new line, indented,
 * where it does not fit. terminal_begin() indents the first; terminal_end() ends the line.
 */
void terminal_begin(struct terminal *t, unsigned int indent);
void terminal_word(struct terminal *t, enum terminal_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Broken at blanks, where a line is full. */
void terminal_sentence(struct terminal *t, enum terminal_colour colour, const char *text);
void terminal_end(struct terminal *t);

enum { TERMINAL_AGE_BYTES = 32, TERMINAL_BAR_BYTES = 32 };

/* "12 s", "4 min 5 s", "3 h 20 min", "2 d 4 h". Returns `to`. */
char *terminal_age(uint64_t ns, char to[TERMINAL_AGE_BYTES]);
/* "[=====>..............]": done of total. */
char *terminal_bar(uint64_t done, uint64_t total, char to[TERMINAL_BAR_BYTES]);
/* 0..1000, of any numbers; of 0 all is done. */
unsigned int terminal_per_mille(uint64_t done, uint64_t total);
