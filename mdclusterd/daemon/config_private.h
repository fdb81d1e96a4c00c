/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What config.c (the text, by libconfuse) and config_check.c, config_fence.c and
 * config_quorum.c (what it means) share.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include <confuse.h>

#include "mdclusterd/daemon/config.h"

/* Where a value stands: libconfuse knows it only while it reads. */
struct config_place {
	const cfg_t *section;
	const char *option; /* the table's */
	unsigned int index;
	int line;
};

struct config_mistake {
	int line;
	char *sentence;
};

struct config_reader {
	cfg_t *cfg;
	char *text;
	const char *host;
	config_ask_fn ask;      /* of corosync's nodes */
	bool is_refused;        /* it is not there, or does not answer */
	struct config_place *places;
	size_t place_count, place_room;
	struct config_mistake *mistakes;
	size_t mistake_count, mistake_room;
	bool is_broken;         /* the last error was none to read on behind */
	int blank_line;         /* what to blank out */
	char blank_word[64];    /* "": from the start of the line */
	bool is_out_of_memory;
};

void config_mistake(struct config_reader *r, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Of a value; of the section's head where the option is not given; of the file: 0. */
int config_line(const struct config_reader *r, const cfg_t *section, const char *option,
		unsigned int index);
int config_section_line(const struct config_reader *r, const cfg_t *section);

/* One section under the eye: whose mistakes begin with its name. */
struct section {
	struct config_reader *r;
	cfg_t *cfg;
	char name[CONFIG_NAME_BYTES + 16];
};

struct section section_of(struct config_reader *r, cfg_t *cfg);
void complain(const struct section *s, const char *option, unsigned int index, const char *fmt,
	      ...) __attribute__((format(printf, 4, 5)));
/* Values by themselves: NULL, or `otherwise`, where there is none or it was complained of. */
const char *text_of(const struct section *s, const char *option);
uint64_t number_of(const struct section *s, const char *option, uint64_t least, uint64_t most,
		   uint64_t otherwise);
bool truth_of(const struct section *s, const char *option, bool otherwise);
/* Which of the words, which end with NULL. */
int word_of(const struct section *s, const char *option, const char *const *words, int otherwise);
void name_of(const struct section *s, const char *option, char to[CONFIG_NAME_BYTES]);
char *path_of(const struct section *s, const char *option, const char *otherwise);

/* config_corosync.c: what takes the place of node { }, and what makes no sense then */
void config_check_corosync(struct config_reader *r, struct config *c);

/* config_fence.c */
void config_check_fence(struct config_reader *r, struct config *c);

/* Fills in c from r->cfg; mistakes are noted. */
void config_check(struct config_reader *r, struct config *c);
/* Its quorum { }; nodes are there. */
void config_check_quorum(struct config_reader *r, struct config *c);
