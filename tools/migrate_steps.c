/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is typed where, in which order. At no moment may both have the array: who had it is
 * stopped on every node, and kept from starting it again, before the other begins.
 */
#include "tools/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "base/text.h"

static const char conf[] = "/etc/mdcluster/mdclusterd.conf";
static const char mdadm_conf[] = "/etc/mdadm/mdadm.conf";

static struct migrate_step *step(struct migration *to, const char *where, const char *why,
				 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static struct migrate_step *step(struct migration *to, const char *where, const char *why,
				 const char *fmt, ...)
{
	size_t at = min_u64(to->step_count, MIGRATE_STEPS - 1);
	struct migrate_step *s = &to->steps[at];
	va_list args;

	to->step_count = at + 1;
	*s = (struct migrate_step){ .where = where };
	snprintf(s->why, sizeof(s->why), "%s", why);
	va_start(args, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, args);
	va_end(args);
	return s;
}

/* Paths one behind the other, `between` them. */
static const char *list_paths(const struct migrate_facts *facts, const char *between, char *to,
			      size_t size)
{
	size_t at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < facts->path_count && at < size; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%s", i ? between : "",
				       facts->paths[i]);
	return to;
}

/* "/dev/md0" while the kernel has it; else the name that mdadm would give it */
static const char *device_of(const struct migrate_facts *facts, const struct migration *m,
			     char to[64])
{
	if (facts->running)
		snprintf(to, 64, "/dev/%s", facts->running->array->name);
	else
		snprintf(to, 64, "/dev/md/%s", m->name);
	return to;
}

static const char every[] = "every node", one[] = "one node", others[] = "the other nodes";

/* --- to mdclusterd ------------------------------------------------------------------------- */

static void add_conf(const struct migrate_facts *facts, struct migration *to, const char *uuid)
{
	char paths[MIGRATE_FILE_TEXT / 2];
	struct migrate_step *s = step(
		to, every, "the same file on all of them, but for this_node, or with the names of the hosts",
		"%s", "");
	size_t at = 0, size = sizeof(s->text);

	s->file = conf;
	if (!facts->has_daemon) /* else it has them */
		at += (size_t)snprintf(s->text, size,
				       "this_node = node%u\ncluster { name = \"%s\" }\n",
				       facts->kernel->node ? facts->kernel->node : 1, to->cluster);
	for (size_t i = 0; !facts->has_daemon && i < facts->node_count && at < size; i++)
		at += (size_t)snprintf(s->text + at, size - at,
				       "node node%u { id = %u  address = \"%s\" }\n",
				       facts->nodes[i].id, facts->nodes[i].id,
				       facts->nodes[i].address);
	if (facts->node_count == 0 && !facts->has_daemon && at < size)
		at += (size_t)snprintf(s->text + at, size - at,
				       "# node NAME { id = NUMBER  address = ADDRESS }, for each node\n");
	if (at < size)
		snprintf(s->text + at, size - at,
			 "array \"%s\" {\n\tuuid = \"%s\"\n\tscan = { \"%s\" }\n}\n", to->name, uuid,
			 list_paths(facts, "\", \"", paths, sizeof(paths)));
}

static void to_us(const struct migrate_facts *facts, struct migration *to)
{
	char device[64], uuid[TEXT_UUID_BYTES];

	text_uuid(to->uuid, uuid);
	device_of(facts, to, device);
	if (facts->running) {
		step(to, every, "nothing may use it any more: file systems, virtual machines, LVM",
		     "umount %s", device);
		step(to, every, "the kernel lets go of it", "mdadm --stop %s", device);
	}
	step(to, every, "mdadm and udev leave it alone from now on", "ARRAY <ignore> UUID=%s", uuid)
		->file = mdadm_conf;
	if (!facts->has_daemon || !facts->daemon_array[0])
		add_conf(facts, to, uuid);
	if (!facts->has_daemon) {
		step(to, one, "the key of the cluster; then copy it to the others, readable by root alone",
		     "mdcluster keygen");
		step(to, every, "the daemons find each other", "systemctl enable --now mdclusterd");
	} else if (!facts->daemon_array[0]) {
		step(to, every, "the daemons learn of it", "mdcluster reload");
	}
	step(to, every, "it goes into use; what the slots say is resynced",
	     "mdcluster assemble %s", facts->daemon_array[0] ? facts->daemon_array : to->name);
	step(to, one, "when this returns all disks are equal", "mdcluster status --wait=idle %s",
	     facts->daemon_array[0] ? facts->daemon_array : to->name);
}

/* --- to the kernel ---------------------------------------------------------------------------- */

static void to_kernel(const struct migrate_facts *facts, struct migration *to)
{
	const char *name = facts->daemon_array[0] ? facts->daemon_array : to->name;
	char paths[MIGRATE_FILE_TEXT / 2], device[64], uuid[TEXT_UUID_BYTES];

	device_of(facts, to, device);
	list_paths(facts, " ", paths, sizeof(paths));
	if (facts->is_daemons) {
		step(to, every, "nothing may use it any more; a device that was attached goes",
		     "mdcluster detach %s", name);
		step(to, every, "mdclusterd lets go of it", "mdcluster stop %s", name);
	}
	step(to, every, "mdclusterd does not take it again: auto = no, in its section; then mdcluster reload",
	     "array \"%s\" { auto = no }", name)
		->file = conf;
	if (to->is_gather_due)
		step(to, one, "while nobody runs it: all dirty bits to slot 0",
		     "mdcluster update --gather %s", paths);
	step(to, every, "mdadm and udev may have it again: take out its line ARRAY <ignore>",
	     "ARRAY %s UUID=%s", device, text_uuid(to->uuid, uuid))
		->file = mdadm_conf;
	step(to, every, "corosync and the kernel's DLM, of that cluster",
	     "systemctl enable --now corosync dlm && modprobe md-cluster");
	step(to, one, "the first node gets slot 0", "mdadm --assemble %s %s", device, paths);
	step(to, one, "what slot 0 says is resynced; it ends with 1 where that was nothing",
	     "mdadm --wait %s", device);
	step(to, others, "one after the other", "mdadm --assemble %s %s", device, paths);
}

void migrate_make_steps(const struct migrate_facts *facts, struct migration *to)
{
	if (facts->is_to_kernel)
		to_kernel(facts, to);
	else
		to_us(facts, to);
}
