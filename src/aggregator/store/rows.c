/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rows.h"

#include "aggregator/store/identity.h"
#include "aggregator/store/rows_internal.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"
#include "base/idmap.h"

/* Bounded: a day over its share starts afresh (its rows are sent again, which is harmless), and a fourth day
 * takes the place of the oldest. */
enum { KNOWN_DAYS = 3, KNOWN_IDS_MAX = 2000000 };

struct known_day {
	int32_t day;
	bool in_use;
	struct ap_idmap stacks, frames;
};
struct ap_known {
	struct known_day days[KNOWN_DAYS];
};

static void known_drop(struct known_day *d)
{
	ap_idmap_free(&d->stacks);
	ap_idmap_free(&d->frames);
	d->in_use = false;
}

static struct known_day *known_of(struct ap_known *k, int32_t day)
{
	struct known_day *pick = &k->days[0];

	for (int i = 0; i < KNOWN_DAYS; i++) {
		struct known_day *d = &k->days[i];

		if (d->in_use && d->day == day) {
			if (d->stacks.n + d->frames.n > KNOWN_IDS_MAX)
				known_drop(d);
			d->in_use = true;
			return d;
		}
		if (pick->in_use && (!d->in_use || d->day < pick->day))
			pick = d;
	}
	known_drop(pick);
	pick->day = day;
	pick->in_use = true;
	return pick;
}

struct ap_known *ap_known_new(void)
{
	return calloc(1, sizeof(struct ap_known));
}

void ap_known_free(struct ap_known *k)
{
	if (k)
		ap_known_forget_all(k);
	free(k);
}

void ap_known_forget(struct ap_known *k, int32_t day)
{
	known_drop(known_of(k, day));
}

void ap_known_forget_all(struct ap_known *k)
{
	for (int i = 0; i < KNOWN_DAYS; i++)
		known_drop(&k->days[i]);
}

int ap_rows_init(struct ap_rows *r, struct ap_known *known)
{
	*r = (struct ap_rows){
		.samples = ap_native_block_new(ap_schema_samples.columns, AP_SAMPLES_COLUMNS),
		.stacks = ap_native_block_new(ap_schema_stacks.columns, AP_STACKS_COLUMNS),
		.frames = ap_native_block_new(ap_schema_frames.columns, AP_FRAMES_COLUMNS),
		.syscalls = ap_native_block_new(ap_schema_syscalls.columns, AP_SYSCALLS_COLUMNS),
		.ledger = ap_native_block_new(ap_schema_ledger.columns, AP_LEDGER_COLUMNS),
		.gathered = ap_rows_samples_new(),
		.known = known,
	};
	if (!r->samples || !r->stacks || !r->frames || !r->syscalls || !r->ledger || !r->gathered) {
		ap_rows_free(r);
		return -ENOMEM;
	}
	return 0;
}

void ap_rows_free(struct ap_rows *r)
{
	ap_native_block_free(r->samples);
	ap_native_block_free(r->stacks);
	ap_native_block_free(r->frames);
	ap_native_block_free(r->syscalls);
	ap_native_block_free(r->ledger);
	ap_rows_samples_free(r->gathered);
	*r = (struct ap_rows){0};
}

void ap_rows_clear(struct ap_rows *r)
{
	ap_native_block_clear(r->samples);
	ap_native_block_clear(r->stacks);
	ap_native_block_clear(r->frames);
	ap_native_block_clear(r->syscalls);
	ap_native_block_clear(r->ledger);
	ap_rows_samples_clear(r->gathered);
	r->periods = 0;
}

/* A batch being added. */
struct source {
	struct ap_rows *rows;
	const struct ap_batch *b;
	const struct ap_profile *p;
	uint64_t segment;
	struct known_day *known;
	struct ap_identity id;
	uint32_t *sets;	 /* [label set][event]: that of the rows, and 1; 0: there is none yet */
	bool *has_stack; /* by the batch's numbers: seen to already */
	AP_VEC(uint64_t) path;
	struct ap_user_labels labels;
};

