/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the array's files share. All callbacks do is write down what came; what follows
 * from it is done by array_go(), which looks at everything and asks for what can be
 * asked for now. So no event is lost for coming early, late, or twice.
 *
 *	array.c          the life: states, and what is looked at in which order
 *	array_ask.c      asking and being answered; what is tried again; time
 *	array_join.c     JOIN, OWN, ACTIVATE: lockspace, own slot, superblocks
 *	array_members.c  who is there, and what follows for their slots (V2, V4)
 *	array_slots.c    the locks bitmapNNNN of others; ranges that are suspended (V3)
 *	array_recover.c  a slot that nobody has (V2, D3, shares)
 *	array_tell.c     the own lock value and RESYNCING: what others know of this node
 *	array_resync.c   windows (V5)
 *	array_sweep.c    the lock `resync`: who goes over all of the array
 *	array_scrub.c    check and repair
 *	array_rebuild.c  spares get roles, and become equal to the others
 *	array_change.c   disks that people add and remove
 *	array_grow.c     another size, number of disks, or bitmap
 *	array_freeze.c   FROZEN: what all nodes are meanwhile
 *	array_deed.c     what is done with TOKEN, one thing after the other
 *	array_disks.c    superblocks read anew (D7)
 *	array_fail.c     disks that fail (D9)
 *	array_messages.c what others say
 *	array_leave.c    LEAVE and LOST (V7, V8)
 *	array_look.c     what people see (V6), events
 */
#pragma once

#include "lockres/lockspace.h"
#include "mdclusterd/array/array.h"
#include "mdclusterd/array/array_value.h"
#include "msg/channel.h"

#define ARRAY_RETRY_MIN_NS   (100 * 1000000ull)
#define ARRAY_RETRY_MAX_NS   (5000 * 1000000ull)
#define ARRAY_ASK_AGAIN_NS   (500 * 1000000ull)  /* others may want their share */
#define ARRAY_LAST_WORDS_NS  (400 * 1000000ull)  /* V7: as long as a leaver talks */
#define ARRAY_CLOSE_NS       (400 * 1000000ull)  /* V7: and waits for its lockspace */
#define ARRAY_WRITES_SUFFER_NS (50 * 1000000ull)
#define ARRAY_PROGRESS_NS    (10 * 1000000000ull) /* of a rebuild, saved: that often, or */
#define ARRAY_UNREAD_TRIES   3                    /* ... of what is rebuilt from */
#define ARRAY_REFUSED_NS     (60 * 1000000000ull) /* a spare that could not be used */
#define ARRAY_PROGRESS_PARTS 16                   /* ... a part of the array further */

#define ARRAY_NO_ROLE METADATA_NO_ROLE

/* A request of the plane, or the metadata; one at a time each. */
struct array_ask {
	struct plane_request req;
	struct array *array;
	void (*then)(struct array *a, struct plane_request *req, int result);
	bool is_out;
};

struct array_work {
	struct metadata_request req;
	struct metadata_view view; /* where the op writes one */
	struct array *array;
	void (*then)(struct array *a, struct metadata_request *req, int result);
	bool is_out;
};

/* What failed, and is tried again. */
struct array_retry {
	uint64_t at_ns, wait_ns;
};

struct array_range {
	uint64_t low, high; /* sectors; 0, 0: none */
};

/*
 *	NONE --> IDLE (NL) --> READ (CR) ----> BACK --> IDLE
 *	              `-----> WANTED --> HELD --^   (PW)
 *	                          `--> IDLE             cancelled
 */
enum array_slot_lock {
	SLOT_LOCK_NONE,
	SLOT_LOCK_FIRST, /* NL is asked for */
	SLOT_LOCK_IDLE,
	SLOT_LOCK_READ,
	SLOT_LOCK_WANTED,
	SLOT_LOCK_HELD,
	SLOT_LOCK_BACK,
};

struct array_slot {
	struct array *array;
	int number;
	struct lockres lock;
	enum array_slot_lock lock_state;
	bool is_initialised;   /* the lock is */
	bool is_cancelling;

