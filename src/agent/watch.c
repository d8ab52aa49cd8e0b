/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

void ap_watch_push(struct ap_watch *w, struct ap_daemon *d)
{
	struct ap_pusher_stats *seen = &w->push;
	struct ap_pusher_stats s;

	ap_daemon_push_stats(d, &s);
	if (s.last_error[0] && !seen->last_error[0])
		ap_warn("cannot push, keeping batches: %s", s.last_error);
	else if (!s.last_error[0] && seen->last_error[0])
		ap_info("pushing again, %u batches queued", s.queued);
	if (s.refused > seen->refused)
		ap_err("%llu batches were refused for good and are lost, counted as push/refused: "
		       "%s",
		       (unsigned long long)(s.refused - seen->refused), s.last_refusal);
	if (s.dropped > seen->dropped)
		ap_err("queue and spool are full: the %llu oldest batches are lost, counted as "
		       "push/queue_full",
		       (unsigned long long)(s.dropped - seen->dropped));
	if (s.spool_damaged > seen->spool_damaged)
		ap_err("%llu or more batches are lost: the disk does not give back what was written to the "
		       "spool; what it gives instead is in files *.damaged there. Check that disk",
		       (unsigned long long)s.spool_damaged);
	if (s.spool_error[0] && !seen->spool_error[0])
		ap_warn("batches cannot be kept on disk (%s): they are in memory alone",
			s.spool_error);
	*seen = s;
}

static void watch_rate(struct ap_watch *w, const struct ap_agent_status *s)
{
	double hz = (double)s->frequency_hz / s->stride;

	if (s->stride > w->stride)
		ap_warn("the agent uses more than %g %% of a CPU (--cpu-budget): samples at %.4g Hz "
			"now, each for more time",
			w->cpu_budget, hz);
	else if (s->stride < w->stride)
		ap_info("the agent's CPU budget has room again: samples at %.4g Hz now", hz);
	w->stride = s->stride;
}

static void log_settings(const struct ap_agent_status *s)
{
	uint64_t left_s = (s->settings.remaining_ns + AP_NSEC_PER_SEC - 1) / AP_NSEC_PER_SEC;
	char modes[AP_MODES_MAX * AP_MODE_BYTES] = "", whose[64] = "the agent's own settings";
	size_t n = 0;

	if (left_s)
		snprintf(whose, sizeof(whose), "for %llu s settings from the aggregator",
			 (unsigned long long)left_s);
	for (uint32_t i = 0; i < s->n_modes; i++)
		n += (size_t)snprintf(modes + n, sizeof(modes) - n, "%s%s", i ? "," : "",
				      s->modes[i]);
	if (s->settings.error[0])
		ap_warn("settings from the aggregator: %s", s->settings.error);
	ap_info("%s are in force: modes %s at %u Hz, wait threshold %llu us", whose, modes,
		s->frequency_hz, (unsigned long long)(s->settings.wait_threshold_ns / 1000));
}

void ap_watch_settings(struct ap_watch *w, struct ap_daemon *d)
{
	const struct ap_settings_status *now;
	struct ap_daemon_info info;

	ap_daemon_get_info(d, &info);
	now = &info.status->settings;
	if (now->version != w->settings.version || !now->remaining_ns != !w->settings.remaining_ns)
		log_settings(info.status);
	w->settings = *now;
	watch_rate(w, info.status);
}
