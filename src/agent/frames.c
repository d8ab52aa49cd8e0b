/* SPDX-License-Identifier: Apache-2.0 */
/* A place is an address in a group: the kernel, a file, or the memory without file of a process.
 *
 * Kernel and JIT code lies elsewhere after each start, so a frame there that has a name carries no
 * address: equal functions are equal frames on every host, and the kernel's layout stays here. */
#include "agent/frames.h"

#include <stdio.h>

#define NOT_YET UINT32_MAX

struct place {
	uint64_t addr;
	uint32_t group;
	uint32_t pad; /* 0: interned as bytes */
};

/* The frames of a place, in `ids`: the holder of the code first, then what is inlined in it. */
struct expansion {
	uint32_t first, n;
};

struct ap_frames {
	const struct ap_rows *rows;
	struct ap_symbolizer *symbolizer;
	struct ap_profile *profile;
	struct ap_intern *places;	     /* struct place; id 0 is none */
	AP_VEC(struct expansion) expansions; /* by place */
	AP_VEC(uint32_t) ids;
	AP_VEC(uint32_t) stack; /* of the one being put together */
	uint32_t *stacks;	/* by raw stack: the profile's, or NOT_YET */
};

/* The groups in order: the kernel, files 1 …, processes, what nothing is known of. */
static uint32_t group_of_user(const struct ap_frames *f, const struct ap_stack_view *v,
			      const struct ap_raw_frame *u)
{
	uint32_t n_files = (uint32_t)f->rows->files.n;

	if (u->file > 0 && u->file < n_files)
		return u->file;
	if (u->file == AP_ROWS_JIT && v->process < f->rows->processes.n)
		return n_files + v->process;
	return n_files + (uint32_t)f->rows->processes.n;
}

static int intern_place(struct ap_frames *f, uint32_t group, uint64_t addr, uint32_t *ret)
{
	struct place p = {addr, group, 0};

	return ap_intern_add(f->places, (struct ap_str){(const char *)&p, sizeof(p)}, ret, NULL);
}

static const struct place *place_of(const struct ap_frames *f, uint32_t id)
{
	return (const void *)ap_intern_get(f->places, id).p;
}

static int collect_places(struct ap_frames *f)
{
	uint32_t n = ap_intern_count(f->rows->stacks), unused;
	int err = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct ap_stack_view v = ap_rows_stack(f->rows, i);

		for (uint32_t k = 0; k < v.n_kernel && err == 0; k++)
			err = intern_place(f, 0, v.kernel[k], &unused);
		for (uint32_t u = 0; u < v.n_user && err == 0; u++)
			err = intern_place(f, group_of_user(f, &v, &v.user[u]), v.user[u].address,
					   &unused);
	}
	return err;
}

static int ask_jit(struct ap_frames *f, const struct ap_rows_process *process,
		   const uint64_t *addrs, size_t n, struct ap_symbol *ret)
{
	struct ap_symbol_process p = {
		.serial = process->serial,
		.start_time = process->start_time,
		.pid = (uint32_t)process->pid,
		.runtime = process->runtime,
		.alive = process->alive,
	};

	return ap_symbolizer_jit(f->symbolizer, &p, addrs, n, ret);
}

void ap_frames_query(const struct ap_rows *rows, uint32_t file, char path[32],
		     struct ap_symbol_file *ret)
{
	const struct ap_rows_file *f = &rows->files.p[file];

	snprintf(path, 32, "/proc/self/fd/%d", f->fd);
	*ret = (struct ap_symbol_file){
		.key = ap_rows_str(rows, f->build_id),
		.open_path = f->fd >= 0 ? path : NULL,
		.path = ap_rows_str(rows, f->path).p,
		.pid = f->pid,
	};
	/* A container's copy of a file is the same file. */
	if (!ret->key.n)
		ret->key = (struct ap_str){(const char *)&f->serial, sizeof(f->serial)};
	if (ap_str_is(ap_rows_str(rows, f->path), "[vdso]"))
		ret->open_path = "[vdso]";
}

static int ask(struct ap_frames *f, uint32_t group, const uint64_t *addrs, size_t n,
	       struct ap_symbol *ret)
{
	uint32_t n_files = (uint32_t)f->rows->files.n;
	struct ap_symbol_file query;
	char path[32];

	memset(ret, 0, n * sizeof(*ret));
	if (!f->symbolizer)
		return 0;
	if (group == 0)
		return ap_symbolizer_kernel(f->symbolizer, addrs, n, ret);
	if (group >= n_files + f->rows->processes.n)
		return 0;
	if (group >= n_files)
		return ask_jit(f, &f->rows->processes.p[group - n_files], addrs, n, ret);
	ap_frames_query(f->rows, group, path, &query);
	return ap_symbolizer_file(f->symbolizer, &query, addrs, n, ret);
}