	bool is_member;
	uint32_t node;         /* of a member */
	bool is_missing;       /* V6: for people only */
	uint64_t since_ns;     /* missing, or in its window */
	bool is_dead;          /* by recover_slot(), until recover_done() */
	bool is_leaving;       /* it said BITMAP_NEEDS_SYNC */

	/* V2 */
	bool is_mapped;
	bool has_asked;        /* it had its share in asked_generation */
	uint32_t asked_generation;
	uint64_t taken;        /* chunks of it that are this node's now */
	struct array_retry retry;

	/* V4: of a member; until it is known: true */
	bool owes;
	bool must_read;        /* its lock value */
	bool is_overtaken;     /* a message came while it was read */
	bool is_taken_over;    /* it was mapped as its member came: who took a share of it? */

	/* V3 */
	struct array_range window;   /* as it was told */
	struct array_range applied;  /* as the plane knows it */
	struct array_range applying; /* the request's */
	struct array_ask suspend;
	struct array_retry suspend_retry;
};

/* The one slot that is recovered now. */
enum array_recovery_step {
	RECOVERY_NONE,
	RECOVERY_READ,
	RECOVERY_NEED,
	RECOVERY_FLAG,   /* the own lock value says that a resync is owed */
	RECOVERY_CLEAR,
};

struct array_recovery {
	enum array_recovery_step step;
	int slot;
	struct array_value value;  /* of the slot, as PW found it */
	uint8_t *bits;             /* as read; then the share alone */
	uint64_t dirty, taken;     /* chunks */
	struct array_ask need;
	struct array_work work;
};

struct array_tell {
	struct array_range want, stored, heard, held, saying;
	struct array_range promised; /* of `saying`: what was stored all the while */
	bool owes, stored_owes, said_owes, saying_owes;
	bool is_stored;        /* the own value was written at all */
	bool is_storing, is_saying;
	bool is_unsure;        /* some may have heard the last one, some not */
	bool is_refused;       /* resync: choose anew */
	bool storing_owes;
	struct array_range storing;
	struct msg_send send;
	struct array_retry retry;
};

struct array_resync {
	bool is_running;       /* told as started */
	bool compares;         /* before it writes: hardly anything differs */
	enum plane_sync_kind kind;
	struct array_range current, next;
	bool is_syncing;
	bool is_exhausted;     /* nothing behind the current one */
	uint64_t position;     /* where to look for the next one */
	bool is_wrapped;       /* looked from 0 since the last progress */
	bool is_unread;        /* some of it can be read on no disk; that was told */
	uint64_t window_bytes;
	uint64_t done_chunks, began_ns, speed_bytes;
	uint64_t needed_before; /* the one that is copied, chunks */
	bool is_busy;          /* applications are at work: pauses between windows */
	uint64_t pause_until_ns;
	struct array_ask window, sync;
	struct array_retry retry;
};

struct array_reload {
	uint64_t wanted, running, loaded, done, failed; /* tickets */
	bool must_tell;        /* the view is not the plane's yet */
	struct err why;        /* of `failed` */
	struct array_work work;
	enum metadata_disk_state told[METADATA_MAX_DISKS];
	uint32_t told_number[METADATA_MAX_DISKS]; /* dev_number */
	uint32_t anew;         /* roles whose disk goes, and comes, for the plane gave it up */
	uint32_t setting;      /* role; ARRAY_NO_ROLE: none */
	struct array_ask set_disk;
	struct array_retry retry;
};

/* What is done with TOKEN. */
enum array_deed_step {
	DEED_NONE, DEED_TOKEN, DEED_THINKS, DEED_WORK, DEED_PLANE, DEED_SAY, DEED_END,
};

struct array_deed {
	enum array_deed_step step;
	/* TOKEN is here, or what was asked for is over; result < 0: `why`. */
	void (*next)(struct array *a, struct array_deed *d, int result);
	/* It is idle again; it never had TOKEN: `why`. */
	void (*ended)(struct array *a, struct array_deed *d);
	struct array *array;
	uint64_t ticket;       /* of the view that it made */
	struct err why;
	struct msg_compound compound;
	struct msg_send send;
	struct array_work work;
};

