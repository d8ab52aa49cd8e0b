/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, evaluating, telling, saving. Changes to rules and silences are in rules.c. */
#include <math.h>
#include <stdio.h>

#include "aggregator/alert/engine_internal.h"
#include "base/clock.h"

#define TICK_MS	      5000
#define REPEAT_MS     60000 /* an Alertmanager is told again; it forgets what is not repeated */
#define KEEP_SAVED_MS 60000 /* a pending rule's last reading is on file to that accuracy */

struct ap_alert_entry *ap_alert_entry_find(struct ap_alert_engine *e, uint64_t id)
{
	AP_VEC_FOREACH(&e->entries, it)
		if (it->rule->id == id)
			return it;
	return NULL;
}

bool ap_alert_silence_holds(const struct ap_alert_silence *s, uint64_t rule, int64_t now_ms)
{
	return (s->rule == 0 || s->rule == rule) && s->from_ms <= now_ms && now_ms < s->until_ms;
}

bool ap_alert_entry_silenced(const struct ap_alert_engine *e, uint64_t rule, int64_t now_ms)
{
	AP_VEC_FOREACH(&e->silences, s)
		if (!s->filter[0] && ap_alert_silence_holds(s, rule, now_ms))
			return true;
	return false;
}

void ap_alert_silence_free(struct ap_alert_silence *s)
{
	free(s->comment);
	free(s->filter);
}

static void drop_first_event(struct ap_alert_engine *e)
{
	free(e->events.p[0].name);
	memmove(e->events.p, e->events.p + 1, (e->events.n - 1) * sizeof(*e->events.p));
	e->events.n--;
}

void ap_alert_event_add(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
			const struct ap_alert_status *s, struct ap_alert_transition t,
			int64_t now_ms)
{
	struct ap_alert_event event = {
		.id = ++e->last_event,
		.rule = rule->id,
		.name = strdup(rule->name),
		.severity = rule->severity,
		.at_ms = now_ms,
		.from = t.from,
		.to = t.to,
		.value = s->value,
		.samples = s->samples,
	};

	if (e->events.n >= AP_ALERT_HISTORY_MAX)
		drop_first_event(e);
	if (!event.name || ap_vec_push(&e->events, event) < 0)
		free(event.name);
}

/* ---- Loading and saving. ---- */