static void add_frame(struct source *s, uint32_t frame)
{
	const struct ap_frame *f = ap_profile_get_frame(s->p, frame);
	const struct ap_function *fn = ap_profile_get_function(s->p, f->function);
	const struct ap_mapping *m = ap_profile_get_mapping(s->p, f->mapping);
	struct ap_native_block *b = s->rows->frames;

	ap_native_put_uint(b, AP_FRAMES_DAY, (uint64_t)s->b->day);
	ap_native_put_uint(b, AP_FRAMES_ID, s->id.frames[frame]);
	ap_native_put_str(b, AP_FRAMES_FUNCTION, ap_profile_str(s->p, fn->name));
	ap_native_put_str(b, AP_FRAMES_SYSTEM_NAME, ap_profile_str(s->p, fn->system_name));
	ap_native_put_str(b, AP_FRAMES_FILE, ap_profile_str(s->p, fn->file));
	ap_native_put_uint(b, AP_FRAMES_START_LINE, fn->start_line);
	ap_native_put_uint(b, AP_FRAMES_LINE, f->line);
	ap_native_put_str(b, AP_FRAMES_MODULE, ap_profile_str(s->p, m->path));
	ap_native_put_str(b, AP_FRAMES_BUILD_ID, ap_profile_str(s->p, m->build_id));
	ap_native_put_uint(b, AP_FRAMES_OFFSET, f->offset);
	ap_native_put_uint(b, AP_FRAMES_INLINE_INDEX, f->inline_index);
	ap_native_put_uint(b, AP_FRAMES_KIND, f->kind);
}

static int add_stack(struct source *s, uint32_t stack)
{
	struct ap_native_block *b = s->rows->stacks;
	struct ap_stack st;
	int r;

	if (s->has_stack[stack])
		return 0;
	r = ap_idmap_add(&s->known->stacks, s->id.stacks[stack], 0);
	s->has_stack[stack] = r >= 0;
	if (r <= 0)
		return r;
	st = ap_profile_get_stack(s->p, stack);
	s->path.n = 0;
	r = ap_vec_reserve(&s->path, (size_t)st.n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < st.n; i++) {
		s->path.p[i] = s->id.frames[st.frames[i]];
		r = ap_idmap_add(&s->known->frames, s->path.p[i], 0);
		if (r < 0)
			return r;
		if (r > 0)
			add_frame(s, st.frames[i]);
	}
	ap_native_put_uint(b, AP_STACKS_DAY, (uint64_t)s->b->day);
	ap_native_put_uint(b, AP_STACKS_ID, s->id.stacks[stack]);
	ap_native_put_uints(b, AP_STACKS_FRAMES, s->path.p, st.n);
	ap_native_put_uint(b, AP_STACKS_REASON, st.reason);
	return 0;
}

static int make_set(struct source *s, uint32_t labels, uint32_t event, uint32_t *ret)
{
	uint32_t keys[AP_LABEL_COLUMNS];
	int r = ap_user_labels_of(s->p, labels, &s->labels);

	for (uint32_t i = 0; i < AP_LABEL_COLUMNS; i++)
		keys[i] =
			ap_native_key(s->rows->samples, AP_SAMPLES_LABEL + i,
				      ap_batch_label(s->b, labels, ap_str_of(ap_schema_labels[i])));
	return r < 0 ? r
		     : ap_rows_samples_set(s->rows->gathered, keys, &s->labels, (uint8_t)event,
					   ret);
}

static int add_sample(struct source *s, const struct ap_sample *row)
{
	uint32_t *set = &s->sets[(size_t)row->labels * AP_EVENT_MAX + row->event], number;
	int r = 0;

	if (!*set) {
		r = make_set(s, row->labels, row->event, &number);
		if (r == 0)
			*set = number + 1;
	}
	if (r == 0)
		r = add_stack(s, row->stack);
	if (r < 0)
		return r;
	ap_rows_samples_add(s->rows->gathered, *set - 1, ap_store_second(row->time_ns),
			    s->id.stacks[row->stack], row->count, row->value);
	s->rows->periods += row->count;
	return 0;
}

