/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bench.h"

uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint32_t string(struct ap_profile *p, const char *fmt, unsigned int a, unsigned int b)
{
	char text[96];
	uint32_t id;
	int n;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = snprintf(text, sizeof(text), fmt, a, b);
#pragma GCC diagnostic pop
	if (ap_profile_string(p, (struct ap_str){text, (size_t)n}, &id) < 0)
		bench_fail("data set", "out of memory");
	return id;
}

static uint32_t frame(struct ap_profile *p, uint32_t mapping, unsigned int service,
		      unsigned int function)
{
	struct ap_function fn = {
		.name = string(p, "service_%u::handler_%u", service, function),
		.file = string(p, "src/service_%u/part_%u.c", service, function / 16),
		.start_line = function};
	struct ap_frame f = {.offset = 0x1000 + 64ull * function, .mapping = mapping};
	uint32_t id;

	if (ap_profile_function(p, &fn, &f.function) < 0 || ap_profile_frame(p, &f, &id) < 0)
		bench_fail("data set", "out of memory");
	return id;
}

/* Stack `number` of a service: paths that share their outer frames, as real call trees do. */
static uint32_t stack(struct ap_profile *p, uint32_t mapping, unsigned int service,
		      unsigned int number)
{
	uint32_t frames[BENCH_DEPTH + 8], id;
	uint64_t seed = service * 1000003ull + number;
	uint32_t n = BENCH_DEPTH - 8 + (uint32_t)(bench_random(&seed) % 16);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t path = number >> (i < 11 ? 11 - i : 0);

		path = path * 64 + i;
		frames[i] = frame(p, mapping, service, (unsigned int)(bench_random(&path) % 1500));
	}
	if (ap_profile_stack(p, frames, n, AP_REASON_OK, &id) < 0)
		bench_fail("data set", "out of memory");
	return id;
}

struct ap_profile *bench_profile(unsigned int service, uint32_t rows, int64_t start_ns,
				 uint32_t seconds, uint64_t seed)
{
	struct ap_profile *p = ap_profile_new();
	struct ap_mapping m;
	struct ap_label labels[3];
	struct ap_sample s = {.event = AP_EVENT_CPU, .count = 1, .value = 10101010};
	uint32_t known[BENCH_STACKS] = {0}; /* stacks by number; 0: not made yet */

	if (!p)
		bench_fail("data set", "out of memory");
	m.path = string(p, "/usr/bin/service-%u", service, 0);
	m.build_id = string(p, "%08x%032x", service, service);
	labels[0] =
		(struct ap_label){string(p, "service", 0, 0), string(p, "service-%u", service, 0)};
	labels[1] =
		(struct ap_label){string(p, "host", 0, 0), string(p, "host-%u", service % 20, 0)};
	labels[2] = (struct ap_label){string(p, "comm", 0, 0), string(p, "worker-%u", service, 0)};
	uint32_t mapping;
	if (ap_profile_mapping(p, &m, &mapping) < 0 ||
	    ap_profile_labels(p, labels, AP_ARRAY_SIZE(labels), &s.labels) < 0)
		bench_fail("data set", "out of memory");
	for (uint32_t i = 0; i < rows; i++) {
		/* The square of a uniform number: few stacks are hot, most are rare. */
		uint64_t u = bench_random(&seed) % 100000;
		unsigned int number = (unsigned int)(u * u / 10000000000.0 * BENCH_STACKS);

		if (!known[number])
			known[number] = stack(p, mapping, service, number);
		s.stack = known[number];
		s.time_ns = start_ns + (int64_t)(i % seconds) * (int64_t)AP_NSEC_PER_SEC;
		if (ap_profile_add(p, &s) < 0)
			bench_fail("data set", "out of memory");
	}
	p->start_ns = start_ns;
	p->end_ns = start_ns + (int64_t)seconds * (int64_t)AP_NSEC_PER_SEC;
	p->period_ns = s.value;
	return p;
}
