/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as the bytes of a PushRequest: the message is laid out in an arena, packed once, and
 * compressed. */
#include "wire/batch.h"

#include <limits.h>
#include <zstd.h>

#include "aggregator.pb-c.h"
#include "base/arena.h"

/* The generated names carry the package; these are the messages of this file. */
typedef Aperture__Aggregator__V1__PushRequest PushRequest;
typedef Aperture__Aggregator__V1__Batch Batch;
typedef Aperture__Aggregator__V1__Agent Agent;
typedef Aperture__Aggregator__V1__AgentStatus AgentStatus;
typedef Aperture__Aggregator__V1__SettingsStatus SettingsStatus;
typedef Aperture__Aggregator__V1__Mapping Mapping;
typedef Aperture__Aggregator__V1__Function Function;
typedef Aperture__Aggregator__V1__Frames Frames;
typedef Aperture__Aggregator__V1__Stacks Stacks;
typedef Aperture__Aggregator__V1__LabelSet LabelSet;
typedef Aperture__Aggregator__V1__Samples Samples;
typedef Aperture__Aggregator__V1__Syscalls Syscalls;
typedef Aperture__Aggregator__V1__LedgerEntry LedgerEntry;
typedef Aperture__Aggregator__V1__StackReason StackReason;

struct encoder {
	const struct ap_profile *p;
	const struct ap_batch_meta *meta;
	struct ap_arena arena;
	bool failed; /* out of memory */
};

/* An array of `n` elements; never NULL for n = 0 unless out of memory, which is remembered. */
static void *array(struct encoder *e, size_t n, size_t elem)
{
	size_t bytes;
	void *a = NULL;

	if (ap_size_mul(n, elem, &bytes))
		a = ap_arena_alloc(&e->arena, bytes);
	if (!a)
		e->failed = true;
	return a;
}

#define ARRAY(e, type, n) ((type *)array(e, n, sizeof(type)))

static size_t entries(const struct ap_intern *in)
{
	return ap_intern_count(in) - 1; /* id 0 is not sent */
}

static void encode_strings(struct encoder *e, Batch *b)
{
	size_t n = entries(e->p->strings);

	b->strings = ARRAY(e, ProtobufCBinaryData, n);
	if (!b->strings)
		return;
	b->n_strings = n;
	for (size_t i = 0; i < n; i++) {
		struct ap_str s = ap_profile_str(e->p, (uint32_t)i + 1);

		b->strings[i].data = (uint8_t *)s.p;
		b->strings[i].len = s.n;
	}
}

static void encode_mappings(struct encoder *e, Batch *b)
{
	size_t n = entries(e->p->mappings);
	Mapping *m = ARRAY(e, Mapping, n);

	b->mappings = ARRAY(e, Mapping *, n);
	if (!m || !b->mappings)
		return;
	b->n_mappings = n;
	for (size_t i = 0; i < n; i++) {
		const struct ap_mapping *from = ap_profile_get_mapping(e->p, (uint32_t)i + 1);

		aperture__aggregator__v1__mapping__init(&m[i]);
		m[i].path = from->path;
		m[i].build_id = from->build_id;
		b->mappings[i] = &m[i];
	}
}

static void encode_functions(struct encoder *e, Batch *b)
{
	size_t n = entries(e->p->functions);
	Function *f = ARRAY(e, Function, n);

	b->functions = ARRAY(e, Function *, n);
	if (!f || !b->functions)
		return;
	b->n_functions = n;
	for (size_t i = 0; i < n; i++) {
		const struct ap_function *from = ap_profile_get_function(e->p, (uint32_t)i + 1);

		aperture__aggregator__v1__function__init(&f[i]);
		f[i].name = from->name;
		f[i].system_name = from->system_name;
		f[i].file = from->file;
		f[i].start_line = from->start_line;
		b->functions[i] = &f[i];
	}
}

