/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reader.h"

#include "base/buf.h"

#define EXPIRE_NS (AP_PROCESS_GRACE_NS / 4) /* between two looks for processes to forget */

struct pending {
	uint64_t time;
	size_t at, n;	/* in `bytes` */
	uint64_t count; /* of periods, waits or calls */
	bool sample;	/* else a notice */
};

struct ap_reader {
	struct ap_process_table *processes;
	struct ap_tables *tables;
	struct ap_rows_builder *rows;
	struct ap_ledger *ledger;
	struct ap_buf bytes;
	AP_VEC(struct pending) records;
	uint64_t expired; /* CLOCK_MONOTONIC */
};

struct ap_reader *ap_reader_new(struct ap_process_table *processes, struct ap_tables *tables,
				struct ap_rows_builder *rows, struct ap_ledger *ledger)
{
	struct ap_reader *r = calloc(1, sizeof(*r));

	if (r) {
		r->processes = processes;
		r->tables = tables;
		r->rows = rows;
		r->ledger = ledger;
	}
	return r;
}

void ap_reader_free(struct ap_reader *r)
{
	if (!r)
		return;
	ap_buf_free(&r->bytes);
	ap_vec_free(&r->records);
	free(r);
}

static bool is_sample(uint16_t type)
{
	return type == AP_RECORD_CPU || type == AP_RECORD_OFFCPU || type == AP_RECORD_WAKER ||
	       type == AP_RECORD_WAIT_SUMS || type == AP_RECORD_SYSCALL ||
	       type == AP_RECORD_KERNEL_LOCK;
}

void ap_reader_add(struct ap_reader *r, const void *record, size_t n)
{
	struct ap_record_view v;
	int e = ap_record_parse(record, n, &v);
	struct pending p = {.at = r->bytes.n, .n = n};
	uint8_t *to;

	p.sample = e < 0 || v.head.type != AP_RECORD_FILE;
	p.count = e < 0 ? 1 : p.sample ? ap_record_count(&v) : 0;
	ap_ledger_add(r->ledger, AP_LEDGER_READER_IN, p.count);
	if (e < 0 || (p.sample && !is_sample(v.head.type))) {
		ap_ledger_add(r->ledger, AP_LEDGER_READER_MALFORMED, p.count);
		return;
	}
	p.time = v.head.time;
	to = ap_buf_reserve(&r->bytes, n);
	if (!to || ap_vec_push(&r->records, p) < 0) {
		ap_ledger_add(r->ledger, AP_LEDGER_READER_NO_MEMORY, p.count);
		return;
	}
	memcpy(to, record, n);
	r->bytes.n += n;
}

static void add_notice(struct ap_reader *r, const struct ap_record_view *v)
{
	struct ap_file *f =
		ap_process_table_mapped(r->processes, (int32_t)v->head.tgid, &v->notice);

	if (f)
		ap_tables_add_key(r->tables, f, &v->notice.key, v->head.time);
	else
		ap_tables_unresolved(r->tables);
	ap_file_unref(f);
}

void ap_reader_take(struct ap_process_table *processes, struct ap_rows_builder *rows,
		    struct ap_ledger *ledger, const struct ap_process_sample *who,
		    const struct ap_record_view *v, int64_t mono_to_unix)
{
	struct ap_process *process = ap_process_table_sampled(processes, who);
	enum ap_ledger_id outcome = AP_LEDGER_READER_NO_MEMORY;
	uint16_t reason;
	int e;

	if (process) {
		e = ap_rows_builder_add(rows, process, (int64_t)v->head.time + mono_to_unix, v,
					&reason);
		if (e == 0) {
			outcome = AP_LEDGER_READER_OUT;
			if (reason != AP_REASON_SHORT_WAIT)
				__atomic_fetch_add(&ledger->stacks[reason], 1, __ATOMIC_RELAXED);
		} else if (e == -ENOSPC) {
			outcome = AP_LEDGER_READER_TABLE_FULL;
		}
	}
	ap_ledger_add(ledger, outcome, ap_record_count(v));
}

static void add_sample(struct ap_reader *r, const struct ap_record_view *v, int64_t mono_to_unix)
{
	const struct ap_process_sample who = {
		.pid = (int32_t)v->head.tgid,
		.tid = (int32_t)v->head.tid,
		.start_time = v->head.start_time,
		.time = v->head.time,
		.cgroup_id = v->head.cgroup,
		.comm = v->comm,
		.kernel = v->head.flags & AP_RECORD_F_KTHREAD,
	};

	ap_reader_take(r->processes, r->rows, r->ledger, &who, v, mono_to_unix);
}

static void process_record(struct ap_reader *r, const struct pending *p, int64_t mono_to_unix)
{
	struct ap_record_view v;

	if (ap_record_parse(r->bytes.p + p->at, p->n, &v) < 0)
		return;
	if (p->sample)
		add_sample(r, &v, mono_to_unix);
	else
		add_notice(r, &v);
}

static int compare_times(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

/* Forgets the first `n` records; the few that stay move to the front. */
static void forget(struct ap_reader *r, size_t n)
{
	struct ap_buf rest = {0};
	size_t kept = r->records.n - n;

	memmove(r->records.p, r->records.p + n, kept * sizeof(*r->records.p));
	r->records.n = kept;
	for (size_t i = 0; i < kept; i++) {
		struct pending *p = &r->records.p[i];
		size_t at = rest.n;

		ap_buf_append(&rest, r->bytes.p + p->at, p->n);
		p->at = at;
	}
	if (kept && ap_buf_error(&rest) == 0) {
		ap_buf_free(&r->bytes);
		r->bytes = rest;
		return;
	}
	ap_buf_free(&rest);
	ap_buf_clear(&r->bytes);
	for (size_t i = 0; i < kept; i++)
		ap_ledger_add(r->ledger, AP_LEDGER_READER_NO_MEMORY, r->records.p[i].count);
	r->records.n = 0;
}

void ap_reader_process(struct ap_reader *r, struct ap_sideband_batch *events, uint64_t until,
		       int64_t mono_to_unix)
{
	size_t s = 0, e = 0;

	if (r->records.n > 1)
		qsort(r->records.p, r->records.n, sizeof(*r->records.p), compare_times);
	while (s < r->records.n && r->records.p[s].time <= until) {
		for (; e < events->events.n && events->events.p[e].time <= r->records.p[s].time;
		     e++)
			ap_process_table_apply(r->processes, &events->events.p[e]);
		process_record(r, &r->records.p[s++], mono_to_unix);
	}
	for (; e < events->events.n && events->events.p[e].time <= until; e++)
		ap_process_table_apply(r->processes, &events->events.p[e]);
	ap_sideband_batch_consume(events, e);
	if (s)
		forget(r, s);
	if (until - r->expired >= EXPIRE_NS) {
		ap_process_table_expire(r->processes, until);
		r->expired = until;
	}
}
