/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/governor.h"

#include "base/clock.h"
#include "base/macro.h"

#define STRIDE_MAX   16
#define OVER_WINDOWS 3
#define ROOM_WINDOWS 6
/* How much of the budget twice the cost may take, so that noise does not undo the change. */
#define ROOM_SHARE 0.8

void ap_governor_init(struct ap_governor *g, double budget, uint64_t window_ns, uint64_t period_ns)
{
	*g = (struct ap_governor){
		.stride = 1, .stride_max = 1, .budget = budget, .window_ns = window_ns};
	while (g->stride_max < STRIDE_MAX && 2 * g->stride_max * period_ns <= AP_NSEC_PER_SEC)
		g->stride_max *= 2;
}

void ap_governor_restart(struct ap_governor *g, uint64_t period_ns)
{
	uint64_t changes = g->changes;

	ap_governor_init(g, g->budget, g->window_ns, period_ns);
	g->changes = changes;
}

/* The stride that one window of this share of a CPU, after those before it, asks for. */
static uint32_t decide(struct ap_governor *g, double share)
{
	uint32_t stride = g->stride;

	g->least = g->over ? AP_MIN(g->least, share) : share;
	g->over = share > g->budget ? g->over + 1 : 0;
	g->room = share * 2 <= g->budget * ROOM_SHARE ? g->room + 1 : 0;
	if (g->over >= OVER_WINDOWS) {
		for (share = g->least; share > g->budget && stride < g->stride_max; share /= 2)
			stride *= 2;
	} else if (g->room >= ROOM_WINDOWS && stride > 1) {
		stride /= 2;
	}
	return stride;
}

bool ap_governor_update(struct ap_governor *g, uint64_t now_ns, uint64_t cost_ns)
{
	uint32_t stride = g->stride;

	if (g->budget <= 0 || (g->begun && now_ns < g->at_ns + g->window_ns))
		return false;
	/* The cost of BPF is an estimate, which may fall. */
	if (g->begun && now_ns > g->at_ns)
		stride = decide(g, cost_ns > g->cost_ns ? (double)(cost_ns - g->cost_ns) /
								  (double)(now_ns - g->at_ns)
							: 0);
	g->begun = true;
	g->at_ns = now_ns;
	g->cost_ns = cost_ns;
	if (stride == g->stride)
		return false;
	g->stride = stride;
	g->changes++;
	g->over = g->room = 0;
	return true;
}
