/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "abi/ledger.h"
#include "base/clock.h"
#include "profile/pprof_read.h"
#include "profile/tree_builder.h"

struct sample {
	struct ap_sample row; /* its time and labels */
	uint16_t reason;
};

/* A repeated number: packed, or one field for each. */
static int gather(const struct ap_pb_field *f, struct ap_pprof_reader *r, bool locations)
{
	struct ap_str rest = f->bytes;
	uint64_t v = f->value;
	int rc = 0;

	if (f->wire == AP_PB_VARINT)
		return locations ? ap_vec_push(&r->stack, v) : ap_vec_push(&r->values, v);
	while (rest.n && rc == 0) {
		rc = ap_pb_varint(&rest, &v);
		if (rc == 0)
			rc = locations ? ap_vec_push(&r->stack, v) : ap_vec_push(&r->values, v);
	}
	return rc;
}

static bool reason_by_name(struct ap_str name, uint16_t *ret)
{
	for (uint16_t i = 1; i < AP_REASONS_MAX; i++) {
		if (!ap_str_is(name, ap_reason_name(i)) || ap_str_is(name, "unknown"))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static int add_label(struct ap_pprof_reader *r, struct ap_str key, struct ap_str value)
{
	struct ap_label l;
	int rc = ap_profile_string(r->p, key, &l.key);

	if (rc == 0)
		rc = ap_profile_string(r->p, value, &l.value);
	if (rc < 0)
		return rc;
	/* pprof allows several values of a key; the model has one: the first. */
	AP_VEC_FOREACH(&r->labels, have)
		if (have->key == l.key)
			return 0;
	if (r->labels.n >= AP_LABELS_MAX)
		return ap_pprof_bad(r, "a sample has more than 128 labels");
	return ap_vec_push(&r->labels, l);
}

static int read_label(struct ap_pprof_reader *r, struct ap_str msg, struct sample *s)
{
	uint64_t v[PPROF_LABEL_UNIT + 1] = {0};
	struct ap_str key = {0}, text = {0};
	struct ap_pb_field f;
	char number[24];
	int rc;

	while ((rc = ap_pb_next(&msg, &f)) > 0)
		if (f.wire == AP_PB_VARINT && f.number < AP_ARRAY_SIZE(v))
			v[f.number] = f.value;
	if (rc < 0)
		return ap_pprof_bad(r, "a label is cut short");
	rc = ap_pprof_text(r, v[PPROF_LABEL_KEY], &key);
	if (rc == 0)
		rc = ap_pprof_text(r, v[PPROF_LABEL_STR], &text);
	if (rc < 0)
		return rc;
	if (text.n && ap_str_is(key, AP_PPROF_INCOMPLETE_LABEL) && reason_by_name(text, &s->reason))
		return 0;
	if (text.n)
		return add_label(r, key, text);
	if (ap_str_is(key, AP_PPROF_TIME_LABEL)) {
		s->row.time_ns = (int64_t)v[PPROF_LABEL_NUM];
		return 0;
	}
	rc = snprintf(number, sizeof(number), "%lld", (long long)v[PPROF_LABEL_NUM]);
	return add_label(r, key, (struct ap_str){number, (size_t)rc});
}

/* From locations, leaf first, to frames, outermost first. */
static int make_stack(struct ap_pprof_reader *r, struct sample *s)
{
	int rc;

	r->expanded.n = 0;
	for (size_t i = r->stack.n; i-- > 0;) {
		struct ap_pprof_range range;
		uint32_t index;

		if (ap_pprof_index(r->location_ids, r->stack.p[i], &index) < 0)
			return ap_pprof_bad(r, "a sample refers to no location");
		range = r->locations.p[index];
		if (range.n > r->frames_left)
			return ap_error_set(r->err, -EFBIG,
					    "the profile's stacks expand to more than the limit");
		r->frames_left -= range.n;
		rc = ap_vec_reserve(&r->expanded, range.n);
		if (rc < 0)
			return rc;
		memcpy(r->expanded.p + r->expanded.n, r->frames.p + range.first,
		       range.n * sizeof(uint32_t));
		r->expanded.n += range.n;
	}
	return ap_profile_stack(r->p, r->expanded.p, (uint32_t)r->expanded.n, s->reason,
				&s->row.stack);
}

/* A row for each event that the sample has something of. Where a file holds only one of the
 * CPU's two numbers, the other follows from the period, if that is a time. */
static int add_rows(struct ap_pprof_reader *r, struct sample *s)
{
	uint64_t sums[AP_EVENT_MAX][2] = {0};
	uint64_t period = r->p->period_ns;

	for (size_t i = 0; i < r->columns.n; i++) {
		const struct ap_pprof_column *c = &r->columns.p[i];
		uint64_t v = r->values.p[i], *sum = &sums[c->event][c->is_value];

		if (c->event == AP_EVENT_NONE)
			continue;
		if (v > INT64_MAX)
			return ap_pprof_bad(r, "a value is negative (is it a difference?)");
		if (__builtin_mul_overflow(v, c->scale, &v))
			v = UINT64_MAX;
		*sum = ap_sum_saturating(*sum, v);
	}
	if (!r->has[AP_EVENT_CPU][1] &&
	    __builtin_mul_overflow(sums[AP_EVENT_CPU][0], period, &sums[AP_EVENT_CPU][1]))
		sums[AP_EVENT_CPU][1] = UINT64_MAX;
	if (!r->has[AP_EVENT_CPU][0] && period)
		sums[AP_EVENT_CPU][0] = sums[AP_EVENT_CPU][1] / period;
	for (uint32_t e = 1; e < AP_EVENT_MAX; e++) {
		int rc;

		s->row.event = e;
		s->row.count = sums[e][0];
		s->row.value = sums[e][1];
		if (!s->row.count && !s->row.value)
			continue;
		rc = ap_profile_add(r->p, &s->row);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int ap_pprof_read_sample(struct ap_pprof_reader *r, struct ap_str msg)
{
	struct sample s = {0};
	struct ap_pb_field f;
	int rc;

	/* Without a time of its own it is somewhere in the profile: a whole second, as rows that
	 * were aggregated have. */
	s.row.time_ns = r->p->start_ns - r->p->start_ns % (int64_t)AP_NSEC_PER_SEC;
	r->stack.n = r->values.n = r->labels.n = 0;
	while ((rc = ap_pb_next(&msg, &f)) > 0) {
		if (f.wire != AP_PB_BYTES && f.wire != AP_PB_VARINT)
			continue;
		if (f.number == PPROF_SAMPLE_LOCATION || f.number == PPROF_SAMPLE_VALUE)
			rc = gather(&f, r, f.number == PPROF_SAMPLE_LOCATION);
		else if (f.number == PPROF_SAMPLE_LABEL && f.wire == AP_PB_BYTES)
			rc = read_label(r, f.bytes, &s);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return rc != -EINVAL || r->err->code ? rc
						     : ap_pprof_bad(r, "a sample is cut short");
	if (r->values.n != r->columns.n)
		return ap_pprof_bad(r, "a sample has not one value for each sample type");
	rc = make_stack(r, &s);
	if (rc == 0)
		rc = ap_profile_labels(r->p, r->labels.p, (uint32_t)r->labels.n, &s.row.labels);
	return rc < 0 ? rc : add_rows(r, &s);
}
