/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/show_migrate.h"

#include <string.h>

#include "base/text.h"
#include "tools/show.h"

static const char *const weights[] = {
	[MIGRATE_BLOCKS] = "blocks",
	[MIGRATE_FIRST] = "first",
	[MIGRATE_NOTE] = "note",
};

static const enum terminal_colour colours[] = {
	[MIGRATE_BLOCKS] = TERMINAL_RED,
	[MIGRATE_FIRST] = TERMINAL_YELLOW,
	[MIGRATE_NOTE] = TERMINAL_PLAIN,
};

static const char *taker(const struct migration *m)
{
	return m->is_to_kernel ? "the kernel's md-cluster" : "mdclusterd";
}

/* --- for people ----------------------------------------------------------------------------- */

static void show_verdict(const struct migration *m, struct terminal *t)
{
	terminal_begin(t, 0);
	terminal_word(t, TERMINAL_BOLD, "%s", m->is_known ? m->name : "these disks");
	if (m->is_known)
		terminal_word(t, TERMINAL_PLAIN, "%s  %u disks", show_level(m->level),
			      m->raid_disks);
	if (m->slots)
		terminal_word(t, TERMINAL_PLAIN, "%u slots  cluster %s", m->slots, m->cluster);
	terminal_word(t, m->is_possible ? TERMINAL_GREEN : TERMINAL_RED, "%s move to %s",
		      m->is_possible ? "can" : "CANNOT", taker(m));
	terminal_end(t);
}

static void show_finding(const struct migrate_finding *f, struct terminal *t)
{
	char text[2 * MIGRATE_TEXT + 16];

	snprintf(text, sizeof(text), "%s: %s%s%s", weights[f->weight], f->what,
		 f->remedy[0] ? ": " : "", f->remedy);
	terminal_begin(t, 2);
	terminal_sentence(t, colours[f->weight], text);
	terminal_end(t);
}

static void show_text(const struct migrate_step *s, struct terminal *t)
{
	const char *at = s->text;

	if (s->file)
		fprintf(t->to, "       %s:\n", s->file);
	while (*at) {
		size_t length = strcspn(at, "\n");

		/* never broken: it is copied */
		fprintf(t->to, s->file ? "         %.*s\n" : "       $ %.*s\n", (int)length, at);
		at += length + (at[length] == '\n');
	}
}

void show_migrate(const struct migration *m, struct terminal *t)
{
	show_verdict(m, t);
	for (int weight = MIGRATE_BLOCKS; weight <= MIGRATE_NOTE; weight++)
		for (size_t i = 0; i < m->finding_count; i++)
			if ((int)m->findings[i].weight == weight)
				show_finding(&m->findings[i], t);
	if (m->step_count)
		fprintf(t->to, "In this order:\n");
	for (size_t i = 0; i < m->step_count; i++) {
		const struct migrate_step *s = &m->steps[i];
		char text[MIGRATE_TEXT + 64];

		snprintf(text, sizeof(text), "%zu. %s: %s", i + 1, s->where, s->why);
		terminal_begin(t, 2);
		terminal_sentence(t, TERMINAL_PLAIN, text);
		terminal_end(t);
		show_text(s, t);
	}
}

/* --- JSON ----------------------------------------------------------------------------------- */

static json_t *finding_json(const struct migrate_finding *f)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "weight", weights[f->weight], "kind", f->kind,
			 "what", show_json_text(f->what, SIZE_MAX),
			 "remedy", show_json_text(f->remedy, SIZE_MAX));
}

static json_t *step_json(const struct migrate_step *s)
{
	return json_pack("{s:s, s:o, s:s?, s:o}", "where", s->where,
			 "why", show_json_text(s->why, SIZE_MAX), "file", s->file,
			 "text", show_json_text(s->text, SIZE_MAX));
}

json_t *show_migrate_json(const struct migration *m)
{
	json_t *findings = json_array(), *steps = json_array();
	char uuid[TEXT_UUID_BYTES];

	for (size_t i = 0; i < m->finding_count; i++)
		json_array_append_new(findings, finding_json(&m->findings[i]));
	for (size_t i = 0; i < m->step_count; i++)
		json_array_append_new(steps, step_json(&m->steps[i]));
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "schema", SHOW_JSON_SCHEMA,
			 "to", m->is_to_kernel ? "kernel" : "mdclusterd", "is_possible",
			 m->is_possible,
			 "uuid", m->is_known ? json_string(text_uuid(m->uuid, uuid)) : json_null(),
			 "name", m->is_known ? show_json_text(m->name, SIZE_MAX) : json_null(),
			 "cluster", m->slots ? show_json_text(m->cluster, SIZE_MAX) : json_null(),
			 "findings", findings, "steps", steps);
}
