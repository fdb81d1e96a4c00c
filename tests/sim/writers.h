/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs on each node of a simulated array that write, read, flush, zero and trim what
 * chance tells them. As behind a cluster file system, none begins where another node's
 * write is under way. All that comes of it goes by the oracle.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct layout;
struct oracle;
struct rules;
struct sim_node;
struct sim_world;
struct volume;
struct writers;

/* volume(): what programs of this node write to; NULL: there is nothing now. */
struct writers *writers_new(struct sim_world *w, const struct layout *layout,
			    struct oracle *oracle, struct rules *rules,
			    struct volume *(*volume)(void *owner, int node), void *owner);
void writers_free(struct writers *w);

/* Programs of this node do so much more, and get at it: it may be behind the next moment. */
void writers_stir(struct writers *w, struct sim_node *n, unsigned int count);
/* They begin nothing new. */
void writers_rest(struct writers *w);
bool writers_are_idle(const struct writers *w);
/* The node's process has died. */
void writers_node_ended(struct writers *w, struct sim_node *n);

/* Reads from here on all that was ever touched, and checks it; then: is it done? */
void writers_read_all(struct writers *w, struct sim_node *n);
bool writers_have_read(const struct writers *w, const struct sim_node *n);