static int add_mapping(struct ap_frames *f, uint32_t group, bool named, uint32_t *ret)
{
	struct ap_str path = named ? AP_STR("[jit]") : AP_STR("[anon]"), build_id = AP_STR("");
	struct ap_mapping m;
	int err;

	if (group == 0) {
		path = AP_STR("[kernel]");
	} else if (group < f->rows->files.n) {
		path = ap_rows_str(f->rows, f->rows->files.p[group].path);
		build_id = ap_rows_str(f->rows, f->rows->files.p[group].build_id);
	}
	err = ap_profile_string(f->profile, path, &m.path);
	if (err == 0)
		err = ap_profile_string(f->profile, build_id, &m.build_id);
	return err < 0 ? err : ap_profile_mapping(f->profile, &m, ret);
}

static int add_function(struct ap_frames *f, const struct ap_symbol_level *l, uint32_t *ret)
{
	struct ap_function fn = {.start_line = l->start_line};
	int err = ap_profile_string(f->profile, l->name, &fn.name);

	if (err == 0)
		err = ap_profile_string(f->profile, l->system_name, &fn.system_name);
	if (err == 0)
		err = ap_profile_string(f->profile, l->file, &fn.file);
	return err < 0 ? err : ap_profile_function(f->profile, &fn, ret);
}

static int expand(struct ap_frames *f, uint32_t place, const struct ap_symbol *y)
{
	const struct place *p = place_of(f, place);
	bool in_file = p->group > 0 && p->group < f->rows->files.n;
	struct ap_frame frame = {
		.offset = in_file || y->n == 0 ? p->addr : 0,
		.kind = p->group == 0 ? AP_FRAME_KERNEL
			: in_file     ? AP_FRAME_NATIVE
				      : AP_FRAME_JIT,
	};
	uint32_t first = (uint32_t)f->ids.n, n = AP_MAX(y->n, 1u);
	int err = add_mapping(f, p->group, y->n > 0, &frame.mapping);

	for (uint32_t i = 0; i < n && err == 0; i++) {
		uint32_t id = 0;

		if (i > 0)
			frame.kind = AP_FRAME_INLINED;
		frame.inline_index = (uint16_t)i;
		if (y->n > 0) {
			frame.line = y->levels[i].line;
			err = add_function(f, &y->levels[i], &frame.function);
		}
		if (err == 0)
			err = ap_profile_frame(f->profile, &frame, &id);
		if (err == 0)
			err = ap_vec_push(&f->ids, id);
	}
	f->expansions.p[place] = (struct expansion){first, (uint32_t)f->ids.n - first};
	return err;
}

/* `places` are those of one group. What the symboliser has no memory for stays unnamed. */
static int name_group(struct ap_frames *f, uint32_t group, const uint32_t *places, size_t n)
{
	_cleanup_free_ uint64_t *addrs = malloc(n * sizeof(*addrs));
	_cleanup_free_ struct ap_symbol *symbols = calloc(n, sizeof(*symbols));
	int err = 0;

	if (!addrs || !symbols)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		addrs[i] = place_of(f, places[i])->addr;
	ask(f, group, addrs, n, symbols);
	for (size_t i = 0; i < n && err == 0; i++)
		err = expand(f, places[i], &symbols[i]);
	return err;
}

/* Places by group, by counting. */
static int name_places(struct ap_frames *f)
{
	size_t n_groups = f->rows->files.n + f->rows->processes.n + 1, n = f->expansions.n;
	_cleanup_free_ uint32_t *ends = calloc(n_groups + 1, sizeof(*ends));
	_cleanup_free_ uint32_t *order = malloc(n * sizeof(*order));
	int err = 0;

	if (!ends || !order)
		return -ENOMEM;
	for (uint32_t i = 1; i < n; i++)
		ends[place_of(f, i)->group]++;
	for (size_t g = 1; g <= n_groups; g++)
		ends[g] += ends[g - 1];
	for (uint32_t i = (uint32_t)n - 1; i > 0; i--)
		order[--ends[place_of(f, i)->group]] = i;
	for (uint32_t g = 0; g < n_groups && err == 0; g++)
		if (ends[g + 1] > ends[g])
			err = name_group(f, g, order + ends[g], ends[g + 1] - ends[g]);
	return err;
}

