/* SPDX-License-Identifier: Apache-2.0 */
/* Which words of a store are free: disjoint runs, sorted, never touching one another. Runs are taken
 * first fit, which keeps large ones together at the end; there are a few thousand at most. */
#ifndef AP_UNWIND_SPACE_H
#define AP_UNWIND_SPACE_H

#include "base/vec.h"

struct ap_run {
	uint32_t at, n; /* words */
};

struct ap_space {
	AP_VEC(struct ap_run) runs;
	uint32_t n_free;  /* words */
	uint32_t top;	  /* the end of the last word that ever was taken */
	uint32_t n_taken; /* runs that are out */
};

/* All of [begin, end) is free; 0 < begin. 0 or -ENOMEM. */
int ap_space_init(struct ap_space *s, uint32_t begin, uint32_t end);
void ap_space_free(struct ap_space *s);

/* Takes `n` words, n > 0: where they begin; 0: no run is long enough, or no memory. */
uint32_t ap_space_take(struct ap_space *s, uint32_t n);
/* Gives back what was taken, whole. Cannot fail. */
void ap_space_give(struct ap_space *s, uint32_t at, uint32_t n);

#endif
