/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionary by dictionary in the order in which they refer to one another, each giving the map
 * from old ids to new ones that the next needs. */
#include "profile/merge.h"

struct maps {
	uint32_t *strings, *mappings, *functions, *frames, *stacks, *label_sets;
};

static uint32_t *map_new(const struct ap_intern *in)
{
	return calloc(ap_intern_count(in), sizeof(uint32_t));
}

static int map_strings(struct ap_profile *into, const struct ap_profile *from, uint32_t *map)
{
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->strings) && r == 0; i++)
		r = ap_profile_string(into, ap_profile_str(from, i), &map[i]);
	return r;
}

static int map_mappings(struct ap_profile *into, const struct ap_profile *from,
			const struct maps *m)
{
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->mappings) && r == 0; i++) {
		struct ap_mapping x = *ap_profile_get_mapping(from, i);

		x.path = m->strings[x.path];
		x.build_id = m->strings[x.build_id];
		r = ap_profile_mapping(into, &x, &m->mappings[i]);
	}
	return r;
}

static int map_functions(struct ap_profile *into, const struct ap_profile *from,
			 const struct maps *m)
{
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->functions) && r == 0; i++) {
		struct ap_function x = *ap_profile_get_function(from, i);

		x.name = m->strings[x.name];
		x.system_name = m->strings[x.system_name];
		x.file = m->strings[x.file];
		r = ap_profile_function(into, &x, &m->functions[i]);
	}
	return r;
}

static int map_frames(struct ap_profile *into, const struct ap_profile *from, const struct maps *m)
{
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->frames) && r == 0; i++) {
		struct ap_frame x = *ap_profile_get_frame(from, i);

		x.mapping = m->mappings[x.mapping];
		x.function = m->functions[x.function];
		r = ap_profile_frame(into, &x, &m->frames[i]);
	}
	return r;
}

static int map_stacks(struct ap_profile *into, const struct ap_profile *from, const struct maps *m)
{
	AP_VEC(uint32_t) frames = {0};
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->stacks) && r == 0; i++) {
		struct ap_stack s = ap_profile_get_stack(from, i);

		frames.n = 0;
		r = ap_vec_reserve(&frames, (size_t)s.n);
		for (uint32_t k = 0; k < s.n && r == 0; k++)
			frames.p[frames.n++] = m->frames[s.frames[k]];
		if (r == 0)
			r = ap_profile_stack(into, frames.p, s.n, s.reason, &m->stacks[i]);
	}
	ap_vec_free(&frames);
	return r;
}

static int map_labels(struct ap_profile *into, const struct ap_profile *from, const struct maps *m)
{
	AP_VEC(struct ap_label) labels = {0};
	int r = 0;

	for (uint32_t i = 1; i < ap_intern_count(from->label_sets) && r == 0; i++) {
		struct ap_label_set s = ap_profile_get_labels(from, i);

		labels.n = 0;
		r = ap_vec_reserve(&labels, (size_t)s.n);
		for (uint32_t k = 0; k < s.n && r == 0; k++)
			labels.p[labels.n++] = (struct ap_label){m->strings[s.labels[k].key],
								 m->strings[s.labels[k].value]};
		if (r == 0)
			r = ap_profile_labels(into, labels.p, s.n, &m->label_sets[i]);
	}
	ap_vec_free(&labels);
	return r;
}

static int map_all(struct ap_profile *into, const struct ap_profile *from, const struct maps *m)
{
	int r = map_strings(into, from, m->strings);

	if (r == 0)
		r = map_mappings(into, from, m);
	if (r == 0)
		r = map_functions(into, from, m);
	if (r == 0)
		r = map_frames(into, from, m);
	if (r == 0)
		r = map_stacks(into, from, m);
	if (r == 0)
		r = map_labels(into, from, m);
	if (r == 0)
		r = ap_vec_reserve(&into->samples, from->samples.n);
	if (r == 0)
		r = ap_vec_reserve(&into->syscalls, from->syscalls.n);
	return r == 0 ? ap_vec_reserve(&into->syscall_counts, from->syscall_counts.n) : r;
}

static void add_syscalls(struct ap_profile *into, const struct ap_profile *from,
			 const struct maps *m)
{
	uint32_t first = (uint32_t)into->syscall_counts.n;

	AP_VEC_FOREACH(&from->syscalls, s) {
		struct ap_syscall x = *s;

		x.labels = m->label_sets[x.labels];
		x.name = m->strings[x.name];
		x.abi = m->strings[x.abi];
		x.first += first;
		into->syscalls.p[into->syscalls.n++] = x;
	}
	AP_VEC_FOREACH(&from->syscall_counts, c)
		into->syscall_counts.p[into->syscall_counts.n++] = *c;
}

static void add_samples(struct ap_profile *into, const struct ap_profile *from,
			const struct maps *m)
{
	bool first = into->samples.n == 0 && into->start_ns == into->end_ns;

	add_syscalls(into, from, m);

	for (size_t i = 0; i < from->samples.n; i++) {
		struct ap_sample x = from->samples.p[i];

		x.labels = m->label_sets[x.labels];
		x.stack = m->stacks[x.stack];
		into->samples.p[into->samples.n++] = x;
	}
	if (first) {
		into->start_ns = from->start_ns;
		into->end_ns = from->end_ns;
		into->period_ns = from->period_ns;
		return;
	}
	into->start_ns = AP_MIN(into->start_ns, from->start_ns);
	into->end_ns = AP_MAX(into->end_ns, from->end_ns);
	if (into->period_ns != from->period_ns)
		into->period_ns = 0;
}

int ap_profile_merge(struct ap_profile *into, const struct ap_profile *from)
{
	struct maps m = {
		.strings = map_new(from->strings),
		.mappings = map_new(from->mappings),
		.functions = map_new(from->functions),
		.frames = map_new(from->frames),
		.stacks = map_new(from->stacks),
		.label_sets = map_new(from->label_sets),
	};
	int r = -ENOMEM;

	if (into->syscall_counts.n + from->syscall_counts.n > UINT32_MAX)
		r = -EOVERFLOW;
	else if (m.strings && m.mappings && m.functions && m.frames && m.stacks && m.label_sets)
		r = map_all(into, from, &m);
	if (r == 0)
		add_samples(into, from, &m);
	free(m.strings);
	free(m.mappings);
	free(m.functions);
	free(m.frames);
	free(m.stacks);
	free(m.label_sets);
	return r;
}