int ap_frames_new(const struct ap_rows *rows, struct ap_symbolizer *s, struct ap_profile *p,
		  struct ap_frames **ret)
{
	_cleanup_(ap_cleanup_frames) struct ap_frames *f = calloc(1, sizeof(*f));
	size_t n_stacks = ap_intern_count(rows->stacks);
	int err;

	if (!f)
		return -ENOMEM;
	*f = (struct ap_frames){.rows = rows, .symbolizer = s, .profile = p};
	f->places = ap_intern_new();
	f->stacks = malloc(n_stacks * sizeof(*f->stacks));
	if (!f->places || !f->stacks)
		return -ENOMEM;
	for (size_t i = 0; i < n_stacks; i++)
		f->stacks[i] = NOT_YET;
	err = collect_places(f);
	if (err == 0)
		err = ap_vec_reserve(&f->expansions, ap_intern_count(f->places));
	if (err < 0)
		return err;
	f->expansions.n = ap_intern_count(f->places);
	err = name_places(f);
	if (err == 0)
		*ret = AP_TAKE_PTR(f);
	return err;
}

void ap_frames_free(struct ap_frames *f)
{
	if (!f)
		return;
	ap_intern_free(f->places);
	ap_vec_free(&f->expansions);
	ap_vec_free(&f->ids);
	ap_vec_free(&f->stack);
	free(f->stacks);
	free(f);
}

static int push_place(struct ap_frames *f, uint32_t group, uint64_t addr)
{
	const struct expansion *e;
	uint32_t place;
	int err = intern_place(f, group, addr, &place);

	if (err < 0)
		return err;
	e = &f->expansions.p[place];
	err = ap_vec_reserve(&f->stack, e->n);
	for (uint32_t i = 0; i < e->n && err == 0; i++)
		f->stack.p[f->stack.n++] = f->ids.p[e->first + i];
	return err;
}

/* Stands for what was not taken of a stack, so that its time is seen. */
static int push_short_waits(struct ap_frames *f)
{
	struct ap_symbol_level level = {.name = AP_STR("[short waits]")};
	struct ap_frame frame = {0};
	uint32_t id;
	int err = add_function(f, &level, &frame.function);

	if (err == 0)
		err = ap_profile_frame(f->profile, &frame, &id);
	return err < 0 ? err : ap_vec_push(&f->stack, id);
}

/* Takes off the innermost frames: those of the tracepoint and of the program that took the stack. */
static void drop_tracing(struct ap_frames *f)
{
	static const char *const starts[] = {"bpf_", "__bpf_trace_", "__traceiter_"};

	for (; f->stack.n; f->stack.n--) {
		const struct ap_frame *frame =
			ap_profile_get_frame(f->profile, f->stack.p[f->stack.n - 1]);
		struct ap_str name = ap_profile_str(
			f->profile, ap_profile_get_function(f->profile, frame->function)->name);
		bool tracing = false;

		for (size_t i = 0; i < AP_ARRAY_SIZE(starts); i++)
			tracing |= ap_str_starts(name, ap_str_of(starts[i]));
		if (!tracing)
			return;
	}
}

int ap_frames_stack(struct ap_frames *f, uint32_t raw_stack, uint32_t *ret)
{
	struct ap_stack_view v = ap_rows_stack(f->rows, raw_stack);
	uint16_t reason = v.reason;
	int err = 0;

	if (raw_stack >= ap_intern_count(f->rows->stacks))
		raw_stack = 0;
	if (f->stacks[raw_stack] != NOT_YET) {
		*ret = f->stacks[raw_stack];
		return 0;
	}
	if (reason == AP_REASON_OK && (v.flags & AP_RECORD_F_KSTACK_CUT))
		reason = AP_REASON_TRUNCATED;
	f->stack.n = 0;
	if (reason == AP_REASON_SHORT_WAIT)
		err = push_short_waits(f);
	for (uint32_t u = v.n_user; u > 0 && err == 0; u--)
		err = push_place(f, group_of_user(f, &v, &v.user[u - 1]), v.user[u - 1].address);
	for (uint32_t k = v.n_kernel; k > 0 && err == 0; k--)
		err = push_place(f, 0, v.kernel[k - 1]);
	if (v.flags & AP_RECORD_F_TRACED)
		drop_tracing(f);
	if (err == 0)
		err = ap_profile_stack(f->profile, f->stack.p, (uint32_t)f->stack.n, reason,
				       &f->stacks[raw_stack]);
	if (err < 0) {
		f->stacks[raw_stack] = NOT_YET;
		return err;
	}
	*ret = f->stacks[raw_stack];
	return 0;
}
