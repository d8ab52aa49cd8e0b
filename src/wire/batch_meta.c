/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch says about itself: agent, numbers, times, ledger and status. */
#include "wire/batch_internal.h"
#include "wire/utf8.h"

/* Sums of one batch stay below this, so that sums over batches do not wrap. */
#define COUNT_MAX (UINT64_MAX >> 16)

/* Copies a text field of bounded length into the meta, repaired. */
static int copy_text(struct ap_decoder *d, const char *field, const char *from, char *to,
		     size_t size)
{
	ap_buf_clear(&d->text);
	ap_utf8_repair(ap_str_of(from), &d->text);
	if (ap_buf_error(&d->text) < 0)
		return ap_decode_no_memory(d);
	if (d->text.n >= size)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "%s has %zu bytes, above the limit of %zu", field, d->text.n,
				      size - 1);
	if (d->text.n)
		memcpy(to, d->text.p, d->text.n);
	to[d->text.n] = '\0';
	return 0;
}

static int hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static int copy_id(struct ap_decoder *d, const char *from, char to[AP_AGENT_ID_LEN + 1])
{
	bool ok = strlen(from) == AP_AGENT_ID_LEN;

	for (size_t i = 0; ok && i < AP_AGENT_ID_LEN; i++) {
		char c = from[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		ok = i == 8 || i == 13 || i == 18 || i == 23 ? c == '-' : hex_digit(c);
		to[i] = c;
	}
	if (!ok)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "agent.id is not a UUID in its 36-character form");
	to[AP_AGENT_ID_LEN] = '\0';
	return 0;
}

static int decode_agent(struct ap_decoder *d, struct ap_batch_meta *m)
{
	const Aperture__Aggregator__V1__Agent *a = d->batch->agent;
	int r;

	if (!a)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT, "agent is not set");
	r = copy_id(d, a->id, m->agent_id);
	if (r == 0)
		r = copy_text(d, "agent.host", a->host, m->host, sizeof(m->host));
	if (r == 0)
		r = copy_text(d, "agent.version", a->version, m->version, sizeof(m->version));
	if (r == 0)
		r = copy_text(d, "agent.kernel", a->kernel, m->kernel, sizeof(m->kernel));
	if (r == 0)
		r = copy_text(d, "agent.arch", a->arch, m->arch, sizeof(m->arch));
	m->cpus = a->cpus;
	return r;
}

static int decode_settings(struct ap_decoder *d, struct ap_settings_status *to)
{
	const Aperture__Aggregator__V1__SettingsStatus *s = d->batch->status->settings;

	if (!s)
		return 0;
	to->known = true;
	to->accepted = s->accepted;
	to->max_frequency_hz = s->max_frequency_hz;
	to->max_duration_ns = s->max_duration_ns;
	to->version = s->version;
	to->remaining_ns = s->remaining_ns;
	to->wait_threshold_ns = s->wait_threshold_ns;
	return copy_text(d, "status.settings.error", s->error, to->error, sizeof(to->error));
}

static int decode_status(struct ap_decoder *d, struct ap_agent_status *to)
{
	const Aperture__Aggregator__V1__AgentStatus *s = d->batch->status;
	int r = 0;

	if (!s)
		return 0;
	to->cpu_user_ns = s->cpu_user_ns;
	to->cpu_bpf_ns = s->cpu_bpf_ns;
	to->rss_bytes = s->rss_bytes;
	to->map_bytes = s->map_bytes;
	to->start_ns = s->start_time_ns;
	to->frequency_hz = s->frequency_hz;
	to->stride = s->stride;
	to->queued_batches = s->queued_batches;
	to->stopping = s->stopping;
	if (s->n_modes > AP_MODES_MAX)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "status.modes has %zu entries, above the limit of %d",
				      s->n_modes, AP_MODES_MAX);
	for (size_t i = 0; r == 0 && i < s->n_modes; i++)
		r = copy_text(d, "status.modes", s->modes[i], to->modes[i], sizeof(to->modes[i]));
	to->n_modes = (uint32_t)s->n_modes;
	return r < 0 ? r : decode_settings(d, &to->settings);
}

/* Adds one count to a table of `limit` counters. */
static int add_count(struct ap_decoder *d, const char *field, size_t i, uint64_t *table,
		     uint32_t limit, uint32_t id, uint64_t count)
{
	if (id >= limit)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "%s[%zu] has the number %u, above the largest known, %u",
				      field, i, id, limit - 1);
	if (count > COUNT_MAX - AP_MIN(table[id], COUNT_MAX))
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "%s[%zu].count is too large for one batch: %llu", field, i,
				      (unsigned long long)count);
	table[id] += count;
	return 0;
}

static int decode_ledger(struct ap_decoder *d, struct ap_ledger *to)
{
	const Aperture__Aggregator__V1__Batch *b = d->batch;
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n_ledger; i++)
		r = add_count(d, "ledger", i, to->count, AP_LEDGER_MAX, b->ledger[i]->id,
			      b->ledger[i]->count);
	for (size_t i = 0; r == 0 && i < b->n_stack_reasons; i++)
		r = add_count(d, "stack_reasons", i, to->stacks, AP_REASONS_MAX,
			      b->stack_reasons[i]->reason, b->stack_reasons[i]->count);
	return r;
}

int ap_decode_meta(struct ap_decoder *d, struct ap_batch_meta *ret)
{
	const Aperture__Aggregator__V1__Batch *b = d->batch;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = decode_agent(d, ret);
	if (r < 0)
		return r;
	if (b->epoch == 0 || b->sequence == 0)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "%s is 0: epochs and sequences count from 1",
				      b->epoch == 0 ? "epoch" : "sequence");
	if (b->start_time_ns <= 0)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "start_time_ns is %lld: it must be Unix nanoseconds",
				      (long long)b->start_time_ns);
	if (b->end_time_ns <= b->start_time_ns)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "end_time_ns (%lld) is not after start_time_ns (%lld)",
				      (long long)b->end_time_ns, (long long)b->start_time_ns);
	ret->epoch = b->epoch;
	ret->sequence = b->sequence;
	ret->start_ns = b->start_time_ns;
	ret->end_ns = b->end_time_ns;
	ret->period_ns = b->period_ns;
	r = decode_ledger(d, &ret->ledger);
	return r < 0 ? r : decode_status(d, &ret->status);
}