enum array_fail_step {
	FAIL_NONE, FAIL_TOKEN, FAIL_WRITE, FAIL_PLANE, FAIL_EVENTS, FAIL_SAY, FAIL_TELL,
};

struct array_fail {
	enum array_fail_step step;
	/* Roles, bits. The plane holds writes without those of `by_plane` and `gone`. */
	uint32_t waiting;      /* they are to be failed */
	uint32_t by_plane;     /* and of these: found by the plane */
	uint32_t gone;         /* by the superblocks; whether all know is not known here */
	uint32_t said;         /* `gone` as the message began that tells all */
	uint32_t role;         /* that is failed now; ARRAY_NO_ROLE: none, it is said only */
	struct array_deed deed;
	struct array_ask events;
	struct array_retry retry;
};

enum array_sweep_step { SWEEP_NONE, SWEEP_LOCK, SWEEP_RUNS, SWEEP_UNLOCK };

struct array_sweep {
	enum array_sweep_step step;
	enum plane_sync_kind kind; /* CHECK, REPAIR, REBUILD */
	bool is_on;            /* windows go on */
	bool is_cancelled;
	uint64_t position, mismatch_sectors, began_ns;
	struct lockres lock;   /* `resync` */
	bool is_initialised, has_null;
};

enum array_change_step {
	CHANGE_NONE, CHANGE_TOKEN, CHANGE_PREPARE, CHANGE_ANNOUNCE, CHANGE_WRITE, CHANGE_PLANE,
	CHANGE_LOOK, CHANGE_SAY, CHANGE_FORGET, CHANGE_CLOSE, CHANGE_UNDO,
};

struct array_changing {
	struct qb_list_head waiting; /* array_change.link */
	enum array_change_step step;
	bool is_running;
	struct array_change *who;    /* NULL: who asked has gone */
	enum array_change_kind kind;
	char path[256];
	bool is_forced, is_re_add;
	bool is_written, is_said;
	bool is_taken_back;          /* somebody refused it: why */
	bool was_spare;              /* REMOVE */
	uint32_t number, role;
	uint8_t uuid[16];            /* of one that comes */
	int result;
	struct err why;              /* of result */
	struct array_deed deed;
	struct array_retry retry;
};

enum array_rebuild_deed { REBUILD_ASSIGNS, REBUILD_SAVES, REBUILD_FINISHES };
enum array_rebuild_step {
	REBUILD_NONE, REBUILD_TOKEN, REBUILD_LOOK, REBUILD_WRITE, REBUILD_SAVE, REBUILD_PLANE,
	REBUILD_SAY,
};

struct array_rebuild {
	uint64_t ticket;       /* of what the superblocks said after the lock came */
	uint32_t seen;         /* roles that are rebuilt, and were told */
	uint32_t pass;         /* those of them that the sweep is for */
	uint8_t uuids[METADATA_MAX_DISKS][16]; /* of `seen` */
	uint64_t saved, saving, save_at_ns; /* position */
	uint32_t refused;      /* dev_number of a spare that could not be used, */
	uint64_t refused_until_ns; /* ... and is left alone until then */
	enum array_rebuild_deed deeds;
	enum array_rebuild_step step;
	uint32_t role;         /* of the deed */
	bool is_say_owed;      /* the superblocks say it, and not all may know */
	uint32_t fresh;        /* role of the disk that is said; ARRAY_NO_ROLE: none is new */
	bool is_taken_back;    /* somebody refused it */
	uint32_t unread_tries; /* in a row, of a place that no disk can read */
	struct err why;        /* the pass ended without an end */
	struct array_deed deed;
	struct array_retry retry;
};

enum array_freeze_step {
	FREEZE_NONE, FREEZE_QUIET, FREEZE_DRAIN, FREEZE_WITHDRAW, FREEZE_STOP, FREEZE_WAIT,
	FREEZE_DONE,
};

struct array_freeze {
	enum array_freeze_step step;
	int by;                /* slot of who froze it */
	bool must_thaw, is_withdrawn;
	struct array_ask ask;
};

enum array_grow_step {
	GROW_NONE, GROW_TOKEN, GROW_AGAIN, GROW_SAY, GROW_FREEZE, GROW_WRITE, GROW_TELL, GROW_JUDGE,
};

