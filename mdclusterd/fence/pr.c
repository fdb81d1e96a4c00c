/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/pr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

enum { ATTEMPTS = 6, UNIT_ATTENTION = 6, ILLEGAL_REQUEST = 5, NOT_READY = 2 };
enum { NO_COMMUNICATION = 0x08 }; /* asc: with the logical unit */

/* --- one command ---------------------------------------------------------------------------- */

/* A unit attention tells of something that was, and the command was not done: once more. */
static bool is_worth_another(const struct pr_answer *a)
{
	return (a->status == PR_CHECK_CONDITION && a->sense.key == UNIT_ATTENTION) ||
	       a->status == PR_BUSY || a->status == PR_TASK_SET_FULL;
}

static int judge(const struct pr_disk *disk, const char *what, const struct pr_answer *a,
		 struct err *err)
{
	if (a->status == PR_GOOD)
		return 0;
	if (a->status == PR_RESERVATION_CONFLICT)
		return err_set(err, -EBADE, "%s: %s: reservation conflict", disk->path, what);
	if (a->status == PR_CHECK_CONDITION && a->sense.key == ILLEGAL_REQUEST)
		return err_set(err, -EOPNOTSUPP, "%s: does not know how to: %s (%02x/%02x)",
			       disk->path, what, a->sense.asc, a->sense.ascq);
	/* so LIO fails a registration that it cannot write down */
	if (a->status == PR_CHECK_CONDITION && a->sense.key == NOT_READY &&
	    a->sense.asc == NO_COMMUNICATION)
		return err_set(err, -EIO, "%s: %s: the target cannot keep it over a power cut (%x/%02x/%02x); where it is LIO: mkdir -p /var/target/pr there, or pr in the folder that its dbroot names",
			       disk->path, what, a->sense.key, a->sense.asc, a->sense.ascq);
	return err_set(err, -EIO, "%s: %s: status %02x, sense %x/%02x/%02x", disk->path, what,
		       a->status, a->sense.key, a->sense.asc, a->sense.ascq);
}

static int run(const struct pr_disk *disk, const char *what, const uint8_t *cdb, void *data,
	       size_t length, bool is_out, size_t *read, struct err *err)
{
	struct pr_answer a;
	int r;

	for (int i = 0; i < ATTEMPTS; i++) {
		a = (struct pr_answer){ 0 };
		r = disk->ops->command(disk->owner, cdb, data, length, is_out, &a);
		if (r < 0)
			return err_set(err, r, "%s: %s: %s", disk->path, what, strerror(-r));
		if (!is_worth_another(&a))
			break;
	}
	*read = a.length;
	return judge(disk, what, &a, err);
}

static int out(const struct pr_disk *disk, enum pr_out action, const char *what, uint64_t key,
	       uint64_t action_key, bool aptpl, struct err *err)
{
	uint8_t cdb[PR_CDB_BYTES], parameters[PR_OUT_BYTES];
	size_t read;

	pr_out_cdb(action, cdb);
	pr_out_parameters(key, action_key, aptpl, parameters);
	return run(disk, what, cdb, parameters, sizeof(parameters), true, &read, err);
}

static int in(const struct pr_disk *disk, enum pr_in action, const char *what, uint8_t *to,
	      uint16_t length, size_t *read, struct err *err)
{
	uint8_t cdb[PR_CDB_BYTES];

	pr_in_cdb(action, length, cdb);
	return run(disk, what, cdb, to, length, false, read, err);
}

static int nonsense(const struct pr_disk *disk, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: what it says of its reservations makes no sense",
		       disk->path);
}

/* --- what there is ------------------------------------------------------------------------------ */

struct state {
	struct pr_keys keys;
	struct pr_reservation reservation;
	uint8_t bytes[PR_KEYS_BYTES];
};

static bool has_key(const struct state *s, uint64_t key)
{
	for (size_t i = 0; i < s->keys.count; i++)
		if (s->keys.keys[i] == key)
			return true;
	return false;
}

static bool has_other_key(const struct state *s, uint64_t key)
{
	for (size_t i = 0; i < s->keys.count; i++)
		if (s->keys.keys[i] != key)
			return true;
	return false;
}

static bool stands(const struct state *s)
{
	return s->reservation.is_held && s->reservation.type == PR_WRITE_EXCLUSIVE_REGISTRANTS;
}

static int look(const struct pr_disk *disk, struct state *s, struct err *err)
{
	size_t n;
	int r = in(disk, PR_READ_KEYS, "read keys", s->bytes, sizeof(s->bytes), &n, err);

	if (r == 0 && pr_read_keys(s->bytes, n, &s->keys) < 0)
		r = nonsense(disk, err);
	if (r == 0 && s->keys.is_cut)
		r = err_set(err, -E2BIG, "%s: has more than %d keys", disk->path, PR_MAX_KEYS);
	if (r == 0)
		r = in(disk, PR_READ_RESERVATION, "read reservation", s->bytes,
		       PR_RESERVATION_BYTES, &n, err);
	if (r == 0 && pr_read_reservation(s->bytes, n, &s->reservation) < 0)
		r = nonsense(disk, err);
	return r;
}

