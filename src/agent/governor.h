/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the agent's own CPU time within a budget by sampling less often: of `stride` sampling periods
 * one is taken, and stands for all. The control law, apart from clocks and events.
 *
 * Time goes by in windows. After three in a row over the budget the stride is doubled, as often as
 * would do if all of the cost came from samples; a burst, such as the symbols of a new program, ends
 * sooner. After six in a row with room for twice the cost it is halved. Twice the samples cost at
 * most twice as much, so what was halved is not over the budget by that: a constant load never makes
 * it swing. */
#ifndef AP_AGENT_GOVERNOR_H
#define AP_AGENT_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

struct ap_governor {
	uint32_t stride;  /* in force: 1, 2, 4, … */
	uint64_t changes; /* of the stride so far */
	/* The rest is its own. */
	double budget;
	uint64_t window_ns;
	uint32_t stride_max;
	uint64_t at_ns, cost_ns; /* where the present window began */
	bool begun;
	uint32_t over, room; /* windows in a row */
	double least;	     /* the smallest share of those over */
};

/* `budget` is a share of one CPU, 0 = none: the stride stays 1. A sample is taken at least once a
 * second, and one in 16 periods of `period_ns`. */
void ap_governor_init(struct ap_governor *g, double budget, uint64_t window_ns, uint64_t period_ns);

/* The sampling period is another one from now on: the stride is 1 again. */
void ap_governor_restart(struct ap_governor *g, uint64_t period_ns);

/* Tells what the agent has cost so far (user space and BPF, ns) at a moment (CLOCK_MONOTONIC ns).
 * Windows end at the first call when they are over. Returns whether the stride has changed. */
bool ap_governor_update(struct ap_governor *g, uint64_t now_ns, uint64_t cost_ns);

#endif
