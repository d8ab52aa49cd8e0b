/* SPDX-License-Identifier: Apache-2.0 */
/* Every dictionary is an ap_intern over the entry's bytes: the structs have no hidden padding, so
 * equal entries are equal bytes. A stack is stored as {reason, frame ids …}, a label set as its
 * sorted pairs. */
#include "profile/profile.h"

#include <xxhash.h>

_Static_assert(sizeof(struct ap_mapping) == 8, "no padding: interned as bytes");
_Static_assert(sizeof(struct ap_function) == 16, "no padding: interned as bytes");
_Static_assert(sizeof(struct ap_frame) == 24, "no padding: interned as bytes");
_Static_assert(sizeof(struct ap_label) == 8, "no padding: interned as bytes");

struct ap_profile *ap_profile_new(void)
{
	struct ap_profile *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->strings = ap_intern_new_text();
	p->mappings = ap_intern_new_keys();
	p->functions = ap_intern_new_keys();
	p->frames = ap_intern_new_keys();
	p->stacks = ap_intern_new_keys();
	p->label_sets = ap_intern_new_keys();
	if (!p->strings || !p->mappings || !p->functions || !p->frames || !p->stacks ||
	    !p->label_sets) {
		ap_profile_free(p);
		return NULL;
	}
	return p;
}

void ap_profile_free(struct ap_profile *p)
{
	if (!p)
		return;
	ap_intern_free(p->strings);
	ap_intern_free(p->mappings);
	ap_intern_free(p->functions);
	ap_intern_free(p->frames);
	ap_intern_free(p->stacks);
	ap_intern_free(p->label_sets);
	ap_vec_free(&p->samples);
	ap_vec_free(&p->syscalls);
	ap_vec_free(&p->syscall_counts);
	free(p);
}

size_t ap_profile_bytes(const struct ap_profile *p)
{
	return sizeof(*p) + ap_intern_bytes(p->strings) + ap_intern_bytes(p->mappings) +
	       ap_intern_bytes(p->functions) + ap_intern_bytes(p->frames) +
	       ap_intern_bytes(p->stacks) + ap_intern_bytes(p->label_sets) +
	       p->samples.cap * sizeof(struct ap_sample) +
	       p->syscalls.cap * sizeof(struct ap_syscall) +
	       p->syscall_counts.cap * sizeof(struct ap_syscall_count);
}

static bool has(const struct ap_intern *in, uint32_t id)
{
	return id < ap_intern_count(in);
}

static int add(struct ap_intern *in, const void *p, size_t n, uint32_t *ret_id)
{
	return ap_intern_add(in, (struct ap_str){p, n}, ret_id, NULL);
}

/* For entries whose "none" is all zeros. */
static int add_entry(struct ap_intern *in, const void *p, size_t n, uint32_t *ret_id)
{
	static const uint8_t none[sizeof(struct ap_frame)];

	if (memcmp(p, none, n) == 0) {
		*ret_id = 0;
		return 0;
	}
	return add(in, p, n, ret_id);
}

int ap_profile_string(struct ap_profile *p, struct ap_str s, uint32_t *ret_id)
{
	return ap_intern_add(p->strings, s, ret_id, NULL);
}

int ap_profile_mapping(struct ap_profile *p, const struct ap_mapping *m, uint32_t *ret_id)
{
	if (!has(p->strings, m->path) || !has(p->strings, m->build_id))
		return -EINVAL;
	return add_entry(p->mappings, m, sizeof(*m), ret_id);
}

int ap_profile_function(struct ap_profile *p, const struct ap_function *f, uint32_t *ret_id)
{
	if (!has(p->strings, f->name) || !has(p->strings, f->system_name) ||
	    !has(p->strings, f->file))
		return -EINVAL;
	return add_entry(p->functions, f, sizeof(*f), ret_id);
}

int ap_profile_frame(struct ap_profile *p, const struct ap_frame *f, uint32_t *ret_id)
{
	struct ap_frame clean = *f;

	if (!has(p->mappings, f->mapping) || !has(p->functions, f->function) ||
	    f->kind >= AP_FRAME_KIND_MAX)
		return -EINVAL;
	clean.pad = 0;
	return add_entry(p->frames, &clean, sizeof(clean), ret_id);
}

