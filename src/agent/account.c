/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/account.h"

#include "base/macro.h"

/* Whole steps from `*from`, which is moved on by them, to `to`. */
static uint64_t steps(uint64_t *from, uint64_t to, uint64_t step)
{
	uint64_t n = to > *from ? (to - *from) / step : 0;

	*from += n * step;
	return n;
}

void ap_cpu_periods_count(struct ap_cpu_periods *p, uint64_t wall_ns, uint64_t idle_ns)
{
	uint64_t step = p->period_ns * p->stride, n = steps(&p->wall_ns, wall_ns, step);

	p->due += n;
	p->thinned += n * (p->stride - 1);
	p->idle += steps(&p->idle_ns, idle_ns, step);
}

void ap_cpu_periods_begin(struct ap_cpu_periods *p, uint64_t period_ns, uint32_t stride,
			  uint64_t wall_ns, uint64_t idle_ns)
{
	p->period_ns = period_ns;
	p->stride = stride;
	p->wall_ns = wall_ns;
	p->idle_ns = idle_ns;
}

uint64_t ap_cpu_account_update(struct ap_cpu_account *a, uint64_t elapsed, uint64_t ran,
			       uint64_t idle_max)
{
	uint64_t said = a->idle + a->not_run, gap = elapsed > ran ? elapsed - ran : 0;
	uint64_t fresh = gap > said ? gap - said : 0;
	uint64_t idle = AP_MIN(fresh, idle_max > a->idle ? idle_max - a->idle : 0);

	a->idle += idle;
	a->not_run += fresh - idle;
	return ran + a->idle + a->not_run;
}

void ap_ledger_take(struct ap_ledger *sent, const struct ap_ledger *now, struct ap_ledger *into)
{
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++) {
		if (now->count[i] <= sent->count[i])
			continue;
		into->count[i] += now->count[i] - sent->count[i];
		sent->count[i] = now->count[i];
	}
}
