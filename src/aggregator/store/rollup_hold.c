/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rollup_hold.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/io.h"

/* A line each: the level, and the segments (after, to]. */
#define FILE_NAME  "sums"
#define FILE_BEGIN "aperture sums 1"
enum { FILE_BYTES_MAX = 1 << 20 };

static void free_days(struct ap_held_range *held)
{
	ap_vec_free(&held->days.v);
}

void ap_rollup_hold_free(struct ap_rollup_hold *h)
{
	for (int level = 0; level < AP_ROLLUP_LEVELS; level++) {
		AP_VEC_FOREACH(&h->levels[level].v, held)
			free_days(held);
		ap_vec_free(&h->levels[level].v);
	}
	free(h->path);
	h->path = NULL;
}

static int parse_range(struct ap_rollup_hold *h, struct ap_str line, uint64_t base)
{
	struct ap_held_range held = {.since = ap_clock_mono_ns()};
	uint64_t level, before = base;

	if (ap_parse_u64(ap_str_cut(&line, ' '), &level) < 0 ||
	    ap_parse_u64(ap_str_cut(&line, ' '), &held.range.after) < 0 ||
	    ap_parse_u64(line, &held.range.to) < 0)
		return -EBADMSG;
	if (level < AP_ROLLUP_HOUR || level >= AP_ROLLUP_LEVELS)
		return -EBADMSG;
	if (h->levels[level].v.n)
		before = h->levels[level].v.p[h->levels[level].v.n - 1].range.to;
	if (held.range.after < before || held.range.to <= held.range.after ||
	    held.range.to > (base | AP_SEGMENT_NUMBER_MASK) ||
	    (h->levels[level].v.n && held.range.after != before))
		return -EBADMSG;
	return ap_vec_push(&h->levels[level].v, held);
}

static int parse(struct ap_rollup_hold *h, struct ap_str text, uint64_t base)
{
	int r = ap_str_is(ap_str_cut(&text, '\n'), FILE_BEGIN) ? 0 : -EBADMSG;

	while (r == 0 && text.n)
		r = parse_range(h, ap_str_cut(&text, '\n'), base);
	return r;
}

