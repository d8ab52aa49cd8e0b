/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that users make: each is on disk before it counts. */
#include <math.h>

#include "aggregator/alert/engine_internal.h"

#define DAY_S 86400

static int not_found(uint64_t id, struct ap_error *err)
{
	return ap_error_set(err, -ENOENT, "there is no rule %llu: GET /api/alerts lists them",
			    (unsigned long long)id);
}

/* What a baseline asks for must still be there. Days go as a whole: in its last one, a baseline has part of the day
 * alone, and its readings say so then. */
static int check_retention(const struct ap_alert_engine *e, const struct ap_alert_rule *rule,
			   struct ap_error *err)
{
	bool sums = ap_alert_baseline_has_sums(rule);
	uint64_t kept = sums ? AP_MAX(e->o.retention_s, e->o.retention_hourly_s) : e->o.retention_s;
	uint64_t begin = (uint64_t)rule->baseline_offset_s + rule->baseline_window_s;

	if (e->o.retention_s == 0 || rule->baseline_offset_s == 0 ||
	    (rule->baseline_offset_s <= kept && begin <= kept + DAY_S))
		return 0;
	return ap_error_set(
		err, -ERANGE, "baseline: it begins %.3g days ago, and %s are kept for %.3g (%s)%s",
		(double)begin / DAY_S, sums ? "sums by hour" : "samples", (double)kept / DAY_S,
		sums ? "--retention-hourly" : "--retention",
		sums || ap_alert_is_rate(rule)
			? ""
			: "; sums by hour, kept for longer, can tell of whole hours alone, and not of "
			  "processes, threads and locks");
}

/* The entry begins anew; those who were told that it fires are to be told that this is over. */
static void begin_anew(struct ap_alert_engine *e, struct ap_alert_entry *it, int64_t now_ms)
{
	struct ap_alert_notice over = {it->rule, it->status, false};
	struct ap_alert_transition t = {it->status.state, AP_ALERT_OK};

	if (it->status.announced) {
		ap_alert_rule_ref(it->rule);
		ap_alert_tell(e, &over, NULL, now_ms);
	}
	if (t.from != t.to)
		ap_alert_event_add(e, it->rule, &it->status, t, now_ms);
	it->status = (struct ap_alert_status){.value = NAN};
	it->tried_ms = 0;
	it->error[0] = '\0';
	it->covered = false;
	it->dirty = true;
}

int ap_alert_engine_add(struct ap_alert_engine *e, struct ap_alert_rule *rule, int64_t now_ms,
			uint64_t *ret_id, struct ap_error *err)
{
	struct ap_alert_entry entry = {.rule = rule, .status = {.value = NAN}, .dirty = true};
	int r = check_retention(e, rule, err);

	pthread_mutex_lock(&e->lock);
	if (r == 0 && e->entries.n >= AP_ALERT_RULES_MAX)
		r = ap_error_set(err, -ENOSPC, "there are %d rules, which is the most: delete some",
				 AP_ALERT_RULES_MAX);
	if (r == 0 && ap_vec_reserve(&e->entries, (size_t)1) < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = ap_alert_db_put_rule(e->db, 0, rule, &rule->id, err);
	if (r == 0) {
		*ret_id = rule->id;
		ap_vec_push(&e->entries, entry);
	}
	pthread_mutex_unlock(&e->lock);
	if (r < 0)
		ap_alert_rule_unref(rule);
	return r;
}

int ap_alert_engine_change(struct ap_alert_engine *e, uint64_t id, struct ap_alert_rule *rule,
			   int64_t now_ms, struct ap_error *err)
{
	struct ap_alert_entry *it;
	int r = check_retention(e, rule, err);

	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, id);
	if (r == 0 && !it)
		r = not_found(id, err);
	rule->id = id;
	if (r == 0)
		r = ap_alert_db_put_rule(e->db, id, rule, NULL, err);
	if (r == 0) {
		begin_anew(e, it, now_ms);
		ap_alert_rule_unref(it->rule);
		it->rule = rule;
		ap_alert_engine_save(e, now_ms);
	}
	pthread_mutex_unlock(&e->lock);
	if (r < 0)
		ap_alert_rule_unref(rule);
	return r;
}

int ap_alert_engine_delete(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			   struct ap_error *err)
{
	struct ap_alert_entry *it;
	int r = 0;

	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, id);
	if (!it)
		r = not_found(id, err);
	else
		r = ap_alert_db_delete_rule(e->db, id, err);
	if (r == 0) {
		begin_anew(e, it, now_ms);
		ap_alert_rule_unref(it->rule);
		memmove(it, it + 1, (size_t)(e->entries.p + e->entries.n - it - 1) * sizeof(*it));
		e->entries.n--;
		ap_alert_engine_save(e, now_ms);
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}

int ap_alert_engine_toggle(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			   struct ap_error *err)
{
	struct ap_alert_rule *copy = NULL;
	struct ap_alert_entry *it;

	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, id);
	if (it)
		copy = ap_alert_rule_with_enabled(it->rule, !it->rule->enabled);
	pthread_mutex_unlock(&e->lock);
	if (!it)
		return not_found(id, err);
	return copy ? ap_alert_engine_change(e, id, copy, now_ms, err)
		    : ap_error_set(err, -ENOMEM, "out of memory");
}

int ap_alert_engine_silence(struct ap_alert_engine *e, uint64_t rule, int64_t now_ms,
			    uint32_t duration_s, struct ap_str filter, struct ap_str comment,
			    uint64_t *ret_id, struct ap_error *err)
{
	struct ap_alert_silence s = {
		.rule = rule,
		.from_ms = now_ms,
		.until_ms = now_ms + duration_s * 1000ll,
		.comment = ap_str_dup(comment),
		.filter = ap_str_dup(filter),
	};
	int r = 0;

	pthread_mutex_lock(&e->lock);
	if (rule && !ap_alert_entry_find(e, rule))
		r = not_found(rule, err);
	else if (e->silences.n >= AP_ALERT_SILENCES_MAX)
		r = ap_error_set(err, -ENOSPC,
				 "there are %d silences, which is the most: delete some",
				 AP_ALERT_SILENCES_MAX);
	else if (!s.comment || !s.filter || ap_vec_reserve(&e->silences, (size_t)1) < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = ap_alert_db_put_silence(e->db, &s, &s.id, err);
	if (r == 0) {
		*ret_id = s.id;
		ap_vec_push(&e->silences, s);
	}
	pthread_mutex_unlock(&e->lock);
	if (r < 0)
		ap_alert_silence_free(&s);
	return r;
}

int ap_alert_engine_unsilence(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			      struct ap_error *err)
{
	size_t i = 0;
	int r;

	pthread_mutex_lock(&e->lock);
	while (i < e->silences.n && e->silences.p[i].id != id)
		i++;
	if (i == e->silences.n)
		r = ap_error_set(err, -ENOENT, "there is no silence %llu: it may have expired",
				 (unsigned long long)id);
	else
		r = ap_alert_db_delete_silence(e->db, id, err);
	if (r == 0) {
		ap_alert_silence_free(&e->silences.p[i]);
		memmove(e->silences.p + i, e->silences.p + i + 1,
			(e->silences.n - i - 1) * sizeof(*e->silences.p));
		e->silences.n--;
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}
