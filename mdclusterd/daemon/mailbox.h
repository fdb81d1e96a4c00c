/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Letters from other threads, opened on the receiver's loop in the order in which they were
 * posted. A letter is its sender's until it is posted, and from then on the receiver's,
 * who frees it or sends it back. It is from the heap, and begins with struct letter.
 */
#pragma once

#include <qb/qblist.h>

struct err;
struct loop;
struct mailbox;

struct letter {
	struct qb_list_head link;
	void (*open)(struct letter *letter); /* in the receiver's thread */
};

/* In the loop's thread, or before that runs. NULL with a sentence. */
struct mailbox *mailbox_new(struct loop *loop, struct err *err);
/* Nobody posts any more; what was not opened is freed unread. NULL is fine. */
void mailbox_free(struct mailbox *box);

/* From any thread; never waits for the receiver. */
void mailbox_post(struct mailbox *box, struct letter *letter);

/*
 * Memory for a letter. What a thread has to tell another cannot be left out, and there is
 * nobody to be told that it was: without memory the process ends, loudly, and its
 * supervisor says so.
 */
void *letter_alloc(size_t bytes);