int ap_rollup_hold_open(struct ap_rollup_hold *h, const char *folder, uint64_t base,
			struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	int r;

	if (!folder)
		return 0;
	if (asprintf(&h->path, "%s/" FILE_NAME, folder) < 0) {
		h->path = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	r = ap_read_file(AT_FDCWD, h->path, FILE_BYTES_MAX, &text);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = parse(h, ap_buf_view(&text), base);
	if (r == -EBADMSG)
		return ap_error_set(err, r,
				    "%s does not hold ranges of this aggregator's sums: put it "
				    "back from a copy, or delete it where the ClickHouse server "
				    "has not lost power of late",
				    h->path);
	return r < 0 ? ap_error_set(err, r, "%s cannot be read: %s", h->path, ap_strerror(r)) : 0;
}

/* All but the `dropped` first ones of a level. */
static int save(const struct ap_rollup_hold *h, enum ap_rollup_level shortened, size_t dropped,
		struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	int r;

	if (!h->path)
		return 0;
	ap_buf_puts(&text, FILE_BEGIN "\n");
	for (unsigned int level = 0; level < AP_ROLLUP_LEVELS; level++)
		for (size_t i = level == shortened ? dropped : 0; i < h->levels[level].v.n; i++) {
			const struct ap_rollup_range *range = &h->levels[level].v.p[i].range;

			ap_buf_printf(&text, "%u %llu %llu\n", level,
				      (unsigned long long)range->after,
				      (unsigned long long)range->to);
		}
	r = ap_buf_error(&text);
	if (r == 0)
		r = ap_write_file_atomic(h->path, text.p, text.n, 0600, true);
	return r < 0 ? ap_error_set(err, r, "%s cannot be written: %s", h->path, ap_strerror(r))
		     : 0;
}

int ap_rollup_hold_add(struct ap_rollup_hold *h, enum ap_rollup_level level,
		       const struct ap_rollup_range *range, struct ap_error *err)
{
	const struct ap_held_range held = {.range = *range};
	int r;

	if (ap_vec_push(&h->levels[level].v, held) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = save(h, level, 0, err);
	if (r < 0)
		h->levels[level].v.n--;
	return r;
}

static void forget(struct ap_rollup_hold *h, enum ap_rollup_level level, size_t first)
{
	struct ap_held_range *p = h->levels[level].v.p;
	size_t left = h->levels[level].v.n - first;

	for (size_t i = 0; i < first; i++)
		free_days(&p[i]);
	if (first)
		memmove(p, p + first, left * sizeof(*p));
	h->levels[level].v.n = left;
}

int ap_rollup_hold_drop(struct ap_rollup_hold *h, enum ap_rollup_level level, size_t first,
			struct ap_error *err)
{
	int r = save(h, level, first, err);

	if (r == 0)
		forget(h, level, first);
	return r;
}

void ap_rollup_hold_align(struct ap_rollup_hold *h, enum ap_rollup_level level, uint64_t complete)
{
	size_t n = h->levels[level].v.n;

	/* The file is written anew with the next range. */
	if (n && h->levels[level].v.p[0].range.after == complete)
		return;
	for (size_t i = 0; i < n; i++) {
		struct ap_held_range *held = &h->levels[level].v.p[i];

		held->made = held->noted = true;
		held->since = ap_clock_mono_ns();
		if (held->range.to == complete)
			return;
	}
	forget(h, level, n);
}

struct counting {
	struct ap_rollup_hold *hold;
	enum ap_rollup_level level;
	enum ap_rollup_family family;
};

static void find_day(const struct counting *c, uint64_t segment, uint32_t day)
{
	struct ap_held_range *p = c->hold->levels[c->level].v.p;
	size_t n = c->hold->levels[c->level].v.n;
	size_t at = ap_first(p, n, held, held->range.to >= segment);

	if (at == n || p[at].range.to != segment)
		return;
	AP_VEC_FOREACH(&p[at].days.v, d)
		if (d->family == c->family && d->day == day)
			d->found = true;
}

static int take_days(void *ctx, const struct ap_native_view *v)
{
	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++)
		find_day(ctx, ap_native_uint(&v->columns[0], row),
			 (uint32_t)ap_native_uint(&v->columns[1], row) *
				 ap_rollup_seconds[AP_ROLLUP_DAY]);
	return 0;
}

/* The first and the last day of a family, and of which ranges; false: there is none. */
static bool find_bounds(const struct ap_rollup_hold *h, enum ap_rollup_level level,
			enum ap_rollup_family f, size_t first, size_t last, uint32_t days[2],
			uint64_t segments[2])
{
	days[0] = UINT32_MAX;
	days[1] = 0;
	segments[0] = h->levels[level].v.p[first].range.to;
	segments[1] = h->levels[level].v.p[last - 1].range.to;
	for (size_t i = first; i < last; i++)
		AP_VEC_FOREACH(&h->levels[level].v.p[i].days.v, d)
			if (d->family == f) {
				days[0] = AP_MIN(days[0], d->day);
				days[1] = AP_MAX(days[1], d->day);
			}
	return days[0] <= days[1];
}

int ap_rollup_hold_count(struct ap_rollup_hold *h, enum ap_rollup_level level, size_t first,
			 size_t last, struct ap_store *s, struct ap_error *err)
{
	int r = 0;

	for (size_t i = first; i < last; i++)
		AP_VEC_FOREACH(&h->levels[level].v.p[i].days.v, d)
			d->found = false;
	for (int f = 0; f < AP_ROLLUP_FAMILIES && first < last && r == 0; f++) {
		struct counting c = {h, level, (enum ap_rollup_family)f};
		const uint32_t day_s = ap_rollup_seconds[AP_ROLLUP_DAY];
		uint64_t segments[2];
		uint32_t days[2];
		char sql[320];

		if (!ap_rollup_table(c.family, level) ||
		    !find_bounds(h, level, c.family, first, last, days, segments))
			continue;
		snprintf(sql, sizeof(sql),
			 "SELECT DISTINCT segment, intDiv(toUInt32(time), %u) FROM %s WHERE "
			 "segment >= %llu AND segment <= %llu AND time >= %u AND time < %u",
			 day_s, ap_rollup_table(c.family, level)->name,
			 (unsigned long long)segments[0], (unsigned long long)segments[1], days[0],
			 days[1] + day_s);
		r = ap_store_query(s, ap_str_of(sql), NULL, take_days, &c, err);
	}
	return r;
}

bool ap_held_range_is_whole(const struct ap_held_range *held)
{
	AP_VEC_FOREACH(&held->days.v, d)
		if (!d->found)
			return false;
	return true;
}
