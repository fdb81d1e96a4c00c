/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Letters between threads come all, once, in the order of each sender. */
#include "tests/unit/help.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/loop.h"
#include "mdclusterd/daemon/mailbox.h"

enum { SENDERS = 3, LETTERS = 5000 };

static struct loop *loop;
static int next_of[SENDERS], opened;

struct numbered {
	struct letter letter;
	int sender, number;
};

static void open_one(struct letter *letter)
{
	struct numbered *n = container_of(letter, struct numbered, letter);

	assert_int_equal(n->number, next_of[n->sender]);
	next_of[n->sender]++;
	free(n);
	if (++opened == SENDERS * LETTERS)
		loop_stop(loop);
}

struct sender {
	struct mailbox *box;
	int number;
};

static void *send_all(void *owner)
{
	const struct sender *s = owner;

	for (int i = 0; i < LETTERS; i++) {
		struct numbered *n = letter_alloc(sizeof(*n));

		*n = (struct numbered){ { .open = open_one }, s->number, i };
		mailbox_post(s->box, &n->letter);
	}
	return NULL;
}

static void letters_of_many_threads_come_in_order(void **state)
{
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	struct err err = ERR_INIT;
	struct mailbox *box;

	(void)state;
	loop = loop_new(&err);
	box = mailbox_new(loop, &err);
	assert_non_null(box);
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ box, i };
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	loop_run(loop);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(opened, SENDERS * LETTERS);
	mailbox_free(box);
	loop_free(loop);
}

/* No leak: the sanitizers tell. */
static void what_nobody_opened_goes_with_the_box(void **state)
{
	struct err err = ERR_INIT;
	struct numbered *n = letter_alloc(sizeof(*n));
	struct mailbox *box;

	(void)state;
	loop = loop_new(&err);
	box = mailbox_new(loop, &err);
	mailbox_post(box, &n->letter);
	mailbox_free(box);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_of_many_threads_come_in_order),
		cmocka_unit_test(what_nobody_opened_goes_with_the_box),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