static struct state *new_state(struct err *err)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		err_nomem(err, "reservations");
	return s;
}

static int capabilities(const struct pr_disk *disk, struct pr_capabilities *c, struct err *err)
{
	uint8_t bytes[PR_CAPABILITIES_BYTES];
	size_t n;
	int r = in(disk, PR_REPORT_CAPABILITIES, "report capabilities", bytes, sizeof(bytes), &n,
		   err);

	if (r == 0 && pr_read_capabilities(bytes, n, c) < 0)
		r = nonsense(disk, err);
	return r;
}

int pr_check(const struct pr_disk *disk, struct err *err)
{
	CLEANUP_FREE struct state *s = new_state(err);
	struct pr_capabilities c;
	int r = s ? capabilities(disk, &c, err) : err->code;

	if (r == 0 && !c.has_type)
		r = err_set(err, -EOPNOTSUPP, "%s: has no reservations of type write exclusive, registrants only",
			    disk->path);
	return r < 0 ? r : look(disk, s, err);
}

/* --- taking part ------------------------------------------------------------------------------------ */

/* Several may try at once: that one has it is enough. */
static int reserve(const struct pr_disk *disk, uint64_t key, struct state *s, struct err *err)
{
	struct err conflict = ERR_INIT;
	int r = 0;

	if (!s->reservation.is_held) {
		r = out(disk, PR_RESERVE, "reserve", key, 0, false, &conflict);
		if (r < 0 && r != -EBADE) {
			*err = conflict;
			return r;
		}
		r = look(disk, s, err);
	}
	if (r == 0 && !stands(s))
		r = err_set(err, -EBUSY, "%s: key 0x%016" PRIx64 " holds a reservation of type %u: `sg_persist` tells whose it is",
			    disk->path, s->reservation.key, s->reservation.type);
	return r;
}

int pr_register(const struct pr_disk *disk, uint64_t key, struct err *err)
{
	CLEANUP_FREE struct state *s = new_state(err);
	struct pr_capabilities c = { 0 };
	int r = s ? capabilities(disk, &c, err) : err->code;

	if (r == 0)
		r = out(disk, PR_REGISTER_IGNORE, "register", 0, key, c.persists, err);
	if (r == 0)
		r = look(disk, s, err);
	return r < 0 ? r : reserve(disk, key, s, err);
}

static int revoked(const struct pr_disk *disk, uint64_t key, struct err *err)
{
	return err_set(err, -EKEYREVOKED, "%s: our key 0x%016" PRIx64 " is gone: this node was fenced",
		       disk->path, key);
}

int pr_watch(const struct pr_disk *disk, uint64_t key, struct err *err)
{
	CLEANUP_FREE struct state *s = new_state(err);
	int r = s ? look(disk, s, err) : err->code;

	if (r < 0)
		return r;
	if (!has_key(s, key))
		return revoked(disk, key, err);
	return stands(s) ? 0 : reserve(disk, key, s, err);
}

int pr_preempt(const struct pr_disk *disk, uint64_t key, uint64_t victim, bool aborts,
	       struct err *err)
{
	enum pr_out how = aborts ? PR_PREEMPT_AND_ABORT : PR_PREEMPT;
	CLEANUP_FREE struct state *s = new_state(err);
	int r = pr_watch(disk, key, err);

	if (r == 0)
		r = s ? look(disk, s, err) : err->code;
	if (r == 0 && has_key(s, victim)) {
		r = out(disk, how, aborts ? "preempt and abort" : "preempt", key, victim, false,
			err);
		if (r == 0)
			r = look(disk, s, err);
	}
	if (r < 0)
		return r;
	if (!has_key(s, key))
		return revoked(disk, key, err);
	if (has_key(s, victim))
		return err_set(err, -EIO, "%s: key 0x%016" PRIx64 " is still registered after it was preempted",
			       disk->path, victim);
	return stands(s) ? 0 : err_set(err, -EIO, "%s: nobody holds the reservation", disk->path);
}

int pr_leave(const struct pr_disk *disk, uint64_t key, bool is_last, struct err *err)
{
	CLEANUP_FREE struct state *s = new_state(err);
	int r = s ? look(disk, s, err) : err->code;

	if (r < 0 || !has_key(s, key))
		return r;
	if (is_last || !has_other_key(s, key))
		return out(disk, PR_CLEAR, "clear", key, 0, false, err);
	if (s->reservation.is_held && s->reservation.key == key)
		return 0;
	return out(disk, PR_REGISTER, "unregister", key, 0, false, err);
}
