/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold for every input: a fuzzer takes an abort() for a find. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(cond)                                                         \
	do {                                                                 \
		if (!(cond)) {                                               \
			fprintf(stderr, "%s:%d: %s does not hold\n",         \
				__FILE__, __LINE__, #cond);                  \
			abort();                                             \
		}                                                            \
	} while (0)
