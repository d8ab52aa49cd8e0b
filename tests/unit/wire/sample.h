/* SPDX-License-Identifier: Apache-2.0 */
/* A small profile and its meta for tests of wire, ingest and agent. */
#ifndef AP_TESTS_WIRE_SAMPLE_H
#define AP_TESTS_WIRE_SAMPLE_H

#include "../test.h"
#include "wire/batch.h"

#define SAMPLE_START_NS 1764000000000000000ll
#define SAMPLE_AGENT	"0f8fad5b-d9cb-469f-a165-70867728950e"

static inline uint32_t sample_string(struct ap_profile *p, const char *s)
{
	uint32_t id;

	assert_int_equal(ap_profile_string(p, ap_str_of(s), &id), 0);
	return id;
}

/* Two stacks (main;work and main;work;memcpy), one label set, `rows` rows of count 2 each, one a
 * second from start_ns. */
static inline struct ap_profile *sample_profile(int64_t start_ns, size_t rows)
{
	struct ap_profile *p = ap_profile_new();
	const char *const names[] = {"main", "work", "memcpy"};
	uint32_t frames[3], stacks[2], labels;
	struct ap_mapping m;

	assert_non_null(p);
	m.path = sample_string(p, "/usr/bin/demo");
	m.build_id = sample_string(p, "ab12");
	for (uint32_t i = 0; i < 3; i++) {
		struct ap_function fn = {.name = sample_string(p, names[i]), .start_line = i};
		struct ap_frame f = {.offset = 0x1000 + i, .line = 10 + i};

		assert_int_equal(ap_profile_mapping(p, &m, &f.mapping), 0);
		assert_int_equal(ap_profile_function(p, &fn, &f.function), 0);
		assert_int_equal(ap_profile_frame(p, &f, &frames[i]), 0);
	}
	assert_int_equal(ap_profile_stack(p, frames, 2, 0, &stacks[0]), 0);
	assert_int_equal(ap_profile_stack(p, frames, 3, 9, &stacks[1]), 0);
	struct ap_label set[] = {
		{sample_string(p, "service"), sample_string(p, "demo")},
		{sample_string(p, "host"), sample_string(p, "h1")},
	};
	assert_int_equal(ap_profile_labels(p, set, 2, &labels), 0);
	for (size_t i = 0; i < rows; i++) {
		struct ap_sample s = {
			.time_ns = start_ns + (int64_t)i * 1000000000ll,
			.count = 2,
			.value = 2 * 10101010,
			.labels = labels,
			.stack = stacks[i % 2],
			.event = AP_EVENT_CPU,
		};

		assert_int_equal(ap_profile_add(p, &s), 0);
	}
	p->start_ns = start_ns;
	p->end_ns = start_ns + (int64_t)(rows ? rows : 1) * 1000000000ll;
	p->period_ns = 10101010;
	return p;
}

static inline struct ap_batch_meta sample_meta(const struct ap_profile *p, uint64_t epoch,
					       uint64_t sequence)
{
	struct ap_batch_meta m = {
		.agent_id = SAMPLE_AGENT,
		.host = "h1",
		.version = "0.1.0",
		.kernel = "6.18.0",
		.arch = "x86_64",
		.cpus = 2,
		.epoch = epoch,
		.sequence = sequence,
		.start_ns = p->start_ns,
		.end_ns = p->end_ns,
		.period_ns = p->period_ns,
		.status = {.cpu_user_ns = 5,
			   .rss_bytes = 6,
			   .frequency_hz = 99,
			   .stride = 4,
			   .n_modes = 1,
			   .modes = {"cpu"},
			   .settings = {.known = true,
					.accepted = true,
					.max_frequency_hz = 1000,
					.max_duration_ns = 3600000000000ull,
					.version = 7,
					.remaining_ns = 8,
					.wait_threshold_ns = 9,
					.error = "no \xce\xbb"}},
	};

	m.ledger.count[AP_LEDGER_SAMPLE_ELAPSED] = 100;
	m.ledger.count[AP_LEDGER_SAMPLE_IDLE] = 40;
	m.ledger.stacks[0] = 3;
	return m;
}

/* The same as an agent's push has it: the batch of its first epoch with that number. */
static inline void sample_request(int64_t start_ns, size_t rows, uint64_t sequence,
				  struct ap_buf *ret)
{
	struct ap_profile *p = sample_profile(start_ns, rows);
	struct ap_batch_meta meta = sample_meta(p, 1, sequence);

	assert_int_equal(ap_batch_encode(p, &meta, ret), 0);
	ap_profile_free(p);
}

#endif