static int load_rule(void *ctx, uint64_t id, struct ap_str body,
		     const struct ap_alert_status *status)
{
	struct ap_alert_engine *e = ctx;
	struct ap_alert_entry entry = {.status = *status, .tried_ms = status->evaluated_ms};
	int r = ap_alert_rule_parse_text(body, &entry.rule, NULL, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	entry.rule->id = id;
	r = ap_vec_push(&e->entries, entry);
	if (r < 0)
		ap_alert_rule_unref(entry.rule);
	return r;
}

static int load_event(void *ctx, const struct ap_alert_event *saved)
{
	struct ap_alert_engine *e = ctx;
	struct ap_alert_event event = *saved;

	event.name = strdup(saved->name);
	if (!event.name || ap_vec_push(&e->events, event) < 0) {
		free(event.name);
		return -ENOMEM;
	}
	if (e->events.n > AP_ALERT_HISTORY_MAX)
		drop_first_event(e);
	e->last_event = e->saved_event = event.id;
	return 0;
}

static int load_silence(void *ctx, const struct ap_alert_silence *saved)
{
	struct ap_alert_engine *e = ctx;
	struct ap_alert_silence s = *saved;

	s.comment = strdup(saved->comment);
	s.filter = strdup(saved->filter);
	if (!s.comment || !s.filter || ap_vec_push(&e->silences, s) < 0) {
		ap_alert_silence_free(&s);
		return -ENOMEM;
	}
	return 0;
}

static int save_statuses(struct ap_alert_engine *e, int64_t now_ms, struct ap_error *err)
{
	int r = 0;

	AP_VEC_FOREACH(&e->entries, it) {
		if (!it->dirty || r < 0)
			continue;
		r = ap_alert_db_put_status(e->db, it->rule->id, &it->status, err);
		it->saved_ms = now_ms;
	}
	return r;
}

static int save_events(struct ap_alert_engine *e, struct ap_error *err)
{
	int r = 0;

	AP_VEC_FOREACH(&e->events, it) {
		if (it->id > e->saved_event && r == 0)
			r = ap_alert_db_put_event(e->db, it, err);
	}
	if (r == 0 && e->events.n >= AP_ALERT_HISTORY_MAX)
		r = ap_alert_db_trim_events(e->db, e->events.p[0].id, err);
	return r;
}

struct left {
	struct ap_alert_engine *e;
	struct ap_error *err;
	int r;
};

static void save_left(void *arg, const char *agent, uint64_t epoch)
{
	struct left *l = arg;

	if (l->r == 0 && !ap_alert_db_has_left(l->e->db, agent, epoch))
		l->r = ap_alert_db_put_left(l->e->db, agent, epoch, l->err);
}

static int save_all(struct ap_alert_engine *e, int64_t now_ms, struct ap_error *err)
{
	struct left left = {e, err, 0};
	int r = ap_database_begin(e->db, err);

	if (r < 0)
		return r;
	r = save_statuses(e, now_ms, err);
	if (r == 0)
		r = save_events(e, err);
	if (r == 0 && e->o.left)
		r = e->o.left(e->o.ctx, save_left, &left);
	if (r == 0)
		r = left.r;
	if (r == 0)
		r = ap_alert_outgoing_put(e, err);
	if (r == 0)
		r = ap_database_commit(e->db, err);
	if (r < 0)
		ap_database_rollback(e->db);
	return r;
}

int ap_alert_engine_save(struct ap_alert_engine *e, int64_t now_ms)
{
	struct ap_error err = {0};
	int r = save_all(e, now_ms, &err);

	e->error = err;
	e->error.code = r;
	ap_alert_outgoing_send(e, r == 0);
	if (r < 0)
		return r;
	e->saved_event = e->last_event;
	AP_VEC_FOREACH(&e->entries, it)
		it->dirty = false;
	return 0;
}

static int load(struct ap_alert_engine *e, const char *path, struct ap_error *err)
{
	static const struct ap_alert_db_reader reader = {load_rule, load_event, load_silence};
	int r = ap_database_open(path, &e->db, err);

	if (r == 0 && ap_alert_db_is_new(e->db)) {
		r = ap_database_begin(e->db, err);
		if (r == 0)
			r = ap_alert_add_defaults(e->db, err);
		if (r == 0)
			r = ap_database_commit(e->db, err);
	}
	return r < 0 ? r : ap_alert_db_load(e->db, &reader, e, err);
}

int ap_alert_engine_new(const struct ap_alert_engine_options *o, struct ap_alert_engine **ret,
			struct ap_error *err)
{
	struct ap_alert_engine *e = calloc(1, sizeof(*e));
	pthread_condattr_t attr;
	int r;

	if (!e)
		return ap_error_set(err, -ENOMEM, "out of memory");
	e->o = *o;
	pthread_mutex_init(&e->turn, NULL);
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = load(e, o->path, err);
	if (r < 0) {
		ap_database_close(AP_TAKE_PTR(e->db));
		ap_alert_engine_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void ap_alert_engine_free(struct ap_alert_engine *e)
{
	if (!e)
		return;
	ap_alert_engine_stop(e);
	if (e->db) {
		AP_VEC_FOREACH(&e->entries, it)
			it->dirty = true;
		ap_alert_engine_save(e, ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC);
	}
	ap_database_close(e->db);
	AP_VEC_FOREACH(&e->entries, it)
		ap_alert_rule_unref(it->rule);
	AP_VEC_FOREACH(&e->events, it)
		free(it->name);
	AP_VEC_FOREACH(&e->silences, it)
		ap_alert_silence_free(it);
	ap_vec_free(&e->entries);
	ap_vec_free(&e->events);
	ap_vec_free(&e->silences);
	ap_vec_free(&e->outgoing);
	free(e->base_url);
	pthread_mutex_destroy(&e->turn);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->changed);
	free(e);
}

/* ---- Evaluating. ---- */

/* Whether somebody is to be told something now. */
static bool is_notice(const struct ap_alert_engine *e, const struct ap_alert_entry *it,
		      int64_t now_ms)
{
	const struct ap_alert_status *s = &it->status;

	if (s->state == AP_ALERT_FIRING)
		return !s->announced && !ap_alert_entry_silenced(e, it->rule->id, now_ms);
	return s->announced && !s->open;
}

/* An Alertmanager is told again, and alone. */
static bool is_repeat(struct ap_alert_engine *e, struct ap_alert_entry *it, int64_t now_ms)
{
	return it->status.state == AP_ALERT_FIRING && it->status.announced &&
	       ap_alert_has_alertmanager(it->rule) && now_ms - it->told_ms >= REPEAT_MS;
}

static bool is_due(const struct ap_alert_entry *it, int64_t now_ms)
{
	return now_ms - it->tried_ms >= it->rule->interval_s * 1000ll || it->tried_ms > now_ms;
}

/* With the lock held: what a reading makes of the entry. */
static void apply(struct ap_alert_engine *e, struct ap_alert_entry *it, int r,
		  const struct ap_alert_reading *reading, const struct ap_error *err,
		  int64_t now_ms)
{
	struct ap_alert_transition t;

	e->evaluations++;
	it->tried_ms = now_ms;
	it->error[0] = '\0';
	if (r < 0) {
		e->failures++;
		snprintf(it->error, sizeof(it->error), "%.199s",
			 err->msg[0] ? err->msg : ap_strerror(r));
		return;
	}
	if (!reading->sufficient)
		memcpy(it->error, reading->why, sizeof(it->error));
	if (ap_alert_step(it->rule, &it->status, reading, now_ms, &t)) {
		ap_alert_event_add(e, it->rule, &it->status, t, now_ms);
		it->dirty = true;
	}
	if (it->status.state == AP_ALERT_PENDING && now_ms - it->saved_ms >= KEEP_SAVED_MS)
		it->dirty = true;
}

/* The selectors of silences that hold now; NULL-terminated, NULL where there are none. */
static struct ap_filter **take_filters(const struct ap_alert_engine *e, uint64_t rule,
				       int64_t now_ms)
{
	struct ap_filter **list = NULL;
	size_t n = 0;

	AP_VEC_FOREACH(&e->silences, s) {
		if (!s->filter[0] || !ap_alert_silence_holds(s, rule, now_ms))
			continue;
		if (!list)
			list = calloc(e->silences.n + 1, sizeof(*list));
		if (list && ap_filter_parse(ap_str_of(s->filter), &list[n], NULL, NULL) == 0)
			n++;
	}
	return list;
}

/* Without the lock: whether all that a rule fires for is silenced. Frees the list. */
static bool is_covered(struct ap_alert_engine *e, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_filter **filters)
{
	bool covered = filters && filters[0] && e->o.covered &&
		       e->o.covered(e->o.ctx, rule, at_ms, filters) > 0;

	for (size_t i = 0; filters && filters[i]; i++)
		ap_filter_free(filters[i]);
	free(filters);
	return covered;
}

/* With the lock held: tells what there is to tell. */
static void tell(struct ap_alert_engine *e, struct ap_alert_entry *it,
		 const struct ap_alert_context *context, int64_t now_ms)
{
	struct ap_alert_notice n;

	if (is_notice(e, it, now_ms) && !it->covered) {
		it->status.announced = it->status.state == AP_ALERT_FIRING;
		it->dirty = true;
		n = (struct ap_alert_notice){ap_alert_rule_ref(it->rule), it->status,
					     it->status.announced};
		ap_alert_tell(e, &n, context, now_ms);
	} else if (is_repeat(e, it, now_ms)) {
		ap_alert_repeat(e, it->rule, &it->status, now_ms);
	} else {
		return;
	}
	it->told_ms = now_ms;
}

/* Takes over the reference. */
static void evaluate(struct ap_alert_engine *e, struct ap_alert_rule *rule, int64_t now_ms)
{
	struct ap_alert_context context = {.arena = AP_ARENA_INIT(1 << 20)};
	struct ap_alert_reading reading = {.value = NAN};
	struct ap_filter **filters = NULL;
	struct ap_alert_entry *it;
	struct ap_error err = {0};
	bool fires = false, covered = false, explained = false;
	int r = e->o.read(e->o.ctx, rule, now_ms, &reading, &err);

	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, rule->id);
	if (it && it->rule == rule) { /* else it was changed or deleted meanwhile */
		apply(e, it, r, &reading, &err, now_ms);
		fires = is_notice(e, it, now_ms) && it->status.state == AP_ALERT_FIRING;
		if (fires)
			filters = take_filters(e, rule->id, now_ms);
	}
	pthread_mutex_unlock(&e->lock);
	if (fires) {
		covered = is_covered(e, rule, now_ms, filters);
		explained = !covered && rule->n_hooks && e->o.explain &&
			    e->o.explain(e->o.ctx, rule, now_ms, &context) == 0;
	}
	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, rule->id);
	if (it && it->rule == rule) {
		it->covered = covered;
		tell(e, it, explained ? &context : NULL, now_ms);
	}
	pthread_mutex_unlock(&e->lock);
	ap_alert_context_free(&context);
	ap_alert_rule_unref(rule);
}