static void encode_frames(struct encoder *e, Frames *f)
{
	size_t n = entries(e->p->frames);

	f->mapping = ARRAY(e, uint32_t, n);
	f->offset = ARRAY(e, uint64_t, n);
	f->function = ARRAY(e, uint32_t, n);
	f->line = ARRAY(e, uint32_t, n);
	f->inline_index = ARRAY(e, uint32_t, n);
	f->kind = ARRAY(e, uint32_t, n);
	if (e->failed)
		return;
	f->n_mapping = f->n_offset = f->n_function = f->n_line = f->n_inline_index = f->n_kind = n;
	for (size_t i = 0; i < n; i++) {
		const struct ap_frame *from = ap_profile_get_frame(e->p, (uint32_t)i + 1);

		f->mapping[i] = from->mapping;
		f->offset[i] = from->offset;
		f->function[i] = from->function;
		f->line[i] = from->line;
		f->inline_index[i] = from->inline_index;
		f->kind[i] = from->kind;
	}
}

static void encode_stacks(struct encoder *e, Stacks *s)
{
	size_t n = entries(e->p->stacks), total = 0;

	for (size_t i = 0; i < n; i++)
		total += ap_profile_get_stack(e->p, (uint32_t)i + 1).n;
	s->depth = ARRAY(e, uint32_t, n);
	s->reason = ARRAY(e, uint32_t, n);
	s->frames = ARRAY(e, uint32_t, total);
	if (e->failed)
		return;
	s->n_depth = s->n_reason = n;
	for (size_t i = 0; i < n; i++) {
		struct ap_stack from = ap_profile_get_stack(e->p, (uint32_t)i + 1);

		s->depth[i] = from.n;
		s->reason[i] = from.reason;
		if (from.n)
			memcpy(s->frames + s->n_frames, from.frames, from.n * sizeof(uint32_t));
		s->n_frames += from.n;
	}
}

static void encode_label_sets(struct encoder *e, Batch *b)
{
	size_t n = entries(e->p->label_sets);
	LabelSet *l = ARRAY(e, LabelSet, n);

	b->label_sets = ARRAY(e, LabelSet *, n);
	if (!l || !b->label_sets)
		return;
	for (size_t i = 0; i < n; i++) {
		struct ap_label_set from = ap_profile_get_labels(e->p, (uint32_t)i + 1);

		aperture__aggregator__v1__label_set__init(&l[i]);
		b->label_sets[i] = &l[i];
		l[i].key = ARRAY(e, uint32_t, from.n);
		l[i].value = ARRAY(e, uint32_t, from.n);
		if (e->failed)
			return;
		l[i].n_key = l[i].n_value = from.n;
		for (uint32_t j = 0; j < from.n; j++) {
			l[i].key[j] = from.labels[j].key;
			l[i].value[j] = from.labels[j].value;
		}
	}
	b->n_label_sets = n;
}

static void encode_samples(struct encoder *e, Samples *s)
{
	size_t n = e->p->samples.n;
	int64_t before = 0;

	s->time_delta_ns = ARRAY(e, int64_t, n);
	s->event = ARRAY(e, uint32_t, n);
	s->label_set = ARRAY(e, uint32_t, n);
	s->stack = ARRAY(e, uint32_t, n);
	s->count = ARRAY(e, uint64_t, n);
	s->value = ARRAY(e, uint64_t, n);
	if (e->failed)
		return;
	s->n_time_delta_ns = s->n_event = s->n_label_set = s->n_stack = s->n_count = s->n_value = n;
	for (size_t i = 0; i < n; i++) {
		const struct ap_sample *from = &e->p->samples.p[i];

		s->time_delta_ns[i] = from->time_ns - before;
		s->event[i] = from->event;
		s->label_set[i] = from->labels;
		s->stack[i] = from->stack;
		s->count[i] = from->count;
		s->value[i] = from->value;
		before = from->time_ns;
	}
}

static void encode_ledger(struct encoder *e, Batch *b)
{
	LedgerEntry *l = ARRAY(e, LedgerEntry, AP_LEDGER_MAX);
	StackReason *r = ARRAY(e, StackReason, AP_REASONS_MAX);

	b->ledger = ARRAY(e, LedgerEntry *, AP_LEDGER_MAX);
	b->stack_reasons = ARRAY(e, StackReason *, AP_REASONS_MAX);
	if (e->failed)
		return;
	for (uint32_t id = 0; id < AP_LEDGER_MAX; id++) {
		if (!e->meta->ledger.count[id])
			continue;
		aperture__aggregator__v1__ledger_entry__init(l);
		l->id = id;
		l->count = e->meta->ledger.count[id];
		b->ledger[b->n_ledger++] = l++;
	}
	for (uint32_t reason = 0; reason < AP_REASONS_MAX; reason++) {
		if (!e->meta->ledger.stacks[reason])
			continue;
		aperture__aggregator__v1__stack_reason__init(r);
		r->reason = reason;
		r->count = e->meta->ledger.stacks[reason];
		b->stack_reasons[b->n_stack_reasons++] = r++;
	}
}

