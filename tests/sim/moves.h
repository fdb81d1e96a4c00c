/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What scenarios are made of. */
#pragma once

struct sim_world;

/* E6: all that live, and only they, are on one ring, and it works. */
void sim_expect_one_ring(struct sim_world *w);
void sim_start_all(struct sim_world *w);
/* Faults and pauses end, and all are there for long enough. */
void sim_make_peace(struct sim_world *w);
void sim_some_traffic(struct sim_world *w);
void sim_bad_weather(struct sim_world *w);
void sim_split(struct sim_world *w);
/* One thing goes wrong, or right. */
void sim_mischief(struct sim_world *w);