/* The rules to evaluate, as references; NULL-terminated. */
static struct ap_alert_rule **take_due(struct ap_alert_engine *e, int64_t now_ms, bool all,
				       uint64_t id)
{
	struct ap_alert_rule **list;
	size_t n = 0;

	pthread_mutex_lock(&e->lock);
	list = calloc(e->entries.n + 1, sizeof(*list));
	AP_VEC_FOREACH(&e->entries, it) {
		bool take = all ? (id == 0 || it->rule->id == id) : is_due(it, now_ms);

		if (list && take && it->rule->enabled)
			list[n++] = ap_alert_rule_ref(it->rule);
	}
	pthread_mutex_unlock(&e->lock);
	return list;
}

static void drop_silences(struct ap_alert_engine *e, int64_t now_ms)
{
	size_t kept = 0;

	AP_VEC_FOREACH(&e->silences, s) {
		if (s->until_ms > now_ms || ap_alert_db_delete_silence(e->db, s->id, NULL) < 0)
			e->silences.p[kept++] = *s;
		else
			ap_alert_silence_free(s);
	}
	e->silences.n = kept;
}

static void run(struct ap_alert_engine *e, struct ap_alert_rule **list, int64_t now_ms)
{
	for (size_t i = 0; list && list[i]; i++)
		evaluate(e, list[i], now_ms);
	free(list);
	pthread_mutex_lock(&e->lock);
	drop_silences(e, now_ms);
	ap_alert_engine_save(e, now_ms);
	pthread_mutex_unlock(&e->lock);
}

