/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster keygen: makes the cluster key, and changes it while the cluster runs.
 *
 * A change has three steps, and after each the file goes to all nodes before
 * the next one begins: --add (all accept the new key), --promote (all send with
 * it), --drop (nobody accepts the old one). Every step says what comes next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arith.h"
#include "base/err.h"
#include "tools/commands.h"
#include "tools/show.h"
#include "totem/keyfile.h"

static const struct cli_option options[] = {
	{ "add", 0, NULL, "step 1 of a change: a new key that is accepted" },
	{ "promote", 0, NULL, "step 2: send with the new key, accept the old one" },
	{ "drop", 0, NULL, "step 3: forget the second key" },
	{ "show", 0, NULL, "only look: fingerprints of the keys" },
	{ "force", 'f', NULL, "overwrite a key file that exists" },
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

/* Without any of these options: make a file. */
static const struct step {
	const char *option;
	const char *did; /* in JSON, as the option is called */
	int (*change)(struct keyfile *file, struct err *err);
	const char *next;
} steps[] = {
	{ "add", "add", keyfile_add_key,
	  "copy the file to every node and reload them; when all have it: mdcluster keygen --promote" },
	{ "promote", "promote", keyfile_promote,
	  "copy the file to every node and reload them; when all have it: mdcluster keygen --drop" },
	{ "drop", "drop", keyfile_drop,
	  "copy the file to every node and reload them; then the change is done" },
	{ "show", "show", NULL, NULL },
};

static const struct step make = {
	NULL, "create", keyfile_add_key,
	"copy the file to every node, over a safe way, as scp -p",
};

static enum cli_exit find_step(const struct cli_args *args, const struct step **step)
{
	size_t i;

	*step = &make;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!cli_has(args, steps[i].option))
			continue;
		if (*step != &make)
			return cli_usage("keygen: --%s and --%s are two steps: one at a time",
					 (*step)->option, steps[i].option);
		*step = &steps[i];
	}
	if (*step != &make && cli_has(args, "force"))
		return cli_usage("keygen: --force is for a new file, not for --%s",
				 (*step)->option);
	return CLI_OK;
}

/* The folder of the default path comes with us; any other is the caller's. */
static void make_default_folder(const char *path)
{
	if (strcmp(path, KEYFILE_DEFAULT_PATH) == 0)
		(void)mkdir("/etc/mdcluster", 0755); /* writing tells what is wrong */
}

static int create(const char *path, bool is_forced, struct keyfile *file,
		  struct err *err)
{
	int r = keyfile_add_key(file, err);

	make_default_folder(path);
	if (r == 0)
		r = keyfile_write(path, file, is_forced ? KEYFILE_REPLACE :
							  KEYFILE_CREATE, err);
	if (r == -EEXIST && !is_forced)
		r = err_set(err, r,
			    "%s, nothing was written (--add begins a change of keys; --force overwrites it, and cuts off the nodes that have it)",
			    err->text);
	return r;
}

static int change(const char *path, const struct step *step, struct keyfile *file,
		  struct err *err)
{
	int r = keyfile_read(path, file, err);

	if (r < 0 || !step->change)
		return r;
	r = step->change(file, err);
	if (r < 0)
		return err_prefix(err, "%s", path);
	return keyfile_write(path, file, KEYFILE_REPLACE, err);
}

static void print_json(const char *path, const struct step *step,
		       const struct keyfile *file)
{
	char sends[9], accepts[9];
	json_t *o;

	snprintf(sends, sizeof(sends), "%08" PRIx32,
		 seal_key_fingerprint(&file->keys[0]));
	snprintf(accepts, sizeof(accepts), "%08" PRIx32,
		 seal_key_fingerprint(&file->keys[1]));
	o = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "schema", SHOW_JSON_SCHEMA,
		      "file", path, "did", step->did, "sends_with", sends,
		      "accepts_too", file->count > 1 ? accepts : NULL);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static void print_text(const char *path, const struct step *step,
		       const struct keyfile *file)
{
	printf("%s: sends with key %08" PRIx32, path,
	       seal_key_fingerprint(&file->keys[0]));
	if (file->count > 1)
		printf(", accepts %08" PRIx32 " too",
		       seal_key_fingerprint(&file->keys[1]));
	printf("\n");
	if (step->next)
		printf("next: %s\n", step->next);
}

static enum cli_exit run(const struct cli_args *args)
{
	const char *path = KEYFILE_DEFAULT_PATH;
	struct keyfile file = { .count = 0 };
	struct err err = ERR_INIT;
	const struct step *step;
	char *const *operands;
	size_t count;
	int r;

	operands = cli_operands(args, &count);
	if (count > 1)
		return cli_usage("keygen: name one file");
	if (count == 1)
		path = operands[0];
	if (find_step(args, &step) != CLI_OK)
		return CLI_USAGE;
	if (step == &make)
		r = create(path, cli_has(args, "force"), &file, &err);
	else
		r = change(path, step, &file, &err);
	if (r == 0 && cli_has(args, "json"))
		print_json(path, step, &file);
	else if (r == 0 && (!cli_has(args, "quiet") || !step->change))
		print_text(path, step, &file);
	keyfile_wipe(&file);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cmd_keygen = {
	.name = "keygen",
	.operands = "[FILE]",
	.summary = "Make the cluster key, or change it while the cluster runs.",
	.options = options,
	.run = run,
};
