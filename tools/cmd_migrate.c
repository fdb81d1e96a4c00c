/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster migrate --check: may an array move between the kernel's md-cluster and mdclusterd,
 * and how. Facts are gathered here; migrate.c judges. Nothing is changed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slurp.h"
#include "base/text.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/disks.h"
#include "tools/host.h"
#include "tools/show_migrate.h"

enum { MODULES_MOST = 1 << 24 };

static const struct cli_option options[] = {
	{ "check", 0, NULL, "say whether it can move, and how (required: nothing is changed)" },
	{ "to-kernel", 0, NULL, "to the kernel's md-cluster (default: to mdclusterd)" },
	{ "no-color", 0, NULL, "no colours on a terminal (NO_COLOR does the same)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* What the facts point into. */
struct look {
	struct migrate_facts facts;
	struct kernel_view view;
	struct kernel_view_array plain; /* of the kernel's, but no clustered array */
	struct disk_set set;
	struct md_array array;
	char **paths;                   /* owned */
	size_t path_count;
};

/* --- the kernel ------------------------------------------------------------------------------- */

static bool is_word(const struct kernel_array *a, const char *word)
{
	if (strncmp(word, "/dev/", 5) == 0)
		word += 5;
	return strcmp(a->name, word) == 0;
}

static void note_running(struct look *look, const struct kernel_array *a)
{
	for (size_t i = 0; i < look->view.count; i++)
		if (look->view.arrays[i].array == a)
			look->facts.running = &look->view.arrays[i];
	if (!look->facts.running) {
		look->plain.array = a;
		look->facts.running = &look->plain;
	}
}

/* An array of the kernel's by its device, or by its name; NULL: it is a disk. */
static const struct kernel_array *find_array(const struct look *look, const char *word)
{
	const struct kernel_view_array *v = kernel_view_find(&look->view, word);

	for (size_t i = 0; !v && i < look->view.kernel.count; i++)
		if (is_word(&look->view.kernel.arrays[i], word))
			return &look->view.kernel.arrays[i];
	return v ? v->array : NULL;
}

static bool has_module(const char *root, const char *release, const char *name)
{
	static const char *const lists[] = { "modules.dep", "modules.builtin" };
	char path[PATH_MAX], file[64];
	bool is_there = false;
	struct stat st;

	snprintf(path, sizeof(path), "%s/sys/module/%s", root,
		 strcmp(name, "md-cluster") == 0 ? "md_cluster" : name);
	if (stat(path, &st) == 0)
		return true;
	snprintf(file, sizeof(file), "/%s.ko", name);
	for (size_t i = 0; i < 2 && !is_there; i++) {
		CLEANUP_FREE char *text = NULL;
		size_t length;

		snprintf(path, sizeof(path), "%s/lib/modules/%s/%s", root, release, lists[i]);
		text = slurp(path, MODULES_MOST, &length);
		is_there = text && strstr(text, file);
	}
	return is_there;
}

/* "AF_INET\t10.77.0.1", an address a line: the first */
static void read_cluster(struct migrate_facts *f, const char *root)
{
	char comms[PATH_MAX - 256], line[96];
	const struct dirent *e;
	DIR *dir;

	snprintf(comms, sizeof(comms), "%s/sys/kernel/config/dlm/cluster/comms", root);
	dir = opendir(comms);
	while (dir && f->node_count < MIGRATE_NODES && (e = readdir(dir)) != NULL) {
		struct migrate_node *n = &f->nodes[f->node_count];

		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !slurp_line(line, sizeof(line), "%s/%s/addr_list", comms, e->d_name) ||
		    sscanf(line, "AF_%*s %63s", n->address) != 1)
			continue;
		n->id = (uint32_t)strtoul(e->d_name, NULL, 10);
		f->node_count++;
	}
	if (dir)
		closedir(dir);
}

static int by_id(const void *a, const void *b)
{
	const struct migrate_node *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void read_host(struct migrate_facts *f)
{
	const char *root = host_root();

	(void)slurp_line(f->release, sizeof(f->release), "%s/proc/sys/kernel/osrelease", root);
	f->has_modules = has_module(root, f->release, "md-cluster") &&
			 has_module(root, f->release, "dlm");
	read_cluster(f, root);
	qsort(f->nodes, f->node_count, sizeof(f->nodes[0]), by_id);
}

/* --- disks -------------------------------------------------------------------------------------- */

static int add_path(struct look *look, const char *path, struct err *err)
{
	char **more = reallocarray(look->paths, look->path_count + 1, sizeof(*more));

	if (more)
		look->paths = more;
	if (!more || !(more[look->path_count] = strdup(path)))
		return err_nomem(err, "the list of disks");
	look->path_count++;
	return 0;
}

/* Of an array that the kernel runs: those that have not failed. */
static int take_disks_of(struct look *look, const struct kernel_array *a, struct err *err)
{
	int r = 0;

	note_running(look, a);
	for (size_t i = 0; r == 0 && i < a->disk_count; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/dev/%s", host_root(), a->disks[i].name);
		for (char *c = path + strlen(host_root()); *c; c++)
			if (*c == '!')
				*c = '/';
		if (!strstr(a->disks[i].state, "faulty"))
			r = add_path(look, path, err);
	}
	return r;
}

static int take_disks(struct look *look, char *const *words, size_t count, struct err *err)
{
	const struct kernel_array *a = count == 1 ? find_array(look, words[0]) : NULL;
	int r = 0;

	if (a)
		return take_disks_of(look, a, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_path(look, words[i], err);
	return r;
}

static int load(struct look *look, struct err *err)
{
	struct migrate_facts *f = &look->facts;
	const struct kernel_array *a;
	int r = disk_set_open(&look->set, look->paths, look->path_count, DISK_RDONLY, false, err);

	if (r < 0)
		return r;
	f->paths = look->paths;
	f->path_count = look->path_count;
	if (md_array_load_halves(&look->array, look->set.disks, look->set.count,
				 &f->load_err) < 0)
		return 0; /* that is told */
	f->array = &look->array;
	a = kernel_arrays_find(&look->view.kernel, md_array_freshest(f->array)->sb.set_uuid);
	if (a && !f->running)
		note_running(look, a);
	return 0;
}

/* --- the daemon --------------------------------------------------------------------------------- */

static bool is_in_use(const struct status_array *a)
{
	return !a->is_stopped && strcmp(a->state, "down") != 0;
}

static void ask_daemon(const struct cli_args *args, struct migrate_facts *f)
{
	struct err ignored = ERR_INIT;
	char uuid[TEXT_UUID_BYTES];
	struct status s;

	if (daemon_status(args, &s, &ignored) < 0)
		return;
	f->has_daemon = true;
	snprintf(f->daemon_cluster, sizeof(f->daemon_cluster), "%s", s.cluster);
	for (uint32_t i = 0; f->array && i < s.array_count; i++)
		if (strcmp(s.arrays[i].uuid,
			   text_uuid(md_array_freshest(f->array)->sb.set_uuid, uuid)) == 0) {
			snprintf(f->daemon_array, sizeof(f->daemon_array), "%s", s.arrays[i].name);
			f->is_daemons = is_in_use(&s.arrays[i]);
		}
	status_fini(&s);
}

/* --- the command -------------------------------------------------------------------------------- */

static void look_fini(struct look *look)
{
	if (look->facts.array)
		md_array_fini(&look->array);
	disk_set_close(&look->set);
	for (size_t i = 0; i < look->path_count; i++)
		free(look->paths[i]);
	free(look->paths);
	kernel_view_fini(&look->view);
}

static void print(const struct cli_args *args, const struct migration *m)
{
	struct terminal t = terminal_of(stdout, cli_has(args, "no-color"));
	json_t *json;

	if (!cli_has(args, "json")) {
		show_migrate(m, &t);
		return;
	}
	json = show_migrate_json(m);
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static int check(const struct cli_args *args, char *const *words, size_t count, bool *is_possible,
		 struct err *err)
{
	CLEANUP_FREE struct migration *m = calloc(1, sizeof(*m));
	CLEANUP_FREE struct look *look = calloc(1, sizeof(*look));
	int r;

	if (!m || !look)
		return err_nomem(err, "a judgement");
	look->facts.is_to_kernel = cli_has(args, "to-kernel");
	look->facts.kernel = &look->view;
	r = kernel_view_take(host_root(), &look->view, err);
	if (r == 0)
		r = take_disks(look, words, count, err);
	if (r == 0)
		r = load(look, err);
	if (r == 0) {
		read_host(&look->facts);
		ask_daemon(args, &look->facts);
		migrate_judge(&look->facts, m);
		print(args, m);
		*is_possible = m->is_possible;
	}
	look_fini(look);
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	bool is_possible = false;
	char *const *words;
	size_t count;

	setlocale(LC_CTYPE, "");
	words = cli_operands(args, &count);
	if (!cli_has(args, "check"))
		return cli_usage("migrate: give --check: it tells whether the array can move, and the commands for that; they are yours to give");
	if (count == 0)
		return cli_usage("migrate: name all disks of the array, or the device of one that the kernel runs");
	if (check(args, words, count, &is_possible, &err) < 0)
		return cli_fail(&err);
	return is_possible ? CLI_OK : CLI_FAILED;
}

const struct cli_command cmd_migrate = {
	.name = "migrate",
	.operands = "DISK...|MD-DEVICE",
	.summary = "Tell whether an array can move between the kernel and mdclusterd, and how.",
	.options = options,
	.exit_codes = "0 it can, 1 it cannot, or that could not be told, 2 usage",
	.run = run,
};
