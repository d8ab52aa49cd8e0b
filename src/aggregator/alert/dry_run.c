/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "aggregator/alert/engine_internal.h"
#include "base/clock.h"
#include "base/json.h"

#define DAY_MS	86400000ll
#define STEPS	288 /* of a day: every 5 minutes */
#define STEP_MS (DAY_MS / STEPS)

struct point {
	int64_t at_ms;
	struct ap_alert_status status;
	bool changed;
	struct ap_alert_transition t;
};

static void put_text(struct ap_buf *b, const char *key, const char *v)
{
	ap_json_key(b, key);
	ap_json_string(b, ap_str_of(v));
}

static void put_points(struct ap_buf *b, const struct point *points, size_t n)
{
	ap_json_key(b, "points");
	ap_buf_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		ap_buf_printf(b, "%s\"at\":%lld", i ? ",{" : "{", (long long)points[i].at_ms);
		ap_json_key(b, "value");
		ap_json_double(b, points[i].status.value);
		put_text(b, "state", ap_alert_state_names[points[i].status.state]);
		ap_buf_printf(b, ",\"samples\":%llu}",
			      (unsigned long long)points[i].status.samples);
	}
	ap_buf_byte(b, ']');
}

static void put_events(struct ap_buf *b, const struct point *points, size_t n)
{
	uint32_t fired = 0, firing = 0;

	ap_json_key(b, "events");
	ap_buf_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		firing += points[i].status.state == AP_ALERT_FIRING;
		if (!points[i].changed)
			continue;
		fired += points[i].t.to == AP_ALERT_FIRING &&
			 points[i].status.fired_ms == points[i].at_ms;
		if (b->p[b->n - 1] != '[')
			ap_buf_byte(b, ',');
		ap_buf_printf(b, "{\"at\":%lld", (long long)points[i].at_ms);
		put_text(b, "from", ap_alert_state_names[points[i].t.from]);
		put_text(b, "to", ap_alert_state_names[points[i].t.to]);
		ap_buf_byte(b, '}');
	}
	ap_buf_printf(b, "],\"fired\":%u,\"firing_s\":%lld", fired, firing * (STEP_MS / 1000));
}

/* Oldest first, as it would have been; a reading that fails ends it. */
static int read_points(struct ap_alert_engine *e, const struct ap_alert_rule *rule, int64_t now_ms,
		       uint64_t budget_ns, struct point *points, size_t *ret_n,
		       struct ap_error *err)
{
	uint64_t end = ap_clock_mono_ns() + budget_ns;
	struct ap_alert_status status = {.value = NAN};
	size_t n = 0;
	int r = 0;

	for (; n < STEPS && ap_clock_mono_ns() < end; n++) {
		struct point *p = &points[n];
		struct ap_alert_reading reading = {.value = NAN};

		p->at_ms = now_ms - DAY_MS + (int64_t)(n + 1) * STEP_MS;
		/* Between two readings it is the thread's turn as well. */
		pthread_mutex_lock(&e->turn);
		r = e->o.read(e->o.ctx, rule, p->at_ms, &reading, err);
		pthread_mutex_unlock(&e->turn);
		if (r < 0)
			break;
		p->changed = ap_alert_step(rule, &status, &reading, p->at_ms, &p->t);
		p->status = status;
	}
	*ret_n = n;
	return r;
}

int ap_alert_engine_dry_run(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
			    int64_t now_ms, uint64_t budget_ns, struct ap_buf *b,
			    struct ap_error *err)
{
	_cleanup_free_ struct point *points = calloc(STEPS, sizeof(*points));
	size_t n = 0;
	int r = points ? read_points(e, rule, now_ms, budget_ns, points, &n, err)
		       : ap_error_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	ap_json_key(b, "from");
	ap_json_i64(b, now_ms - DAY_MS);
	ap_json_key(b, "to");
	ap_json_i64(b, now_ms);
	ap_buf_printf(b, ",\"step_s\":%lld", STEP_MS / 1000);
	put_text(b, "unit", rule->baseline_offset_s ? "ratio" : ap_alert_info(rule)->unit);
	put_points(b, points, n);
	put_events(b, points, n);
	ap_json_key(b, "truncated");
	if (n < STEPS)
		ap_buf_printf(b, "{\"what\":\"points\",\"cut\":%zu}", STEPS - n);
	else
		ap_buf_puts(b, "null");
	return 0;
}