static void encode_settings(const struct ap_settings_status *from, SettingsStatus *s)
{
	s->accepted = from->accepted;
	s->max_frequency_hz = from->max_frequency_hz;
	s->max_duration_ns = from->max_duration_ns;
	s->version = from->version;
	s->remaining_ns = from->remaining_ns;
	s->error = (char *)from->error;
	s->wait_threshold_ns = from->wait_threshold_ns;
}

static void encode_agent(struct encoder *e, Agent *a, AgentStatus *s)
{
	const struct ap_batch_meta *m = e->meta;
	const struct ap_agent_status *from = &m->status;

	a->id = (char *)m->agent_id;
	a->host = (char *)m->host;
	a->version = (char *)m->version;
	a->kernel = (char *)m->kernel;
	a->arch = (char *)m->arch;
	a->cpus = m->cpus;
	s->cpu_user_ns = from->cpu_user_ns;
	s->cpu_bpf_ns = from->cpu_bpf_ns;
	s->rss_bytes = from->rss_bytes;
	s->map_bytes = from->map_bytes;
	s->start_time_ns = from->start_ns;
	s->frequency_hz = from->frequency_hz;
	s->stride = from->stride;
	s->queued_batches = from->queued_batches;
	s->stopping = from->stopping;
	s->modes = ARRAY(e, char *, AP_MODES_MAX);
	if (e->failed)
		return;
	for (uint32_t i = 0; i < from->n_modes && i < AP_MODES_MAX; i++)
		s->modes[s->n_modes++] = (char *)from->modes[i];
}

static bool syscall_columns(struct encoder *e, Syscalls *s)
{
	size_t n = e->p->syscalls.n, counts = e->p->syscall_counts.n;

	s->time_delta_ns = ARRAY(e, int64_t, n);
	s->label_set = ARRAY(e, uint32_t, n);
	s->name = ARRAY(e, uint32_t, n);
	s->abi = ARRAY(e, uint32_t, n);
	s->count = ARRAY(e, uint64_t, n);
	s->sum_ns = ARRAY(e, uint64_t, n);
	s->max_ns = ARRAY(e, uint64_t, n);
	s->in_flight = ARRAY(e, uint32_t, n);
	s->oldest_ns = ARRAY(e, uint64_t, n);
	s->buckets = ARRAY(e, uint32_t, n);
	s->errors = ARRAY(e, uint32_t, n);
	s->bucket = ARRAY(e, uint32_t, counts);
	s->bucket_count = ARRAY(e, uint64_t, counts);
	s->error = ARRAY(e, uint32_t, counts);
	s->error_count = ARRAY(e, uint64_t, counts);
	return !e->failed;
}

static void encode_syscall(struct encoder *e, Syscalls *s, size_t i, int64_t before)
{
	const struct ap_syscall *from = &e->p->syscalls.p[i];
	const struct ap_syscall_count *c = e->p->syscall_counts.p + from->first;

	s->time_delta_ns[i] = from->time_ns - before;
	s->label_set[i] = from->labels;
	s->name[i] = from->name;
	s->abi[i] = from->abi;
	s->count[i] = from->count;
	s->sum_ns[i] = from->sum_ns;
	s->max_ns[i] = from->max_ns;
	s->in_flight[i] = from->in_flight;
	s->oldest_ns[i] = from->oldest_ns;
	s->buckets[i] = from->n_buckets;
	s->errors[i] = from->n_errors;
	for (uint32_t j = 0; j < from->n_buckets; j++, c++) {
		s->bucket[s->n_bucket++] = c->number;
		s->bucket_count[s->n_bucket_count++] = c->count;
	}
	for (uint32_t j = 0; j < from->n_errors; j++, c++) {
		s->error[s->n_error++] = c->number;
		s->error_count[s->n_error_count++] = c->count;
	}
}

