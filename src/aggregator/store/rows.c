/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rows.h"

#include "aggregator/store/identity.h"
#include "aggregator/store/rows_internal.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"
#include "base/idmap.h"

/* Which dictionary rows the store has, per day. Bounded: a day over its share starts afresh (its
 * rows are sent again, which is harmless), and a fourth day takes the place of the oldest. */
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

int ap_rows_init(struct ap_rows *r)
{
	*r = (struct ap_rows){
		.samples = ap_native_block_new(ap_schema_samples.columns, AP_SAMPLES_COLUMNS),
		.stacks = ap_native_block_new(ap_schema_stacks.columns, AP_STACKS_COLUMNS),
		.frames = ap_native_block_new(ap_schema_frames.columns, AP_FRAMES_COLUMNS),
		.syscalls = ap_native_block_new(ap_schema_syscalls.columns, AP_SYSCALLS_COLUMNS),
		.ledger = ap_native_block_new(ap_schema_ledger.columns, AP_LEDGER_COLUMNS),
		.known = calloc(1, sizeof(struct ap_known)),
	};
	if (!r->samples || !r->stacks || !r->frames || !r->syscalls || !r->ledger || !r->known) {
		ap_rows_free(r);
		return -ENOMEM;
	}
	return 0;
}

void ap_rows_free(struct ap_rows *r)
{
	for (int i = 0; r->known && i < KNOWN_DAYS; i++)
		known_drop(&r->known->days[i]);
	free(r->known);
	ap_native_block_free(r->samples);
	ap_native_block_free(r->stacks);
	ap_native_block_free(r->frames);
	ap_native_block_free(r->syscalls);
	ap_native_block_free(r->ledger);
	*r = (struct ap_rows){0};
}

void ap_rows_clear(struct ap_rows *r)
{
	ap_native_block_clear(r->samples);
	ap_native_block_clear(r->stacks);
	ap_native_block_clear(r->frames);
	ap_native_block_clear(r->syscalls);
	ap_native_block_clear(r->ledger);
	r->periods = 0;
}

void ap_rows_forget(struct ap_rows *r, int32_t day)
{
	known_drop(known_of(r->known, day));
}

/* A batch being added. */
struct source {
	struct ap_rows *rows;
	const struct ap_batch *b;
	const struct ap_profile *p;
	struct known_day *known;
	struct ap_identity id;
	uint32_t *keys; /* [set][AP_LABEL_COLUMNS]: LowCardinality keys, once has_keys[set] */
	bool *has_keys;
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

