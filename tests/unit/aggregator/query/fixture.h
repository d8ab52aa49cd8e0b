/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made batches, and an aggregator's inner parts put together: buffer, store, writer, queries. */
#ifndef AP_TESTS_FIXTURE_H
#define AP_TESTS_FIXTURE_H

#include "../engine.h"
#include "aggregator/query/query.h"
#include "aggregator/store/writer.h"
#include "base/clock.h"

#define T0    1763900000 /* 2025-11-23 12:13:20 UTC */
#define NS(s) ((int64_t)(s) * (int64_t)AP_NSEC_PER_SEC)

struct fixture {
	char *folder; /* NULL: no store, the buffer alone */
	struct ap_store *store;
	struct ap_buffer *buffer;
	struct ap_query_engine *queries;
	uint64_t sequence;
	size_t segment_rows; /* of the buffer; 0: its default */
};

static inline void fixture_open(struct fixture *f)
{
	struct ap_buffer_config config = {.segment_rows = f->segment_rows};
	struct ap_query_engine_options o;
	struct ap_error err = {0};
	uint64_t rows;
	int r;

	if (f->folder) {
		f->store = engine_open(f->folder);
		/* There is no log here that knows which number a killed run gave to its last insert. */
		while ((r = ap_store_segment_rows(f->store, "samples", 1, &rows, &err)) == -EBUSY)
			usleep(20000);
		assert_int_equal(r, 0);
		assert_int_equal(ap_store_last_segment(f->store, &config.last_segment, &err), 0);
	}
	assert_int_equal(ap_buffer_new(&config, &f->buffer), 0);
	o = (struct ap_query_engine_options){.store = f->store, .buffer = f->buffer};
	assert_int_equal(ap_query_engine_new(&o, &f->queries), 0);
}

static inline void fixture_close(struct fixture *f)
{
	ap_query_engine_free(f->queries);
	ap_buffer_free(f->buffer);
	ap_store_close(f->store);
}

static inline void fixture_begin(struct fixture *f)
{
	*f = (struct fixture){.folder = engine_folder()};
	fixture_open(f);
}

static inline void fixture_end(struct fixture *f)
{
	fixture_close(f);
	engine_folder_remove(f->folder);
}

static inline struct ap_writer *fixture_writer(struct fixture *f, uint64_t interval_ns)
{
	struct ap_writer_options o = {
		.store = f->store, .buffer = f->buffer, .flush_interval_ns = interval_ns};
	struct ap_writer *w;

	assert_int_equal(ap_writer_start(&o, &w), 0);
	return w;
}

static inline void fixture_flush(struct fixture *f)
{
	struct ap_writer *w = fixture_writer(f, 3600 * AP_NSEC_PER_SEC);

	assert_int_equal(ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC), 0);
	ap_writer_stop(w);
}

static inline uint32_t frame(struct ap_profile *p, const char *function, const char *module)
{
	struct ap_function fn = {0};
	struct ap_mapping m = {0};
	struct ap_frame f = {0};
	uint32_t id;

	ap_profile_string(p, ap_str_of(function), &fn.name);
	ap_profile_string(p, ap_str_of(module), &m.path);
	ap_profile_mapping(p, &m, &f.mapping);
	ap_profile_function(p, &fn, &f.function);
	assert_int_equal(ap_profile_frame(p, &f, &id), 0);
	return id;
}

/* A stack from "main;work;leaf", all in one module. */
static inline uint32_t stack(struct ap_profile *p, const char *path, const char *module,
			     uint16_t reason)
{
	struct ap_str rest = ap_str_of(path);
	uint32_t frames[64], n = 0, id;

	while (rest.p && rest.n) {
		struct ap_str part = ap_str_cut(&rest, ';');
		char name[64];

		snprintf(name, sizeof(name), "%.*s", AP_STR_ARG(part));
		frames[n++] = frame(p, name, module);
	}
	assert_int_equal(ap_profile_stack(p, frames, n, reason, &id), 0);
	return id;
}

/* Labels from "service=x,comm=y". */
static inline uint32_t labels(struct ap_profile *p, const char *text)
{
	struct ap_str rest = ap_str_of(text);
	struct ap_label l[16];
	uint32_t n = 0, id;

	while (rest.p && rest.n) {
		struct ap_str value = ap_str_cut(&rest, ','), key = ap_str_cut(&value, '=');

		ap_profile_string(p, key, &l[n].key);
		ap_profile_string(p, value, &l[n++].value);
	}
	assert_int_equal(ap_profile_labels(p, l, n, &id), 0);
	return id;
}

static inline void sample(struct ap_profile *p, int64_t second, const char *label_text,
			  uint32_t stack_id, uint64_t count)
{
	struct ap_sample s = {.time_ns = NS(second) + 123456789,
			      .count = count,
			      .value = count * 10000000,
			      .labels = labels(p, label_text),
			      .stack = stack_id,
			      .event = AP_EVENT_CPU};

	assert_int_equal(ap_profile_add(p, &s), 0);
}

enum { PUSH_LOST = 3 /* samples of each batch */ };

/* Hands the profile to the buffer as a batch of [from, to) seconds of `host`. */
static inline void push(struct fixture *f, struct ap_profile *p, const char *host, int64_t from,
			int64_t to)
{
	struct ap_batch_meta m = {.epoch = 1,
				  .sequence = ++f->sequence,
				  .start_ns = NS(from),
				  .end_ns = NS(to),
				  .period_ns = 10000000};

	snprintf(m.agent_id, sizeof(m.agent_id), "00000000-0000-4000-8000-%012x",
		 (unsigned int)strlen(host));
	snprintf(m.host, sizeof(m.host), "%s", host);
	m.ledger.count[AP_LEDGER_SAMPLE_IDLE] = 1000;
	m.ledger.count[AP_LEDGER_SAMPLE_RINGBUF_FULL] = PUSH_LOST;
	m.ledger.count[AP_LEDGER_SYSCALL_TABLE_FULL] = 2;
	m.ledger.count[AP_LEDGER_SYSCALL_NO_START] = 1000;
	p->start_ns = m.start_ns;
	p->end_ns = m.end_ns;
	assert_int_equal(ap_buffer_add(f->buffer, &p, &m), 0);
}

static inline struct ap_query query(int64_t from, int64_t to)
{
	return (struct ap_query){.from_ms = from * 1000,
				 .to_ms = to * 1000,
				 .type = ap_profile_type_find(AP_STR("cpu:samples"))};
}

static inline uint64_t total_of(struct fixture *f, const struct ap_query *q, struct ap_coverage *c)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_error err = {0};

	if (ap_query_flamegraph(f->queries, q, &t, c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c->samples, t->total[0][0]);
	return t->total[0][0];
}

static inline uint64_t total(struct fixture *f, const struct ap_query *q)
{
	struct ap_coverage c;

	return total_of(f, q, &c);
}

#endif