struct array_growing {
	enum array_grow_step step;
	bool is_running, is_written;
	bool is_begun;          /* some disk may have it */
	struct array_grow *who; /* NULL: who asked has gone */
	struct md_grow grow;
	char name[MD_NAME_BYTES + 1];
	uint64_t sectors_before;
	int result;
	struct err why;        /* of result */
	struct array_deed deed;
};

enum array_activate_step { ACTIVATE_NONE, ACTIVATE_TOKEN, ACTIVATE_READ, ACTIVATE_ASK,
			   ACTIVATE_WRITE, ACTIVATE_SAY };

struct array_activate {
	enum array_activate_step step;
	bool is_done;
	uint64_t before;       /* events, as they were read */
	struct array_deed deed;
};

enum array_end {
	END_NONE,
	END_LOST,  /* joins anew */
	END_FAIL,  /* to FAILED */
	END_STOP,  /* to DOWN */
};

enum array_leave_step {
	LEAVE_NONE, LEAVE_DRAIN, LEAVE_COUNT, LEAVE_SAY, LEAVE_STOP, LEAVE_WAIT, LEAVE_DISKS,
	LEAVE_CLOSE,
};

struct array_leave {
	enum array_leave_step step;
	uint64_t until_ns;     /* of the last words; of CLOSE */
	struct msg_send send;
	bool is_saying, is_said, is_told;
	bool may_end;          /* the lockspace is closed, and the channel silent */
	struct array_ask ask;
	struct array_work work;
};

/* For what it waits, the first of these that is so (V6). */
enum array_wait {
	ARRAY_WAIT_NONE,
	ARRAY_WAIT_LEAVE,
	ARRAY_WAIT_MEMBER,      /* one is missing: nothing is granted */
	ARRAY_WAIT_JOIN,        /* lockspace, token */
	ARRAY_WAIT_SLOT,
	ARRAY_WAIT_RECOVERY,
	ARRAY_WAIT_QUORUM,
	ARRAY_WAIT_FAILURE,     /* all shall know of a failed disk (D9) */
	ARRAY_WAIT_DISK,        /* to resync to */
	ARRAY_WAIT_RETRY,
};

struct array {
	struct array_config config;
	char *name, *cluster;
	struct lockspace_engine *locks;
	struct metadata_runner *metadata;
	struct plane *plane;
	struct array_ops ops;
	void *owner;

	enum array_state state;
	uint64_t state_since_ns;
	enum array_end ending;
	bool is_going, must_go;
	uint64_t deadline_ns;
	unsigned int out;       /* asks and works */
	bool was_active;
	enum array_wait wait;
	uint64_t wait_since_ns;
	struct err why;
	struct array_retry life_retry;
	struct array_work life_work;
	struct array_ask life_ask;

	/* ASSEMBLE */
	bool has_view;
	struct metadata_view view;       /* as the superblocks have it */
	struct metadata_view plane_view; /* borrowed by the plane's requests */
	uint64_t degraded_since_ns;

	/* JOIN */
	struct lockspace *space;
	bool is_member, is_thawed, is_ready, is_lost, is_broken, is_closed;
	struct msg_channel *channel;
	int our_slot;
	bool is_slot_told;
	uint32_t generation;
	size_t member_count;
	struct array_slot slots[ARRAY_MAX_NODES];
	unsigned int first_locks;       /* NL that did not come yet */
	bool is_owner;                  /* PW */

	/* a message of another node that is not answered yet */
	bool is_handling;
	struct msg handling;
	uint64_t handling_ticket;
	struct array_work hear_work;    /* for it */
	bool is_missed;                 /* of what went by before it */
	uint64_t missed_ticket;

	bool is_recovering_d7;
	uint64_t d7_ticket;
	struct array_retry d7_retry;
	bool is_d7_declined;
	bool is_reload_owed;            /* since a death */
	uint64_t death_ticket;

	/* the plane */
	bool is_plane_started, is_plane_stopping, is_serving, is_drained;
	bool is_quorate, is_gate_open, is_single_source;
	uint64_t needed_chunks;
	uint64_t min_speed_bytes, max_speed_bytes;

