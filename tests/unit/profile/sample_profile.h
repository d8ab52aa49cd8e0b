/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that has one of everything, for the tests of the formats. */
#ifndef AP_TESTS_SAMPLE_PROFILE_H
#define AP_TESTS_SAMPLE_PROFILE_H

#include "../test.h"
#include "profile/profile.h"

static inline uint32_t sample_string(struct ap_profile *p, const char *s)
{
	uint32_t id = 0;

	assert_int_equal(ap_profile_string(p, ap_str_of(s), &id), 0);
	return id;
}

static inline uint32_t sample_mapping(struct ap_profile *p, const char *path, const char *build_id)
{
	struct ap_mapping m = {sample_string(p, path), sample_string(p, build_id)};
	uint32_t id = 0;

	assert_int_equal(ap_profile_mapping(p, &m, &id), 0);
	return id;
}

/* `name` NULL: a frame without a symbol. */
static inline uint32_t sample_frame(struct ap_profile *p, uint32_t mapping, uint64_t offset,
				    const char *name, enum ap_frame_kind kind,
				    uint16_t inline_index)
{
	struct ap_frame f = {.offset = offset,
			     .mapping = mapping,
			     .line = name ? 42 : 0,
			     .inline_index = inline_index,
			     .kind = (uint8_t)kind};
	uint32_t id = 0;

	if (name) {
		struct ap_function fn = {.name = sample_string(p, name),
					 .system_name = sample_string(p, "_Z3foov"),
					 .file = sample_string(p, "src/foo.cc"),
					 .start_line = 40};

		assert_int_equal(ap_profile_function(p, &fn, &f.function), 0);
	}
	assert_int_equal(ap_profile_frame(p, &f, &id), 0);
	return id;
}

static inline uint32_t sample_labels(struct ap_profile *p, const char *comm, const char *pid)
{
	struct ap_label l[] = {
		{sample_string(p, "service"), sample_string(p, "web \"frontend\"")},
		{sample_string(p, "pid"), sample_string(p, pid)},
		{sample_string(p, "comm"), sample_string(p, comm)},
	};
	uint32_t id = 0;

	assert_int_equal(ap_profile_labels(p, l, AP_ARRAY_SIZE(l), &id), 0);
	return id;
}

static inline void sample_row(struct ap_profile *p, uint32_t stack, uint32_t labels,
			      enum ap_event event, int64_t time_ns, uint64_t count, uint64_t value)
{
	struct ap_sample s = {.time_ns = time_ns,
			      .count = count,
			      .value = value,
			      .labels = labels,
			      .stack = stack,
			      .event = (uint32_t)event};

	assert_int_equal(ap_profile_add(p, &s), 0);
}

enum { SAMPLE_PERIOD_NS = 10101010 };
#define SAMPLE_START_NS 1764000000000000000ll

/* CPU samples of two processes and one wait for a lock, with exact times where `exact`. */
static inline struct ap_profile *sample_profile(bool exact)
{
	struct ap_profile *p = ap_profile_new();
	uint32_t exe, libc, kernel, main_f, work, inl, inl2, nosym, sys, stacks[4], labels[2];
	int64_t t = SAMPLE_START_NS + (exact ? 123456789 : 0);

	assert_non_null(p);
	exe = sample_mapping(p, "/usr/bin/web", "0123456789abcdef0123456789abcdef01234567");
	libc = sample_mapping(p, "/usr/lib/x86_64-linux-gnu/libc.so.6", "");
	kernel = sample_mapping(p, "[kernel]", "");
	main_f = sample_frame(p, exe, 0x1000, "main", AP_FRAME_NATIVE, 0);
	work = sample_frame(p, exe, 0x2010, "work<int, char>(a;b)", AP_FRAME_NATIVE, 0);
	inl = sample_frame(p, exe, 0x2010, "inlined & <near>", AP_FRAME_INLINED, 1);
	inl2 = sample_frame(p, exe, 0x2010, "innermost", AP_FRAME_INLINED, 2);
	nosym = sample_frame(p, libc, 0x29d90, NULL, AP_FRAME_NATIVE, 0);
	sys = sample_frame(p, kernel, 0xffffffff81000010ull, "do_syscall_64", AP_FRAME_KERNEL, 0);
	ap_profile_stack(p, (uint32_t[]){nosym, main_f, work, inl, inl2}, 5, AP_REASON_OK,
			 &stacks[0]);
	ap_profile_stack(p, (uint32_t[]){nosym, main_f, sys}, 3, AP_REASON_OK, &stacks[1]);
	ap_profile_stack(p, (uint32_t[]){work}, 1, AP_REASON_NO_TABLE, &stacks[2]);
	ap_profile_stack(p, (uint32_t[]){nosym, main_f, main_f, main_f}, 4, AP_REASON_OK,
			 &stacks[3]);
	labels[0] = sample_labels(p, "web", "1234");
	labels[1] = sample_labels(p, "worker;1", "77");
	p->start_ns = SAMPLE_START_NS;
	p->end_ns = SAMPLE_START_NS + 2000000000;
	p->period_ns = SAMPLE_PERIOD_NS;
	for (uint32_t i = 0; i < 3; i++)
		sample_row(p, stacks[i], labels[i & 1], AP_EVENT_CPU, t + i * 1000000000ll, i + 1,
			   (uint64_t)SAMPLE_PERIOD_NS * (i + 1));
	sample_row(p, stacks[3], labels[0], AP_EVENT_CPU, t, 1, SAMPLE_PERIOD_NS);
	sample_row(p, stacks[1], labels[0], AP_EVENT_LOCK, t, 2, 5000000);
	return p;
}

