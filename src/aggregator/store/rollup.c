/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rollup.h"

#include "aggregator/store/facts.h"
#include "aggregator/store/rollup_internal.h"
#include "base/clock.h"

enum { PAYING = 3 };

void ap_rollup_view_free(struct ap_rollup_view *v)
{
	ap_vec_free(&v->writers);
}

int ap_rollup_new(const struct ap_rollup_options *o, struct ap_rollup **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_rollup) struct ap_rollup *r = calloc(1, sizeof(*r));
	int m;

	if (!r)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r->store = o->store;
	r->hold_ns = o->hold_ns;
	for (int f = 0; f < AP_ROLLUP_FAMILIES; f++)
		r->view.hours_pay[f] = true;
	pthread_mutex_init(&r->lock, NULL);
	m = ap_rollup_hold_open(&r->hold, o->folder, o->store->segment_base, err);
	if (m == 0)
		*ret = AP_TAKE_PTR(r);
	return m;
}

void ap_rollup_free(struct ap_rollup *r)
{
	if (!r)
		return;
	ap_rollup_view_free(&r->view);
	ap_rollup_hold_free(&r->hold);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct ap_rollup_writer *writer_of(struct ap_rollup_view *v, uint64_t base)
{
	AP_VEC_FOREACH(&v->writers, w)
		if (w->base == base)
			return w;
	if (ap_vec_push(&v->writers, ((struct ap_rollup_writer){base, {base, base, base}})) < 0)
		return NULL;
	return &v->writers.p[v->writers.n - 1];
}

/* What a row of the table says, which may be less than what is known. */
static int take_fact(struct ap_rollup_view *v, uint64_t kind, uint64_t base, uint64_t value)
{
	struct ap_rollup_writer *w;

	if (kind >= AP_FACT_WHOLE && kind < AP_FACT_WHOLE + AP_ROLLUP_LEVELS) {
		uint32_t *whole = &v->whole_from[kind - AP_FACT_WHOLE];

		*whole = AP_MAX(*whole, (uint32_t)AP_MIN(value, (uint64_t)UINT32_MAX));
	} else if (kind > AP_FACT_UPTO && kind < AP_FACT_UPTO + AP_ROLLUP_LEVELS) {
		w = writer_of(v, base);
		if (!w)
			return -ENOMEM;
		w->upto[kind] = AP_MAX(w->upto[kind], value);
	}
	return 0;
}

/* Facts on their way: what is known of them, and what the store says now of days and of this writer. */
struct facts {
	struct ap_rollup *r;
	uint64_t upto[AP_ROLLUP_LEVELS], whole_from[AP_ROLLUP_LEVELS];
};

static int take_facts(void *ctx, const struct ap_native_view *v)
{
	struct facts *facts = ctx;
	struct ap_rollup *r = facts->r;
	int m = 0;

	if (v->n_columns != 3)
		return -EBADMSG;
	pthread_mutex_lock(&r->lock);
	for (size_t row = 0; row < v->rows && m == 0; row++) {
		uint64_t kind = ap_native_uint(&v->columns[0], row);
		uint64_t base = ap_native_uint(&v->columns[1], row);
		uint64_t value = ap_native_uint(&v->columns[2], row);

		m = take_fact(&r->view, kind, base, value);
		if (kind >= AP_FACT_WHOLE && kind < AP_FACT_WHOLE + AP_ROLLUP_LEVELS)
			facts->whole_from[kind - AP_FACT_WHOLE] = value;
		else if (kind < AP_ROLLUP_LEVELS && base == r->store->segment_base)
			facts->upto[kind] = value;
	}
	pthread_mutex_unlock(&r->lock);
	return m;
}

static int read_facts(struct ap_rollup *r, struct facts *ret, struct ap_error *err)
{
	int m;

	*ret = (struct facts){.r = r};
	m = ap_facts_read(r->store, NULL, take_facts, ret, err);
	if (m < 0)
		return m;
	pthread_mutex_lock(&r->lock);
	r->known = true;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

int ap_rollup_refresh(struct ap_rollup *r, struct ap_error *err)
{
	struct facts facts;

	return read_facts(r, &facts, err);
}

int ap_rollup_get_view(struct ap_rollup *r, struct ap_rollup_view *ret, struct ap_error *err)
{
	struct ap_rollup_view v = {0};
	bool known;
	int m;

	pthread_mutex_lock(&r->lock);
	known = r->known;
	pthread_mutex_unlock(&r->lock);
	m = known ? 0 : ap_rollup_refresh(r, err);
	if (m < 0)
		return m;
	pthread_mutex_lock(&r->lock);
	memcpy(v.hours_pay, r->view.hours_pay, sizeof(v.hours_pay));
	memcpy(v.whole_from, r->view.whole_from, sizeof(v.whole_from));
	m = ap_vec_reserve(&v.writers, r->view.writers.n + 1);
	for (size_t i = 0; m == 0 && i < r->view.writers.n; i++)
		v.writers.p[v.writers.n++] = r->view.writers.p[i];
	pthread_mutex_unlock(&r->lock);
	if (m < 0)
		return ap_error_set(err, m, "out of memory");
	*ret = v;
	return 0;
}

/* Writes a fact down, then knows it. */
static int note(struct ap_rollup *r, unsigned int kind, uint64_t base, uint64_t value,
		struct ap_error *err)
{
	int m = ap_facts_note(r->store, kind, base, value, err);

	if (m < 0)
		return m;
	pthread_mutex_lock(&r->lock);
	m = take_fact(&r->view, kind, base, value);
	pthread_mutex_unlock(&r->lock);
	return m < 0 ? ap_error_set(err, m, "out of memory") : 0;
}

int ap_rollup_note_dropped(struct ap_rollup *r, enum ap_rollup_level level, uint32_t before_s,
			   struct ap_error *err)
{
	uint32_t whole;

	pthread_mutex_lock(&r->lock);
	whole = r->view.whole_from[level];
	pthread_mutex_unlock(&r->lock);
	return before_s > whole ? note(r, AP_FACT_WHOLE + level, 0, before_s, err) : 0;
}

/* How far this writer has got. */
static uint64_t built(struct ap_rollup *r, enum ap_rollup_level level)
{
	struct ap_rollup_writer *w;
	uint64_t upto = r->store->segment_base;

	pthread_mutex_lock(&r->lock);
	w = writer_of(&r->view, r->store->segment_base);
	if (w)
		upto = w->upto[level];
	pthread_mutex_unlock(&r->lock);
	return upto;
}

static int note_built(struct ap_rollup *r, enum ap_rollup_level level, uint64_t upto,
		      struct ap_error *err)
{
	return note(r, AP_FACT_UPTO + level, r->store->segment_base, upto, err);
}

/* Known once the store has been reached. 0: what it has taken is on its disk. */
static uint64_t hold_time(const struct ap_rollup *r)
{
	return r->store->caps & AP_STORE_CAP_FSYNC ? 0 : r->hold_ns;
}

static bool is_due(const struct ap_rollup *r, const struct ap_held_range *held)
{
	return held->made && ap_clock_mono_ns() >= held->since + hold_time(r);
}

/* What was noted is seen to have stayed, and is held no more. */
static int release_noted(struct ap_rollup *r, enum ap_rollup_level level, uint64_t noted,
			 struct ap_error *err)
{
	size_t n = 0;

	AP_VEC_FOREACH(&r->hold.levels[level].v, held) {
		if (!held->noted || !is_due(r, held) || held->range.to > noted)
			break;
		n++;
	}
	return n ? ap_rollup_hold_drop(&r->hold, level, n, err) : 0;
}

/* Ranges whose sums have stayed are complete; of others what lacks is to be made. */
static int confirm_made(struct ap_rollup *r, enum ap_rollup_level level, struct ap_error *err)
{
	struct ap_held_range *p = r->hold.levels[level].v.p;
	size_t n = r->hold.levels[level].v.n, first = 0, last, whole;
	uint64_t lost = 0;
	int m;

	while (first < n && p[first].noted)
		first++;
	for (last = first; last < n && is_due(r, &p[last]);)
		last++;
	if (first == last)
		return 0;
	m = ap_rollup_hold_count(&r->hold, level, first, last, r->store, err);
	if (m < 0)
		return m;
	for (size_t i = first; i < last; i++) {
		p[i].made = ap_held_range_is_whole(&p[i]);
		lost += !p[i].made;
	}
	pthread_mutex_lock(&r->lock);
	r->stats.lost += lost;
	pthread_mutex_unlock(&r->lock);
	for (whole = first; whole < last && p[whole].made;)
		whole++;
	if (whole > first)
		m = note_built(r, level, p[whole - 1].range.to, err);
	for (size_t i = first; m == 0 && i < whole; i++) {
		p[i].noted = true;
		p[i].since = ap_clock_mono_ns();
	}
	return m;
}

static int confirm_level(struct ap_rollup *r, enum ap_rollup_level level, uint64_t noted,
			 struct ap_error *err)
{
	uint64_t known = built(r, level);
	int m;

	if (noted >= known || known == r->store->segment_base) {
		m = release_noted(r, level, noted, err);
	} else {
		m = note_built(r, level, known, err);
		AP_VEC_FOREACH(&r->hold.levels[level].v, held)
			if (held->noted)
				held->since = ap_clock_mono_ns();
	}
	return m == 0 ? confirm_made(r, level, err) : m;
}

static int confirm(struct ap_rollup *r, struct ap_error *err)
{
	struct facts facts;
	int m = read_facts(r, &facts, err);

	for (unsigned int level = 0; level < AP_ROLLUP_LEVELS && m == 0; level++) {
		uint64_t whole;

		pthread_mutex_lock(&r->lock);
		whole = r->view.whole_from[level];
		pthread_mutex_unlock(&r->lock);
		if (facts.whole_from[level] < whole)
			m = note(r, AP_FACT_WHOLE + level, 0, whole, err);
		if (m < 0 || level == AP_ROLLUP_RAW)
			continue;
		if (!r->aligned)
			ap_rollup_hold_align(&r->hold, (enum ap_rollup_level)level,
					     built(r, (enum ap_rollup_level)level));
		m = confirm_level(r, (enum ap_rollup_level)level, facts.upto[level], err);
	}
	r->aligned |= m == 0;
	return m;
}

static void count(struct ap_rollup *r, enum ap_rollup_level level, int m, uint64_t ns)
{
	pthread_mutex_lock(&r->lock);
	if (m < 0) {
		r->stats.failures++;
	} else {
		r->stats.ranges[level]++;
		r->stats.build_ns += ns;
	}
	pthread_mutex_unlock(&r->lock);
}

int ap_rollup_confirm(struct ap_rollup *r, struct ap_error *err)
{
	int m = confirm(r, err);

	if (m < 0)
		count(r, AP_ROLLUP_RAW, m, 0);
	return m;
}

bool ap_rollup_waits(const struct ap_rollup *r, enum ap_rollup_level level)
{
	const struct ap_held_range *p = r->hold.levels[level].v.p;
	size_t n = r->hold.levels[level].v.n;

	for (size_t i = 0; i < n; i++)
		if (!p[i].made)
			return true;
	return n && p[n - 1].range.to < r->goal[level];
}

/* The next range that is to be made, of those that are held or beyond them; NULL: none. */
static int next_held(struct ap_rollup *r, enum ap_rollup_level level, struct ap_held_range **ret,
		     struct ap_error *err)
{
	struct ap_rollup_range range = {.after = built(r, level)};
	size_t n = r->hold.levels[level].v.n;
	int m;

	AP_VEC_FOREACH(&r->hold.levels[level].v, held) {
		range.after = held->range.to;
		*ret = held;
		if (!held->made)
			return 0;
	}
	*ret = NULL;
	if (range.after >= r->goal[level] || n == AP_ROLLUP_HELD_MAX)
		return 0;
	m = ap_rollup_choose(r, level, range.after, r->goal[level], n == 0, &range.to, err);
	if (m == 0)
		m = ap_rollup_hold_add(&r->hold, level, &range, err);
	if (m == 0)
		*ret = &r->hold.levels[level].v.p[n];
	return m;
}

/* A range whose server is not sure of it. */
static int run_held(struct ap_rollup *r, enum ap_rollup_level level, bool *ret_more,
		    struct ap_error *err)
{
	struct ap_held_range *held = NULL;
	int m = next_held(r, level, &held, err);

	*ret_more = m == 0 && held;
	if (m < 0 || !held)
		return m;
	m = ap_rollup_build(r, level, &held->range, &held->days, err);
	if (m == 0) {
		held->made = true;
		held->since = ap_clock_mono_ns();
	}
	return m;
}

static int run_next(struct ap_rollup *r, enum ap_rollup_level level, bool *ret_more,
		    struct ap_error *err)
{
	struct ap_rollup_range range = {.after = built(r, level)};
	struct ap_held_days days = {0};
	int m;

	if (hold_time(r) || r->hold.levels[level].v.n)
		return run_held(r, level, ret_more, err);
	*ret_more = range.after < r->goal[level];
	if (!*ret_more)
		return 0;
	m = ap_rollup_choose(r, level, range.after, r->goal[level], true, &range.to, err);
	if (m == 0)
		m = ap_rollup_build(r, level, &range, &days, err);
	if (m == 0)
		m = note_built(r, level, range.to, err);
	ap_vec_free(&days.v);
	return m;
}

int ap_rollup_run(struct ap_rollup *r, enum ap_rollup_level level, uint64_t upto,
		  struct ap_error *err)
{
	int m = r->aligned ? ap_rollup_refresh(r, err) : confirm(r, err);
	bool more = m == 0;

	if (m < 0)
		count(r, level, m, 0);
	if (upto)
		r->goal[level] = level > AP_ROLLUP_HOUR ? built(r, level - 1) : upto;
	while (more) {
		uint64_t begin = ap_clock_mono_ns();

		m = run_next(r, level, &more, err);
		if (more || m < 0)
			count(r, level, m, ap_clock_mono_ns() - begin);
		more &= m == 0;
	}
	return m;
}

void ap_rollup_set_rows(struct ap_rollup *r, enum ap_rollup_family f, uint64_t raw, uint64_t hours)
{
	pthread_mutex_lock(&r->lock);
	r->view.hours_pay[f] = raw >= PAYING * hours;
	pthread_mutex_unlock(&r->lock);
}

void ap_rollup_get_stats(struct ap_rollup *r, struct ap_rollup_stats *ret)
{
	for (int level = AP_ROLLUP_HOUR; level < AP_ROLLUP_LEVELS; level++) {
		uint64_t upto = built(r, (enum ap_rollup_level)level);

		pthread_mutex_lock(&r->lock);
		r->stats.upto[level] = upto;
		pthread_mutex_unlock(&r->lock);
	}
	pthread_mutex_lock(&r->lock);
	*ret = r->stats;
	pthread_mutex_unlock(&r->lock);
}

void ap_rollup_done_sql(const struct ap_rollup_view *v, enum ap_rollup_level level,
			struct ap_buf *sql)
{
	const char *separator = "";

	ap_buf_byte(sql, '(');
	AP_VEC_FOREACH(&v->writers, w) {
		if (w->upto[level] <= w->base)
			continue;
		ap_buf_printf(sql, "%s(segment > %llu AND segment <= %llu)", separator,
			      (unsigned long long)w->base, (unsigned long long)w->upto[level]);
		separator = " OR ";
	}
	ap_buf_puts(sql, *separator ? ")" : "0)");
}