	struct array_activate activate;
	struct array_recovery recovery;
	struct array_tell tell;
	struct array_resync resync;
	struct array_sweep sweep;
	struct array_rebuild rebuild;
	struct array_changing change;
	struct array_freeze freeze;
	struct array_growing grow;
	struct array_reload reload;
	struct array_fail fail;
	struct array_leave leave;
};

/* --- array.c, array_ask.c --------------------------------------------------------------------------- */

uint64_t array_now(const struct array *a);
void array_set_deadline(struct array *a);
/* Something changed: does what can be done. From within itself: once more, later. */
void array_go(struct array *a);
void array_move(struct array *a, enum array_state to);
/* Ends this life, in FAILED, or, where it was active before, anew after a wait. */
void array_cannot(struct array *a, const struct err *why);
void array_ask(struct array *a, struct array_ask *ask, enum plane_op op,
	       void (*then)(struct array *a, struct plane_request *req, int result));
void array_work(struct array *a, struct array_work *work, enum metadata_op op,
		void (*then)(struct array *a, struct metadata_request *req, int result));
bool retry_may(const struct array *a, const struct array_retry *r);
void retry_later(struct array *a, struct array_retry *r);
void retry_fine(struct array_retry *r);
/* Says so (ARRAY_EVENT_RETRY), and waits. */
void array_retry(struct array *a, struct array_retry *r, const struct err *why);
/* The plane serves this node's slot, and takes requests. */
bool array_has_plane(const struct array *a);
/* This life ends, or has lost what it goes by: nothing new is begun. */
bool array_is_over(const struct array *a);
/* May messages be sent now? */
bool array_may_say(const struct array *a);

static inline bool range_is_none(struct array_range r)
{
	return r.high == 0;
}

static inline bool range_equal(struct array_range a, struct array_range b)
{
	return a.low == b.low && a.high == b.high;
}

static inline bool range_overlaps(struct array_range a, struct array_range b)
{
	return a.low < b.high && b.low < a.high;
}

static inline bool range_holds(struct array_range a, struct array_range b)
{
	return a.low <= b.low && b.high <= a.high;
}

/* --- the parts; *_go(): what can be done now --------------------------------------------- */

void join_go(struct array *a);
bool join_open(struct array *a);
void activate_go(struct array *a);
/* Locks and channel of a lockspace that is closed; all that it guarded. */
void join_forget(struct array *a);

void members_changed(struct array *a, const struct lockspace_member *members, size_t count);
void members_died(struct array *a, uint32_t node, int slot);
/* Anew, behind what is asked for now. */
void members_read_all(struct array *a);
bool members_all_recovered(const struct array *a); /* no slot is mapped */
bool members_want_single_source(const struct array *a);
bool members_is_reporter(const struct array *a);

bool slots_init(struct array *a, struct err *err);
void slots_fini(struct array *a);
void slots_go(struct array *a);
/* All ranges are as they were told, all lock values are read. */
bool slot_is_settled(const struct array_slot *s);
bool slots_are_settled(const struct array *a);
/* What cannot be asked for means that the lockspace is of no use: then false. */
bool slot_convert(struct array_slot *s, enum array_slot_lock state, enum lock_mode mode,
		  uint32_t flags);
void slot_release(struct array_slot *s, const struct array_value *value);
void slot_set_window(struct array_slot *s, uint64_t low, uint64_t high);
struct array_slot *slot_own(struct array *a);

void recovery_go(struct array *a);
void recovery_forget(struct array *a);

void tell_go(struct array *a);
void tell_stored(struct array *a, const struct lock_result *result);
/* The own lock value says that a resync is owed, or not; and the window is `want`. */
bool tell_is_stored(const struct array *a);
/* Where a resync is owed, the own lock value says so. */
bool tell_owes_is_stored(const struct array *a);

void resync_go(struct array *a);
void resync_set_needed(struct array *a, uint64_t chunks);
/* Does a window of this node overlap, that all have acknowledged? */
bool resync_holds(const struct array *a, struct array_range r);

