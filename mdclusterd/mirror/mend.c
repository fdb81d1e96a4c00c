/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/mirror/mend.h"

#include <stdlib.h>

#include "base/arith.h"
#include "bitmap/bits.h"

static void go(struct mend *mend);

/* One that failed is not tried again: the place is read again some time. */
static void are_needed(void *owner, struct intent_request *request, int result)
{
	struct mend *mend = owner;

	(void)request;
	mend->is_out = false;
	go(mend);
	if (result == 0)
		mend->needs(mend->owner, intent_needed_count(mend->intent));
}

static void go(struct mend *mend)
{
	uint8_t *map = mend->map;

	if (!map || mend->is_out)
		return;
	mend->map = NULL;
	mend->is_out = true;
	mend->request = (struct intent_request){ .done = are_needed, .owner = mend };
	intent_need(mend->intent, map, &mend->request);
	free(map);
}

void mend_add(struct mend *mend, uint64_t low, uint64_t high)
{
	uint64_t first = low / mend->chunk_sectors;
	uint64_t last = min_u64((high - 1) / mend->chunk_sectors, mend->chunks - 1);

	if (!mend->map)
		mend->map = calloc(1, bits_bytes(mend->chunks));
	if (!mend->map)
		return;
	bits_set_range(mend->map, first, last);
	go(mend);
}

void mend_fini(struct mend *mend)
{
	free(mend->map);
	*mend = (struct mend){ 0 };
}