	r = ap_idmap_add(&s->known->stacks, s->id.stacks[stack], 0);
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

static const uint32_t *label_keys(struct source *s, uint32_t set)
{
	uint32_t *keys = &s->keys[(size_t)set * AP_LABEL_COLUMNS];

	if (!s->has_keys[set]) {
		for (uint32_t i = 0; i < AP_LABEL_COLUMNS; i++)
			keys[i] = ap_native_key(
				s->rows->samples, AP_SAMPLES_LABEL + i,
				ap_batch_label(s->b, set, ap_str_of(ap_schema_labels[i])));
		s->has_keys[set] = true;
	}
	return keys;
}

static int add_sample(struct source *s, const struct ap_sample *row)
{
	struct ap_native_block *b = s->rows->samples;
	const uint32_t *keys = label_keys(s, row->labels);
	int r = add_stack(s, row->stack);

	if (r == 0)
		r = ap_user_labels_of(s->p, row->labels, &s->labels);
	if (r < 0)
		return r;
	ap_native_put_uint(b, AP_SAMPLES_TIME, ap_store_second(row->time_ns));
	ap_native_put_uint(b, AP_SAMPLES_EVENT, row->event);
	for (uint32_t i = 0; i < AP_LABEL_COLUMNS; i++)
		ap_native_put_key(b, AP_SAMPLES_LABEL + i, keys[i]);
	ap_user_labels_put(&s->labels, b, AP_SAMPLES_LABEL_KEYS, AP_SAMPLES_LABEL_VALUES);
	ap_native_put_uint(b, AP_SAMPLES_STACK, s->id.stacks[row->stack]);
	ap_native_put_uint(b, AP_SAMPLES_COUNT, row->count);
	ap_native_put_uint(b, AP_SAMPLES_VALUE, row->value);
	s->rows->periods += row->count;
	return 0;
}

static void add_ledger_row(struct source *s, enum ap_ledger_row kind, uint32_t id, uint64_t count,
			   uint64_t segment)
{
	const struct ap_batch_meta *m = s->b->meta;
	struct ap_native_block *b = s->rows->ledger;
	uint32_t day_start = (uint32_t)s->b->day * 86400u;
	uint32_t from = ap_store_second(m->start_ns);
	uint32_t until = ap_store_second(m->end_ns + (int64_t)AP_NSEC_PER_SEC - 1);

	/* The segment's day, whatever else the batch touches: an insert is of one partition. */
	from = AP_MIN(AP_MAX(from, day_start), day_start + 86399);
	ap_native_put_uint(b, AP_LEDGER_COL_TIME, from);
	ap_native_put_uint(b, AP_LEDGER_COL_UNTIL, AP_MAX(until, from + 1));
	ap_native_put_str(b, AP_LEDGER_COL_AGENT, ap_str_of(m->agent_id));
	ap_native_put_str(b, AP_LEDGER_COL_HOST, ap_str_of(m->host));
	ap_native_put_uint(b, AP_LEDGER_COL_EPOCH, m->epoch);
	ap_native_put_uint(b, AP_LEDGER_COL_SEQUENCE, m->sequence);
	ap_native_put_uint(b, AP_LEDGER_COL_KIND, kind);
	ap_native_put_uint(b, AP_LEDGER_COL_ID, id);
	ap_native_put_uint(b, AP_LEDGER_COL_COUNT, count);
	ap_native_put_uint(b, AP_LEDGER_COL_SEGMENT, segment);
}

static void add_ledger(struct source *s, uint64_t segment)
{
	const struct ap_ledger *l = &s->b->meta->ledger;
	uint64_t periods = 0;

	AP_VEC_FOREACH(&s->p->samples, row)
		periods += row->count;
	add_ledger_row(s, AP_LEDGER_ROW_BATCH, 0, periods, segment);
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		if (l->count[i])
			add_ledger_row(s, AP_LEDGER_ROW_LOSS, i, l->count[i], segment);
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++)
		if (l->stacks[i])
			add_ledger_row(s, AP_LEDGER_ROW_REASON, i, l->stacks[i], segment);
}

static int add_rows(struct source *s, uint64_t segment)
{
	const struct ap_sample *row = s->p->samples.p + s->b->first_row;
	uint32_t sets = ap_intern_count(s->p->label_sets);
	int r;

	s->keys = calloc((size_t)sets * AP_LABEL_COLUMNS, sizeof(*s->keys));
	s->has_keys = calloc(sets, sizeof(*s->has_keys));
	if (!s->keys || !s->has_keys)
		return -ENOMEM;
	r = ap_identity_of(s->p, &s->id);
	for (size_t i = 0; i < s->b->n_rows && r == 0; i++) {
		r = add_sample(s, row + i);
		ap_native_put_uint(s->rows->samples, AP_SAMPLES_SEGMENT, segment);
	}
	return r;
}

int ap_rows_add(struct ap_rows *rows, const struct ap_batch *b, uint64_t segment)
{
	struct source s = {
		.rows = rows, .b = b, .p = b->profile, .known = known_of(rows->known, b->day)};
	int r = 0;

	if (b->first_row > s.p->samples.n || b->n_rows > s.p->samples.n - b->first_row)
		return -EINVAL;
	if (b->n_rows)
		r = add_rows(&s, segment);
	if (r == 0 && b->part == 0)
		r = ap_rows_add_syscalls(rows, b, segment);
	if (r == 0 && b->part == 0)
		add_ledger(&s, segment);
	ap_identity_free(&s.id);
	free(s.keys);
	free(s.has_keys);
	ap_vec_free(&s.path);
	ap_user_labels_free(&s.labels);
	return r;
}