bool sweep_init(struct array *a, struct err *err);
void sweep_fini(struct array *a);
/* flags: LOCK_NOQUEUE, or 0. ..._granted() comes; false: the lockspace takes no request. */
bool sweep_ask(struct array *a, enum plane_sync_kind kind, uint32_t flags);
bool sweep_is_ours(const struct array *a);
void sweep_end(struct array *a);
bool sweep_is_in_window(const struct array *a);
/* The window under way ends soon, if it is the sweep's. */
void sweep_break_off(struct array *a);
void sweep_synced(struct array *a, struct array_range range, const struct plane_request *req);

void scrub_go(struct array *a);
void scrub_granted(struct array *a, bool is_granted);

void rebuild_go(struct array *a);
/* A window of the pass met what no disk can read. */
void rebuild_unread(struct array *a, const struct err *why);
void rebuild_granted(struct array *a, bool is_granted);
bool rebuild_is_wanted(const struct array *a);

void change_init(struct array *a);
void change_fini(struct array *a);
void change_go(struct array *a);
/* NEWDISK, REMOVE of another node: array_messages.c */
void change_find(struct array *a, const struct msg *m);
void change_close(struct array *a, const struct msg *m);

void grow_go(struct array *a);
void grow_fini(struct array *a);

/* Why it cannot be frozen now; NULL: it can. */
const char *freeze_refusal(const struct array *a);
/* ACTIVE -> FROZEN, by the member in this slot. */
void freeze_begin(struct array *a, int by);
bool freeze_is_done(const struct array *a);
void freeze_go(struct array *a);
/* As soon as it is frozen. */
void freeze_thaw(struct array *a);
/* FREEZE of another node. */
void freeze_heard(struct array *a, const struct msg *m);
/* It is frozen, or refused by now: it leaves. */
bool freeze_is_handled(struct array *a);

bool deed_is_idle(const struct array_deed *d);
/* Asks for TOKEN; false: not now. */
bool deed_begin(struct array *a, struct array_deed *d);
/* d->work.req is filled in; what it gives as a view is taken. */
void deed_work(struct array *a, struct array_deed *d, enum metadata_op op);
/* Until the plane goes by that view. */
void deed_plane(struct array_deed *d);
void deed_say(struct array *a, struct array_deed *d, const struct msg *m);
void deed_say_updated(struct array *a, struct array_deed *d);
void deed_end(struct array *a, struct array_deed *d);
void deed_go(struct array *a, struct array_deed *d);
/* It need not have TOKEN any more: true, where it had not come yet. */
bool deed_forget(struct array *a, struct array_deed *d);
/* Of one who leaves. */
void deed_abandon(struct array *a, struct array_deed *d);

/* Superblocks as they are from now on, and the plane knows: when reload.done >= ticket. */
uint64_t reload_want(struct array *a);
bool reload_is_done(const struct array *a, uint64_t ticket);
bool reload_has_failed(const struct array *a, uint64_t ticket);
void reload_go(struct array *a);
void disks_started(struct array *a);
/* The plane has given up a disk that the cluster cannot do without: it shall have it again. */
void disks_again(struct array *a, uint32_t role);
void disks_take_view(struct array *a, const struct metadata_view *view);
/* dev_number of a disk to read from. */
uint32_t disks_good_one(const struct array *a);
uint32_t disks_in_sync(const struct array *a);
/* A role whose disk others use, and this node does not see; ARRAY_NO_ROLE: there is none. */
uint32_t disks_unseen(const struct array *a);

void fail_go(struct array *a);
void fail_want(struct array *a, uint32_t role, bool by_plane);
/* This node does without it from now on: others may not have heard of that. */
void fail_gone(struct array *a, uint32_t role);
/* Another one knows that all do. */
void fail_heard(struct array *a, uint32_t roles);
bool fail_is_known(const struct array *a);

extern const struct msg_channel_ops messages_ops;
void messages_go(struct array *a);
void messages_answer(struct array *a, enum msg_refusal code, const char *text);

extern const struct plane_handlers array_plane_handlers;

void leave_go(struct array *a);

void array_tell_event(struct array *a, struct array_event event);
/* Since when it waits for what it waits for: after each thing that is done. */
void look_note_wait(struct array *a);