int ap_profile_stack(struct ap_profile *p, const uint32_t *frames, uint32_t n, uint16_t reason,
		     uint32_t *ret_id)
{
	uint32_t small[AP_USER_FRAMES_MAX + AP_KERNEL_FRAMES_MAX + 1], *key = small;
	uint32_t known = ap_intern_count(p->frames);
	_cleanup_free_ uint32_t *big = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (frames[i] >= known)
			return -EINVAL;
	if (n >= AP_ARRAY_SIZE(small)) {
		key = big = malloc(((size_t)n + 1) * sizeof(*key));
		if (!big)
			return -ENOMEM;
	}
	if (n == 0 && reason == 0) {
		*ret_id = 0;
		return 0;
	}
	key[0] = reason;
	if (n)
		memcpy(key + 1, frames, n * sizeof(*key));
	return add(p->stacks, key, ((size_t)n + 1) * sizeof(*key), ret_id);
}

int ap_profile_labels(struct ap_profile *p, struct ap_label *labels, uint32_t n, uint32_t *ret_id)
{
	if (n > AP_LABELS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n; i++)
		if (!has(p->strings, labels[i].key) || !has(p->strings, labels[i].value))
			return -EINVAL;
	/* Insertion sort: a set has about ten labels and mostly arrives sorted. */
	for (uint32_t i = 1; i < n; i++) {
		struct ap_label l = labels[i];
		uint32_t j = i;

		while (j > 0 && ap_str_cmp(ap_profile_str(p, labels[j - 1].key),
					   ap_profile_str(p, l.key)) > 0) {
			labels[j] = labels[j - 1];
			j--;
		}
		labels[j] = l;
	}
	for (uint32_t i = 1; i < n; i++)
		if (labels[i].key == labels[i - 1].key)
			return -EEXIST;
	return add(p->label_sets, labels, n * sizeof(*labels), ret_id);
}

int ap_profile_add(struct ap_profile *p, const struct ap_sample *s)
{
	if (!has(p->label_sets, s->labels) || !has(p->stacks, s->stack) || s->event >= AP_EVENT_MAX)
		return -EINVAL;
	return ap_vec_push(&p->samples, *s);
}

static void append(struct ap_profile *p, const struct ap_syscall_counts *c)
{
	if (c->v.n)
		memcpy(p->syscall_counts.p + p->syscall_counts.n, c->v.p, c->v.n * sizeof(*c->v.p));
	p->syscall_counts.n += c->v.n;
}

int ap_profile_add_syscall(struct ap_profile *p, const struct ap_syscall *s,
			   const struct ap_syscall_stat *stat)
{
	size_t n = stat->buckets.v.n + stat->errors.v.n;
	struct ap_syscall row = *s;

	if (!has(p->strings, s->name) || !has(p->strings, s->abi) || !has(p->label_sets, s->labels))
		return -EINVAL;
	if (p->syscall_counts.n + n > UINT32_MAX)
		return -EOVERFLOW;
	if (ap_vec_reserve(&p->syscall_counts, n) < 0)
		return -ENOMEM;
	row.count = stat->count;
	row.sum_ns = stat->sum_ns;
	row.max_ns = stat->max_ns;
	row.first = (uint32_t)p->syscall_counts.n;
	row.n_buckets = (uint32_t)stat->buckets.v.n;
	row.n_errors = (uint32_t)stat->errors.v.n;
	if (ap_vec_push(&p->syscalls, row) < 0)
		return -ENOMEM;
	append(p, &stat->buckets);
	append(p, &stat->errors);
	return 0;
}

int ap_profile_syscall_stat(const struct ap_profile *p, const struct ap_syscall *s,
			    struct ap_syscall_stat *into)
{
	const struct ap_syscall_count *c = p->syscall_counts.p + s->first;
	int r = 0;

	for (uint32_t i = 0; i < s->n_buckets + s->n_errors && r == 0; i++, c++)
		r = ap_syscall_counts_add(i < s->n_buckets ? &into->buckets : &into->errors,
					  c->number, c->count);
	into->count += s->count;
	into->sum_ns += s->sum_ns;
	into->max_ns = AP_MAX(into->max_ns, s->max_ns);
	return r;
}

struct ap_str ap_profile_str(const struct ap_profile *p, uint32_t id)
{
	return ap_intern_get(p->strings, id);
}

const struct ap_mapping *ap_profile_get_mapping(const struct ap_profile *p, uint32_t id)
{
	static const struct ap_mapping none;
	struct ap_str s = ap_intern_get(p->mappings, id);

	return s.n ? (const void *)s.p : &none;
}

const struct ap_function *ap_profile_get_function(const struct ap_profile *p, uint32_t id)
{
	static const struct ap_function none;
	struct ap_str s = ap_intern_get(p->functions, id);

	return s.n ? (const void *)s.p : &none;
}

