/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "tools/show_status.h"

/* States on the way to active that last longer than this are told. */
#define PATIENCE_NS (10 * NS_PER_S)

struct doctor {
	const struct status *s;
	struct doctor_finding *findings;
	size_t count;
};

/* A new finding, with what is wrong; a scratch one where there is no room. */
static struct doctor_finding *find(struct doctor *d, enum status_health health,
				   const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct doctor_finding *find(struct doctor *d, enum status_health health,
				   const char *fmt, ...)
{
	struct doctor_finding *f = &d->findings[d->count];
	va_list ap;

	if (d->count + 1 < DOCTOR_MAX_FINDINGS)
		d->count++;
	*f = (struct doctor_finding){ .health = health };
	va_start(ap, fmt);
	(void)vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
	return f;
}

static void next(struct doctor_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void next(struct doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->next, sizeof(f->next), fmt, ap);
	va_end(ap);
}

static void command(struct doctor_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void command(struct doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->command, sizeof(f->command), fmt, ap);
	va_end(ap);
}

/* "", or " for 12 s". */
static const char *for_age(uint64_t ns, char to[TERMINAL_AGE_BYTES + 8])
{
	char age[TERMINAL_AGE_BYTES];

	to[0] = '\0';
	if (ns)
		snprintf(to, TERMINAL_AGE_BYTES + 8, " for %s", terminal_age(ns, age));
	return to;
}

/* --- the cluster ------------------------------------------------------------------------ */

static void list_missing(const struct status *s, char *to, size_t size)
{
	char name[SHOW_NODE_BYTES];
	size_t at = 0;

	to[0] = '\0';
	for (uint32_t i = 0; i < s->node_count && at < size; i++)
		if (!s->nodes[i].is_member)
			at += (size_t)snprintf(to + at, size - at, "%s%s", at ? ", " : "",
					       show_status_node(s, s->nodes[i].id, name));
}

static void look_at_quorum(struct doctor *d)
{
	const struct status *s = d->s;
	struct doctor_finding *f;
	char missing[256];

	if (s->is_quorate)
		return;
	list_missing(s, missing, sizeof(missing));
	if (s->quorum_waits[0])
		f = find(d, STATUS_DOWN,
			 "No quorum: %s. This node does no I/O, since another part of the cluster "
			 "may.", s->quorum_waits);
	else
		f = find(d, STATUS_DOWN,
			 "No quorum: this node's part of the cluster has %u of %u votes and needs "
			 "%u. It does no I/O, since another part may.%s%s", s->votes, s->expected,
			 s->quorum, missing[0] ? " Not here: " : "", missing);
	next(f, "Bring back enough of them: power, network, and mdclusterd on each. "
		"What runs on the arrays waits meanwhile, and goes on by itself then.");
	command(f, "mdcluster quorum");
}

static void look_at_ring(struct doctor *d)
{
	struct doctor_finding *f;

	if (strcmp(d->s->ring_state, "operational") == 0)
		return;
	f = find(d, STATUS_DEGRADED, "The ring is forming (%s): for an instant that is "
		 "normal, when a node comes or goes.", d->s->ring_state);
	next(f, "If it lasts, packets are lost between nodes: compare counters and MTU.");
	command(f, "mdcluster ring");
}

static void look_at_node(struct doctor *d, const struct status_node *n)
{
	char name[SHOW_NODE_BYTES], age[TERMINAL_AGE_BYTES + 8];
	struct doctor_finding *f;

	if (n->is_member)
		return;
	show_status_node(d->s, n->id, name);
	for_age(n->since_ns, age);
	if (n->is_dead || !n->waits[0]) {
		f = find(d, STATUS_DEGRADED, n->is_dead ?
			 "%s is dead, which is proven: what it owed is taken over.%s" :
			 "%s has been away%s.", name, n->is_dead ? "" : age);
		next(f, "Start it again when it is sound.");
		command(f, "ssh %s systemctl start mdclusterd", name);
		return;
	}
	f = find(d, STATUS_DEGRADED, "%s has not been heard of%s, and may still be writing: "
		 "until it is proven dead, nobody touches what it may have left different on "
		 "the disks (%.*s).", name, age, (int)strcspn(n->waits, ";"), n->waits);
	next(f, "It comes back by itself if it lives. If you know that it is off, and stays "
		"off until it is started anew, say so. Never say it of a node that may write.");
	command(f, "mdcluster confirm-dead %s", name);
}

/* --- an array --------------------------------------------------------------------------- */

static void look_at_state(struct doctor *d, const struct status_array *a)
{
	char age[TERMINAL_AGE_BYTES + 8], waits[SHOW_WAITS_BYTES];
	struct doctor_finding *f;

	for_age(a->state_since_ns, age);
	show_waits(a->waits, a->waits_since_ns, waits);
	if (strcmp(a->state, "failed") == 0 || (strcmp(a->state, "down") == 0 && waits[0])) {
		f = find(d, STATUS_DOWN, "%s could not be started%s%s.", a->name,
			 waits[0] ? ": " : "", waits[0] ? waits + strlen("waits: ") : "");
		next(f, "Mend that, then assemble it again, unless it comes by itself then.");
		command(f, "mdcluster assemble %s", a->name);
	} else if (strcmp(a->state, "down") == 0) {
		f = find(d, STATUS_DOWN, "%s is not in use on this node.", a->name);
		next(f, "Assemble it where it is wanted.");
		command(f, "mdcluster assemble %s", a->name);
	} else if (strcmp(a->state, "active") != 0 && a->state_since_ns >= PATIENCE_NS) {
		f = find(d, STATUS_DOWN, "%s has been %s%s%s%s.", a->name, a->state, age,
			 waits[0] ? "; it " : "", waits);
		next(f, "See who holds what it needs.");
		command(f, "mdcluster locks --waiting");
	} else if (strcmp(a->state, "active") == 0 && !a->is_gate_open && d->s->is_quorate) {
		f = find(d, STATUS_DOWN, "%s does no I/O: its gate is shut although there is a "
			 "quorum%s%s.", a->name, waits[0] ? "; it " : "", waits);
		next(f, "The lease comes back with the ring's token: see whether it goes round.");
		command(f, "mdcluster ring");
	}
}

/* "disk 1 (/dev/sdb)", "disk 1", "/dev/sdb": of one without a role. */
static void name_disk(const struct status_array *a, const struct status_disk *disk, char *to,
		      size_t size)
{
	if (disk->role >= a->raid_disks)
		snprintf(to, size, "%s", disk->path);
	else if (disk->path[0])
		snprintf(to, size, "disk %u (%s)", disk->role, disk->path);
	else
		snprintf(to, size, "disk %u", disk->role);
}

static void look_at_disk(struct doctor *d, const struct status_array *a,
			 const struct status_disk *disk)
{
	char name[STATUS_TEXT + 24], errors[40];
	struct doctor_finding *f;

	name_disk(a, disk, name, sizeof(name));
	snprintf(errors, sizeof(errors), ", after %" PRIu64 " error%s", disk->errors,
		 disk->errors == 1 ? "" : "s");
	f = find(d, STATUS_DEGRADED, "%s runs on %u of %u disks: %s is %s%s.", a->name,
		 a->disks_in_sync, a->raid_disks, name, disk->state,
		 disk->errors ? errors : "");
	next(f, a->disks_in_sync == 1 ? "The next disk that fails takes the array with it: "
					"look at this one, and replace it (mdcluster remove, add)." :
					"Look at this disk, and replace it (mdcluster remove, add).");
	if (strncmp(disk->path, "/dev/", 5) == 0)
		command(f, "smartctl -a %s", disk->path);
	else if (strcmp(disk->state, "missing") == 0)
		command(f, "mdcluster re-add %s missing", a->name);
	else
		command(f, "mdcluster detail %s", a->name);
}

/* What is recovered here is told as this node's work. */
static void look_at_recovery(struct doctor *d, const struct status_array *a)
{
	for (uint32_t i = 0; i < a->disk_count && !a->activity[0]; i++) {
		const struct status_disk *disk = &a->disks[i];
		unsigned int per_mille = terminal_per_mille(disk->recovered_sectors,
							    a->member_sectors);

		if (strcmp(disk->state, "rebuild") == 0 && disk->is_by_bitmap)
			find(d, STATUS_DEGRADED, "%s: %s gets what it missed. Nothing to do but "
			     "wait.", a->name, disk->path);
		else if (strcmp(disk->state, "rebuild") == 0)
			find(d, STATUS_DEGRADED, "%s: %s is recovered up to %u.%u %%. Nothing to "
			     "do but wait.", a->name, disk->path, per_mille / 10,
			     per_mille % 10);
	}
}

static void look_at_disks(struct doctor *d, const struct status_array *a)
{
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (show_is_bad_disk(a, &a->disks[i]) &&
		    strcmp(a->disks[i].state, "rebuild") != 0)
			look_at_disk(d, a, &a->disks[i]);
}

static void look_at_resync(struct doctor *d, const struct status_array *a)
{
	unsigned int per_mille = terminal_per_mille(a->done_sectors, a->total_sectors);
	char left[TERMINAL_AGE_BYTES], size[TEXT_SIZE_BYTES];

	if (a->activity[0] && strcmp(a->activity, "check") != 0)
		find(d, STATUS_DEGRADED, "%s: %s is %u.%u %% done%s%s. Nothing to do but wait.",
		     a->name, a->activity, per_mille / 10, per_mille % 10,
		     a->eta_ns ? ", and ends in about " : "",
		     a->eta_ns ? terminal_age(a->eta_ns, left) : "");
	else if (a->needed_bytes && a->disks_in_sync > 1)
		next(find(d, STATUS_DEGRADED, "%s: %s must be resynced here, and that does not go on "
			  "now.", a->name, text_size(a->needed_bytes, size)),
		     "It begins by itself when what it waits for is over.");
}

/* Of a node, of a quorum: that is told with the node, or first of all. */
static bool is_cause_told(const struct doctor *d, const struct status_array *a)
{
	bool is_told = !d->s->is_quorate;

	for (uint32_t i = 0; i < d->s->node_count; i++)
		is_told = is_told || d->s->nodes[i].waits[0];
	return is_told && (strstr(a->waits, "proof of death") || strstr(a->waits, "quorum"));
}

static void look_at_array(struct doctor *d, const struct status_array *a)
{
	char age[TERMINAL_AGE_BYTES + 8], waits[SHOW_WAITS_BYTES];
	bool is_active = strcmp(a->state, "active") == 0;
	struct doctor_finding *f;

	if (a->is_stopped)
		return;
	look_at_state(d, a);
	look_at_disks(d, a);
	look_at_recovery(d, a);
	look_at_resync(d, a);
	if (is_active && a->is_gate_open && a->waits[0] && !is_cause_told(d, a) &&
	    a->waits_since_ns >= PATIENCE_NS)
		command(find(d, STATUS_DEGRADED, "%s %s.", a->name,
			     show_waits(a->waits, a->waits_since_ns, waits)),
			"mdcluster locks --waiting");
	if (is_active && a->is_gate_open && a->parked && a->parked_since_ns >= PATIENCE_NS) {
		f = find(d, STATUS_DEGRADED, "%s: %u requests of programs have been waiting%s.",
			 a->name, a->parked, for_age(a->parked_since_ns, age));
		next(f, "They wait for a part of the array that a node resyncs.");
		command(f, "mdcluster status %s", a->name);
	}
	if (a->mismatch_sectors) {
		f = find(d, STATUS_DEGRADED, "%s: a check found %" PRIu64 " sectors that differ "
			 "between its disks.", a->name, a->mismatch_sectors);
		next(f, "See where (mdcluster events); repair makes them equal, which does not "
			"say which of them was right.");
		command(f, "mdcluster repair %s", a->name);
	}
}

static void worst_first(struct doctor *d)
{
	for (size_t i = 1; i < d->count; i++)
		for (size_t k = i; k > 0 && d->findings[k].health > d->findings[k - 1].health;
		     k--) {
			struct doctor_finding swap = d->findings[k];

			d->findings[k] = d->findings[k - 1];
			d->findings[k - 1] = swap;
		}
}

size_t doctor_examine(const struct status *s,
		      struct doctor_finding findings[DOCTOR_MAX_FINDINGS])
{
	struct doctor d = { .s = s, .findings = findings };

	look_at_quorum(&d);
	look_at_ring(&d);
	for (uint32_t i = 0; i < s->node_count; i++)
		look_at_node(&d, &s->nodes[i]);
	for (uint32_t i = 0; i < s->array_count; i++)
		look_at_array(&d, &s->arrays[i]);
	worst_first(&d);
	return d.count;
}
