/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/query/guard.h"

#include "base/clock.h"

#define LOOK_NS (20 * AP_NSEC_PER_MSEC) /* how often a wish to cancel is looked for */

const char *ap_query_kind_name(enum ap_query_kind kind)
{
	static const char *const names[] = {
		[AP_QUERY_FLAMEGRAPH] = "flamegraph",
		[AP_QUERY_DIFF] = "diff",
		[AP_QUERY_TOP] = "top",
		[AP_QUERY_CALLERS] = "callers",
		[AP_QUERY_SERIES] = "series",
		[AP_QUERY_HEATMAP] = "heatmap",
		[AP_QUERY_SYSCALLS] = "syscalls",
		[AP_QUERY_LOCKS] = "locks",
		[AP_QUERY_SERVICES] = "services",
		[AP_QUERY_LABELS] = "labels",
		[AP_QUERY_MODULES] = "modules",
		[AP_QUERY_EXPORT] = "export",
		[AP_QUERY_SYMBOLS] = "symbols",
		[AP_QUERY_HISTORY] = "history",
	};
	_Static_assert(AP_ARRAY_SIZE(names) == AP_QUERY_KINDS, "each kind has a name");

	return names[kind];
}

const char *ap_query_status_name(enum ap_query_status status)
{
	static const char *const names[] = {
		[AP_QUERY_OK] = "ok",
		[AP_QUERY_CANCELLED] = "cancelled",
		[AP_QUERY_TIMED_OUT] = "timeout",
		[AP_QUERY_LIMITED] = "limited",
		[AP_QUERY_BUSY] = "busy",
		[AP_QUERY_FAILED] = "error",
	};
	_Static_assert(AP_ARRAY_SIZE(names) == AP_QUERY_STATUSES, "each status has a name");

	return names[status];
}

static enum ap_query_status status_of(int result)
{
	switch (result) {
	case 0:
		return AP_QUERY_OK;
	case -ECANCELED:
		return AP_QUERY_CANCELLED;
	case -ETIMEDOUT:
		return AP_QUERY_TIMED_OUT;
	case -ENOMEM:
	case -E2BIG:
		return AP_QUERY_LIMITED;
	case -EBUSY:
		return AP_QUERY_BUSY;
	default:
		return AP_QUERY_FAILED;
	}
}

void ap_query_guard_init(struct ap_query_guard *g, const struct ap_query_engine_options *o)
{
	pthread_condattr_t attr;

	*g = (struct ap_query_guard){.max_running = o->max_concurrent,
				     .max_waiting = o->max_waiting,
				     .max_wait_ns = o->max_wait_ns};
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->permit, &attr);
	pthread_condattr_destroy(&attr);
	for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
		ap_prom_histogram_init(&g->stats.seconds[kind], ap_prom_latency_bounds,
				       ap_prom_latency_bound_count);
}

void ap_query_guard_destroy(struct ap_query_guard *g)
{
	pthread_cond_destroy(&g->permit);
	pthread_mutex_destroy(&g->lock);
}

/* With the lock held. */
static int wait_for_permit(struct ap_query_guard *g, const atomic_bool *cancel,
			   struct ap_error *err)
{
	uint64_t deadline = ap_clock_mono_ns() + g->max_wait_ns, now;
	struct timespec ts;

	for (;;) {
		if (cancel && atomic_load(cancel))
			return ap_error_set(err, -ECANCELED, "the query was cancelled");
		if (g->stats.running < g->max_running)
			return 0;
		now = ap_clock_mono_ns();
		if (now >= deadline)
			return ap_error_set(err, -EBUSY,
					    "%u queries run and none has ended in time: try again "
					    "in a moment",
					    g->max_running);
		now = AP_MIN(deadline, now + LOOK_NS);
		ts = (struct timespec){(time_t)(now / AP_NSEC_PER_SEC),
				       (long)(now % AP_NSEC_PER_SEC)};
		pthread_cond_timedwait(&g->permit, &g->lock, &ts);
	}
}

int ap_query_guard_enter(struct ap_query_guard *g, const atomic_bool *cancel, struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&g->lock);
	if (g->stats.running >= g->max_running && g->stats.waiting >= g->max_waiting) {
		r = ap_error_set(err, -EBUSY,
				 "%u queries run and %u wait already: try again in a moment",
				 g->max_running, g->max_waiting);
	} else {
		g->stats.waiting++;
		r = wait_for_permit(g, cancel, err);
		g->stats.waiting--;
		g->stats.running += r == 0;
	}
	pthread_mutex_unlock(&g->lock);
	return r;
}

void ap_query_guard_leave(struct ap_query_guard *g)
{
	pthread_mutex_lock(&g->lock);
	g->stats.running--;
	pthread_cond_signal(&g->permit);
	pthread_mutex_unlock(&g->lock);
}

void ap_query_guard_count(struct ap_query_guard *g, enum ap_query_kind kind, int result,
			  uint64_t ns)
{
	pthread_mutex_lock(&g->lock);
	g->stats.total[kind][status_of(result)]++;
	pthread_mutex_unlock(&g->lock);
	ap_prom_histogram_observe(&g->stats.seconds[kind], ns);
}