const struct ap_frame *ap_profile_get_frame(const struct ap_profile *p, uint32_t id)
{
	static const struct ap_frame none;
	struct ap_str s = ap_intern_get(p->frames, id);

	return s.n ? (const void *)s.p : &none;
}

struct ap_stack ap_profile_get_stack(const struct ap_profile *p, uint32_t id)
{
	struct ap_str s = ap_intern_get(p->stacks, id);
	const uint32_t *key = (const void *)s.p;

	if (s.n < sizeof(*key))
		return (struct ap_stack){0};
	return (struct ap_stack){key + 1, (uint32_t)(s.n / sizeof(*key)) - 1, (uint16_t)key[0]};
}

struct ap_label_set ap_profile_get_labels(const struct ap_profile *p, uint32_t id)
{
	struct ap_str s = ap_intern_get(p->label_sets, id);

	return (struct ap_label_set){(const void *)s.p, (uint32_t)(s.n / sizeof(struct ap_label))};
}

struct ap_str ap_profile_label_value(const struct ap_profile *p, uint32_t set, struct ap_str key)
{
	struct ap_label_set l = ap_profile_get_labels(p, set);

	for (uint32_t i = 0; i < l.n; i++)
		if (ap_str_eq(ap_profile_str(p, l.labels[i].key), key))
			return ap_profile_str(p, l.labels[i].value);
	return AP_STR("");
}

struct ap_str ap_profile_module(const struct ap_profile *p, uint32_t mapping)
{
	struct ap_str path = ap_profile_str(p, ap_profile_get_mapping(p, mapping)->path);
	size_t end = path.n, start;

	while (end && path.p[end - 1] == '/')
		end--;
	for (start = end; start && path.p[start - 1] != '/'; start--)
		;
	return (struct ap_str){path.p + start, end - start};
}

void ap_profile_frame_name(const struct ap_profile *p, uint32_t frame, struct ap_buf *out)
{
	const struct ap_frame *f = ap_profile_get_frame(p, frame);
	struct ap_str name, module;

	name = ap_profile_str(p, ap_profile_get_function(p, f->function)->name);
	if (name.n) {
		ap_buf_str(out, name);
		return;
	}
	module = ap_profile_module(p, f->mapping);
	ap_buf_str(out, module.n ? module : AP_STR("[unknown]"));
	ap_buf_printf(out, "+0x%llx", (unsigned long long)f->offset);
}

/* What a frame's id is made of. */
struct frame_key {
	uint64_t module, place;
	uint32_t by, inline_index;
};

uint64_t ap_address_hash(struct ap_str build_id, uint64_t offset)
{
	struct frame_key key = {
		.module = XXH3_64bits(build_id.p, build_id.n), .place = offset, .by = 1};

	return XXH3_64bits(&key, sizeof(key));
}

uint64_t ap_profile_frame_hash(const struct ap_profile *p, uint32_t frame)
{
	const struct ap_frame *f = ap_profile_get_frame(p, frame);
	const struct ap_mapping *m = ap_profile_get_mapping(p, f->mapping);
	struct ap_str build_id = ap_profile_str(p, m->build_id);
	struct ap_str module = build_id.n ? build_id : ap_profile_str(p, m->path);
	struct ap_str name = ap_profile_str(p, ap_profile_get_function(p, f->function)->name);
	struct frame_key key = {.module = XXH3_64bits(module.p, module.n),
				.inline_index = f->inline_index};

	/* Without a build id offsets do not outlive the file: the name is the identity. */
	if (build_id.n || !name.n) {
		key.place = f->offset;
		key.by = 1;
	} else {
		key.place = XXH3_64bits(name.p, name.n);
		key.by = 2;
	}
	return XXH3_64bits(&key, sizeof(key));
}

static uint64_t stack_hash_add(uint64_t h, uint64_t frame_hash)
{
	uint64_t pair[2] = {h, frame_hash};

	return XXH3_64bits(pair, sizeof(pair));
}

uint64_t ap_profile_stack_hash(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	uint64_t h = XXH3_64bits(&s.reason, sizeof(s.reason));

	for (uint32_t i = 0; i < s.n; i++)
		h = stack_hash_add(h, ap_profile_frame_hash(p, s.frames[i]));
	return h;
}

uint64_t ap_stack_hash(uint16_t reason, const uint64_t *frame_hashes, uint32_t n)
{
	uint64_t h = XXH3_64bits(&reason, sizeof(reason));

	for (uint32_t i = 0; i < n; i++)
		h = stack_hash_add(h, frame_hashes[i]);
	return h;
}