static void add_ledger_row(struct source *s, enum ap_ledger_row kind, uint32_t id, uint64_t count)
{
	const struct ap_batch_meta *m = s->b->meta;
	struct ap_native_block *b = s->rows->ledger;
	uint32_t from = ap_store_second(m->start_ns);
	uint32_t until = ap_store_second(m->end_ns + (int64_t)AP_NSEC_PER_SEC - 1);

	ap_native_put_uint(b, AP_LEDGER_COL_TIME, from);
	ap_native_put_uint(b, AP_LEDGER_COL_UNTIL, AP_MAX(until, from + 1));
	ap_native_put_str(b, AP_LEDGER_COL_AGENT, ap_str_of(m->agent_id));
	ap_native_put_str(b, AP_LEDGER_COL_HOST, ap_str_of(m->host));
	ap_native_put_uint(b, AP_LEDGER_COL_EPOCH, m->epoch);
	ap_native_put_uint(b, AP_LEDGER_COL_SEQUENCE, m->sequence);
	ap_native_put_uint(b, AP_LEDGER_COL_KIND, kind);
	ap_native_put_uint(b, AP_LEDGER_COL_ID, id);
	ap_native_put_uint(b, AP_LEDGER_COL_COUNT, count);
	ap_native_put_uint(b, AP_LEDGER_COL_SEGMENT, s->segment);
}

static void add_ledger(struct source *s)
{
	const struct ap_ledger *l = &s->b->meta->ledger;
	uint64_t periods = 0;

	AP_VEC_FOREACH(&s->p->samples, row)
		periods += row->count;
	add_ledger_row(s, AP_LEDGER_ROW_BATCH, 0, periods);
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		if (l->count[i])
			add_ledger_row(s, AP_LEDGER_ROW_LOSS, i, l->count[i]);
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++)
		if (l->stacks[i])
			add_ledger_row(s, AP_LEDGER_ROW_REASON, i, l->stacks[i]);
}

static int add_rows(struct source *s)
{
	const struct ap_sample *row = s->p->samples.p + s->b->first_row, *end = row + s->b->n_rows;
	uint32_t label_sets = ap_intern_count(s->p->label_sets);
	int r;

	s->sets = calloc((size_t)label_sets * AP_EVENT_MAX, sizeof(*s->sets));
	s->has_stack = calloc(ap_intern_count(s->p->stacks), sizeof(*s->has_stack));
	if (!s->sets || !s->has_stack)
		return -ENOMEM;
	r = ap_identity_of(s->p, &s->id);
	if (r == 0)
		r = ap_rows_samples_reserve(s->rows->gathered, s->b->n_rows);
	for (; row < end && r == 0; row++)
		r = row->event < AP_EVENT_MAX ? add_sample(s, row) : -EINVAL;
	return r;
}

int ap_rows_finish(struct ap_rows *rows)
{
	return ap_rows_samples_put(rows->gathered, rows->segment, rows->samples);
}

int ap_rows_add(struct ap_rows *rows, const struct ap_batch *b, uint64_t segment)
{
	struct source s = {
		.rows = rows,
		.b = b,
		.p = b->profile,
		.segment = segment,
		.known = known_of(rows->known, b->day),
	};
	int r = 0;

	if (!ap_range_ok(b->first_row, b->n_rows, s.p->samples.n) ||
	    !ap_range_ok(b->first_call, b->n_calls, s.p->syscalls.n))
		return -EINVAL;
	rows->segment = segment;
	if (b->n_rows)
		r = add_rows(&s);
	if (r == 0 && b->n_calls)
		r = ap_rows_add_syscalls(rows, b, segment);
	if (r == 0 && b->part == 0)
		add_ledger(&s);
	ap_identity_free(&s.id);
	free(s.sets);
	free(s.has_stack);
	ap_vec_free(&s.path);
	ap_user_labels_free(&s.labels);
	return r;
}