/* Whether both hold the same rows, each in its own words. Order matters, ids do not. */
static inline void assert_same_profile(const struct ap_profile *a, const struct ap_profile *b)
{
	assert_int_equal(a->start_ns, b->start_ns);
	assert_int_equal(a->end_ns, b->end_ns);
	assert_int_equal(a->period_ns, b->period_ns);
	assert_int_equal(a->samples.n, b->samples.n);
	for (size_t i = 0; i < a->samples.n; i++) {
		const struct ap_sample *x = &a->samples.p[i], *y = &b->samples.p[i];
		struct ap_stack sx = ap_profile_get_stack(a, x->stack);
		struct ap_stack sy = ap_profile_get_stack(b, y->stack);
		struct ap_label_set lx = ap_profile_get_labels(a, x->labels);
		struct ap_label_set ly = ap_profile_get_labels(b, y->labels);

		assert_int_equal(x->time_ns, y->time_ns);
		assert_int_equal(x->event, y->event);
		assert_int_equal(x->count, y->count);
		assert_int_equal(x->value, y->value);
		assert_int_equal(sx.n, sy.n);
		assert_int_equal(sx.reason, sy.reason);
		assert_int_equal(lx.n, ly.n);
		for (uint32_t k = 0; k < lx.n; k++) {
			assert_true(ap_str_eq(ap_profile_str(a, lx.labels[k].key),
					      ap_profile_str(b, ly.labels[k].key)));
			assert_true(ap_str_eq(ap_profile_str(a, lx.labels[k].value),
					      ap_profile_str(b, ly.labels[k].value)));
		}
		for (uint32_t k = 0; k < sx.n; k++) {
			const struct ap_frame *f = ap_profile_get_frame(a, sx.frames[k]);
			const struct ap_frame *g = ap_profile_get_frame(b, sy.frames[k]);
			const struct ap_function *fn = ap_profile_get_function(a, f->function);
			const struct ap_function *gn = ap_profile_get_function(b, g->function);
			const struct ap_mapping *fm = ap_profile_get_mapping(a, f->mapping);
			const struct ap_mapping *gm = ap_profile_get_mapping(b, g->mapping);

			assert_true(f->offset == g->offset);
			assert_int_equal(f->line, g->line);
			assert_int_equal(f->kind, g->kind);
			assert_int_equal(f->inline_index, g->inline_index);
			assert_int_equal(fn->start_line, gn->start_line);
			assert_true(ap_str_eq(ap_profile_str(a, fn->name),
					      ap_profile_str(b, gn->name)));
			assert_true(ap_str_eq(ap_profile_str(a, fn->system_name),
					      ap_profile_str(b, gn->system_name)));
			assert_true(ap_str_eq(ap_profile_str(a, fn->file),
					      ap_profile_str(b, gn->file)));
			assert_true(ap_str_eq(ap_profile_str(a, fm->path),
					      ap_profile_str(b, gm->path)));
			assert_true(ap_str_eq(ap_profile_str(a, fm->build_id),
					      ap_profile_str(b, gm->build_id)));
		}
	}
}

#endif