static void encode_syscalls(struct encoder *e, Syscalls *s)
{
	size_t n = e->p->syscalls.n;
	int64_t before = 0;

	if (!syscall_columns(e, s))
		return;
	s->n_time_delta_ns = s->n_label_set = s->n_name = s->n_abi = n;
	s->n_count = s->n_sum_ns = s->n_max_ns = s->n_in_flight = s->n_oldest_ns = n;
	s->n_buckets = s->n_errors = n;
	for (size_t i = 0; i < n; i++) {
		encode_syscall(e, s, i, before);
		before = e->p->syscalls.p[i].time_ns;
	}
}

/* Appends the request around the packed batch. */
static int compress(struct encoder *e, const Batch *b, struct ap_buf *out)
{
	PushRequest request = APERTURE__AGGREGATOR__V1__PUSH_REQUEST__INIT;
	size_t raw = protobuf_c_message_get_packed_size(&b->base), bound = ZSTD_compressBound(raw);
	uint8_t *packed, *at;
	size_t n;

	if (raw > INT32_MAX)
		return -EFBIG;
	packed = array(e, raw, 1);
	request.batch.data = array(e, bound, 1);
	if (e->failed)
		return -ENOMEM;
	protobuf_c_message_pack(&b->base, packed);
	n = ZSTD_compress(request.batch.data, bound, packed, raw, 1);
	if (ZSTD_isError(n))
		return -ENOMEM; /* the bound leaves it no other reason */
	request.version = AP_BATCH_VERSION;
	request.batch.len = n;
	request.encoding = APERTURE__AGGREGATOR__V1__ENCODING__ENCODING_ZSTD;
	request.raw_size = raw;
	n = protobuf_c_message_get_packed_size(&request.base);
	at = ap_buf_reserve(out, n);
	if (!at)
		return -ENOMEM;
	out->n += protobuf_c_message_pack(&request.base, at);
	return 0;
}

int ap_batch_encode(const struct ap_profile *p, const struct ap_batch_meta *meta,
		    struct ap_buf *out)
{
	struct encoder e = {.p = p, .meta = meta};
	Batch b = APERTURE__AGGREGATOR__V1__BATCH__INIT;
	Agent agent = APERTURE__AGGREGATOR__V1__AGENT__INIT;
	AgentStatus status = APERTURE__AGGREGATOR__V1__AGENT_STATUS__INIT;
	SettingsStatus settings = APERTURE__AGGREGATOR__V1__SETTINGS_STATUS__INIT;
	Frames frames = APERTURE__AGGREGATOR__V1__FRAMES__INIT;
	Stacks stacks = APERTURE__AGGREGATOR__V1__STACKS__INIT;
	Samples samples = APERTURE__AGGREGATOR__V1__SAMPLES__INIT;
	Syscalls syscalls = APERTURE__AGGREGATOR__V1__SYSCALLS__INIT;
	int r;

	b.agent = &agent;
	b.status = &status;
	b.frames = &frames;
	b.stacks = &stacks;
	b.samples = &samples;
	if (p->syscalls.n)
		b.syscalls = &syscalls;
	b.epoch = meta->epoch;
	b.sequence = meta->sequence;
	b.start_time_ns = meta->start_ns;
	b.end_time_ns = meta->end_ns;
	b.period_ns = meta->period_ns;
	encode_agent(&e, &agent, &status);
	encode_settings(&meta->status.settings, &settings);
	if (meta->status.settings.known)
		status.settings = &settings;
	encode_strings(&e, &b);
	encode_mappings(&e, &b);
	encode_functions(&e, &b);
	encode_frames(&e, &frames);
	encode_stacks(&e, &stacks);
	encode_label_sets(&e, &b);
	encode_samples(&e, &samples);
	encode_syscalls(&e, &syscalls);
	encode_ledger(&e, &b);
	r = e.failed ? -ENOMEM : compress(&e, &b, out);
	ap_arena_free(&e.arena);
	return r;
}

uint64_t ap_batch_calls(const struct ap_profile *p)
{
	uint64_t sum = 0;

	AP_VEC_FOREACH(&p->syscalls, s)
		sum += s->count;
	return sum;
}

uint64_t ap_batch_periods(const struct ap_profile *p)
{
	uint64_t sum = 0;

	AP_VEC_FOREACH(&p->samples, s)
		sum += s->count;
	return sum;
}