int64_t ap_alert_engine_tick(struct ap_alert_engine *e, int64_t now_ms)
{
	pthread_mutex_lock(&e->turn);
	run(e, take_due(e, now_ms, false, 0), now_ms);
	pthread_mutex_unlock(&e->turn);
	return TICK_MS;
}

int ap_alert_engine_evaluate(struct ap_alert_engine *e, uint64_t id, int64_t now_ms)
{
	struct ap_alert_rule **list;
	int r = 0;

	pthread_mutex_lock(&e->turn);
	list = take_due(e, now_ms, true, id);
	if (!list)
		r = -ENOMEM;
	else if (id && !list[0])
		r = -ENOENT;
	run(e, list, now_ms);
	pthread_mutex_unlock(&e->turn);
	return r;
}

static void *engine_main(void *arg)
{
	struct ap_alert_engine *e = arg;

	pthread_mutex_lock(&e->lock);
	while (!e->stopping) {
		struct timespec ts;
		int64_t wait_ms;

		pthread_mutex_unlock(&e->lock);
		wait_ms = ap_alert_engine_tick(e, ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC);
		ts = ap_clock_timespec(ap_clock_mono_ns() + (uint64_t)wait_ms * AP_NSEC_PER_MSEC);
		pthread_mutex_lock(&e->lock);
		while (!e->stopping &&
		       pthread_cond_timedwait(&e->changed, &e->lock, &ts) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

int ap_alert_engine_start(struct ap_alert_engine *e, const char *base_url, struct ap_error *err)
{
	size_t n = strlen(base_url);
	char *url;

	if (asprintf(&url, "%s%s", base_url, n && base_url[n - 1] == '/' ? "" : "/") < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	__atomic_store_n(&e->base_url, url, __ATOMIC_RELEASE);
	if (pthread_create(&e->thread, NULL, engine_main, e) != 0)
		return ap_error_set(err, -EAGAIN, "cannot start a thread: too many are running");
	e->running = true;
	return 0;
}

void ap_alert_engine_stop(struct ap_alert_engine *e)
{
	if (!e || !e->running)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	e->running = false;
}

bool ap_alert_engine_error(struct ap_alert_engine *e, char *buf, size_t cap)
{
	bool failed;

	pthread_mutex_lock(&e->lock);
	failed = e->error.code != 0;
	snprintf(buf, cap, "%s", failed ? e->error.msg : "");
	pthread_mutex_unlock(&e->lock);
	return failed;
}

bool ap_alert_engine_has_left(struct ap_alert_engine *e, const char *agent, uint64_t epoch)
{
	bool has;

	pthread_mutex_lock(&e->lock);
	has = ap_alert_db_has_left(e->db, agent, epoch);
	pthread_mutex_unlock(&e->lock);
	return has;
}

void ap_alert_engine_get_counts(struct ap_alert_engine *e, struct ap_alert_counts *ret)
{
	*ret = (struct ap_alert_counts){0};
	pthread_mutex_lock(&e->lock);
	ret->rules = (uint32_t)e->entries.n;
	AP_VEC_FOREACH(&e->entries, it) {
		ret->enabled += it->rule->enabled;
		ret->firing += it->status.state == AP_ALERT_FIRING;
		ret->pending += it->status.state == AP_ALERT_PENDING;
		ret->insufficient += it->status.state == AP_ALERT_INSUFFICIENT;
	}
	ret->evaluations = e->evaluations;
	ret->failures = e->failures;
	pthread_mutex_unlock(&e->lock);
}
