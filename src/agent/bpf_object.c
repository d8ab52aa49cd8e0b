/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <sys/mman.h>

#include "abi/cpu.h"
#include "abi/unwind.h"
#include "bpf/cpu.skel.h"
#include "bpf/cpu_plain.skel.h"

#define RINGBUF_BYTES	  (4u << 20)
#define RINGBUF_BYTES_MIN (256u << 10)
#define ARENA_BYTES	  (64u << 20) /* of addresses; memory as it is used */
#define LEAVES_BYTES	  (8u << 20)
#define STORE_BYTES_MIN	  (2u << 20)
#define ARENA_ALIGN	  (1ull << 32) /* see bpf/store.bpf.h */
#define LEAF_BYTES	  (AP_LEAF_WORDS * 4)

/* From the best to the one that the oldest kernel accepts. */
static const struct variant {
	const char *name;
	bool arena;  /* Linux 6.9; else an array */
	bool kfuncs; /* 6.4; else bounded loops and probe reads */
} variants[] = {
	{"arena, iterator", true, true},
	{"array, iterator", false, true},
	{"array, bounded loop", false, false},
};

/* libbpf's last warning in this thread, for error messages: it knows more than errno. */
static _Thread_local char libbpf_warning[240];

int ap_bpf_keep_warning(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_WARN)
		vsnprintf(libbpf_warning, sizeof(libbpf_warning), fmt, args);
	return 0;
}

int ap_bpf_load_error(struct ap_error *err, int r)
{
	size_t n = strcspn(libbpf_warning, "\n");

	if (r == -EPERM)
		return ap_error_set(
			err, r,
			"the kernel refuses to load BPF programs: run as root, or grant "
			"the program CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYSLOG, "
			"CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE");
	if (r == -EACCES)
		return ap_error_set(
			err, -ENOTSUP,
			"this kernel's verifier, or a security module, does not accept the "
			"BPF programs (%.*s): please report it with the kernel's version",
			(int)n, libbpf_warning);
	return ap_error_set(err, r, "cannot load the BPF programs: %s (%.*s)", ap_strerror(r),
			    (int)n, libbpf_warning);
}

/* Both objects have the same programs, maps and constants, so that one skeleton fits them. */
static struct ap_cpu_bpf *open_object(bool kfuncs)
{
	struct ap_cpu_bpf *b = calloc(1, sizeof(*b));
	int r;

	if (!b) {
		errno = ENOMEM;
		return NULL;
	}
	r = ap_cpu_bpf__create_skeleton(b);
	if (r == 0 && !kfuncs)
		b->skeleton->data = (void *)ap_cpu_plain_bpf__elf_bytes(&b->skeleton->data_sz);
	if (r == 0)
		r = bpf_object__open_skeleton(b->skeleton, NULL);
	if (r == 0)
		return b;
	ap_cpu_bpf__destroy(b);
	errno = -r;
	return NULL;
}

static void configure_programs(struct ap_bpf_object *o, const struct ap_profiler_options *opts)
{
	struct ap_cpu_bpf *b = o->bpf;
	bool pids = opts->target == AP_TARGET_PIDS;

	bpf_program__set_autoload(b->progs.ap_fork, pids);
	bpf_program__set_autoload(b->progs.ap_exit, pids);
	bpf_program__set_autoload(b->progs.ap_locate, false);
}

static void configure_maps(struct ap_bpf_object *o, const struct ap_profiler_options *opts,
			   uint32_t n_cpus, const struct variant *v)
{
	struct ap_cpu_bpf *b = o->bpf;

	bpf_map__set_max_entries(b->maps.records, (uint32_t)o->ringbuf_bytes);
	bpf_map__set_max_entries(b->maps.cpu_stats, n_cpus);
	if (opts->target != AP_TARGET_PIDS) {
		bpf_map__set_max_entries(b->maps.target_pids, 1);
		bpf_map__set_max_entries(b->maps.ending_pids, 1);
	}
	bpf_map__set_autocreate(b->maps.arena, v->arena);
	bpf_map__set_autocreate(b->maps.leaves, !v->arena);
	if (v->arena)
		bpf_map__set_max_entries(b->maps.arena,
					 (uint32_t)(o->mapped / (size_t)sysconf(_SC_PAGESIZE)));
	else
		bpf_map__set_max_entries(b->maps.leaves, (uint32_t)(o->mapped / LEAF_BYTES));
}

/* A free range of addresses that begins at a multiple of ARENA_ALIGN, which the kernel is told at
 * load and which is mapped right after. */
static uint64_t arena_address(void)
{
	void *p = mmap(NULL, 2 * ARENA_ALIGN, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return 0;
	munmap(p, 2 * ARENA_ALIGN);
	return ((uint64_t)p + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
}

static int map_store(struct ap_bpf_object *o, const struct variant *v, uint64_t address)
{
	struct bpf_map *m = v->arena ? o->bpf->maps.arena : o->bpf->maps.leaves;
	void *p = mmap(v->arena ? (void *)address : NULL, o->mapped, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (v->arena ? MAP_FIXED_NOREPLACE : 0), bpf_map__fd(m), 0);

	if (p == MAP_FAILED)
		return -errno;
	o->words = p;
	o->n_words = (uint32_t)(o->mapped / 4);
	o->arena = v->arena;
	return 0;
}

static int load_once(struct ap_bpf_object *o, const struct ap_profiler_options *opts,
		     uint32_t n_cpus, const struct ap_location *at, const struct variant *v)
{
	size_t want = opts->table_bytes ? opts->table_bytes : v->arena ? ARENA_BYTES : LEAVES_BYTES;
	uint64_t address = v->arena ? arena_address() : 0;
	struct ap_cpu_bpf *b;
	int r;

	ap_cpu_bpf__destroy(o->bpf);
	o->bpf = b = open_object(v->kfuncs);
	if (!b)
		return -errno;
	o->mapped = (AP_MAX(want, (size_t)STORE_BYTES_MIN) + LEAF_BYTES - 1) &
		    ~(size_t)(LEAF_BYTES - 1);
	b->rodata->target = opts->target;
	b->rodata->max_user_frames =
		opts->max_user_frames ? opts->max_user_frames : AP_USER_FRAMES_DEFAULT;
	b->rodata->pid_level = at->pid_level;
	b->rodata->pid_ns = at->pid_ns;
	b->rodata->wakeup_bytes = o->ringbuf_bytes / 4;
	b->rodata->use_arena = v->arena;
	b->rodata->store_words = (uint32_t)(o->mapped / 4);
	configure_programs(o, opts);
	configure_maps(o, opts, n_cpus, v);
	if (v->arena)
		bpf_map__set_map_extra(b->maps.arena, address);
	r = ap_cpu_bpf__load(b);
	if (r < 0)
		return r;
	o->prog_fd = bpf_program__fd(b->progs.ap_cpu);
	o->variant = v->name;
	o->kfuncs = v->kfuncs;
	return map_store(o, v, address);
}

/* The best variant that this kernel accepts, with the largest ring buffer that it grants. */
static int load(struct ap_bpf_object *o, const struct ap_profiler_options *opts, uint32_t n_cpus,
		const struct ap_location *at)
{
	size_t i = AP_MIN(opts->variant, AP_ARRAY_SIZE(variants) - 1);
	int r;

	for (;;) {
		r = load_once(o, opts, n_cpus, at, &variants[i]);
		if (r == 0)
			return 0;
		if (r == -ENOMEM && o->ringbuf_bytes / 2 >= RINGBUF_BYTES_MIN)
			o->ringbuf_bytes /= 2;
		else if (i + 1 < AP_ARRAY_SIZE(variants) && r != -EPERM && r != -ENOMEM)
			i++;
		else
			return r;
	}
}

/* Where this process stands among pid namespaces, found out by a program run upon itself. */
static int locate(struct ap_location *ret)
{
	struct ap_cpu_bpf *b = open_object(false);
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_program *prog;
	struct bpf_map *map;
	int r;

	if (!b)
		return -errno;
	bpf_object__for_each_program(prog, b->obj)
		bpf_program__set_autoload(prog, prog == b->progs.ap_locate);
	bpf_object__for_each_map(map, b->obj) if (map != b->maps.bss && map != b->maps.rodata)
		bpf_map__set_autocreate(map, false);
	r = ap_cpu_bpf__load(b);
	if (r == 0)
		r = bpf_prog_test_run_opts(bpf_program__fd(b->progs.ap_locate), &opts);
	if (r == 0)
		*ret = b->bss->location;
	if (r == 0 && !ret->done)
		r = -EIO;
	ap_cpu_bpf__destroy(b);
	return r;
}

int ap_bpf_object_load(const struct ap_profiler_options *opts, uint32_t n_cpus,
		       struct ap_error *err, struct ap_bpf_object *ret)
{
	size_t want = opts->ringbuf_bytes ? opts->ringbuf_bytes : RINGBUF_BYTES;
	struct ap_bpf_object o = {.ringbuf_bytes = RINGBUF_BYTES_MIN};
	struct ap_location at = {0};
	libbpf_print_fn_t print;
	int r;

	while (o.ringbuf_bytes < want)
		o.ringbuf_bytes *= 2;
	libbpf_warning[0] = '\0';
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = locate(&at);
	if (r == 0)
		r = load(&o, opts, n_cpus, &at);
	libbpf_set_print(print);
	if (r < 0) {
		ap_bpf_object_close(&o);
		return ap_bpf_load_error(err, r);
	}
	*ret = o;
	return 0;
}

int ap_bpf_object_share(const struct ap_bpf_object *o, struct bpf_object *with)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, with)
	{
		const struct bpf_map *have =
			bpf_map__is_internal(m)
				? NULL
				: bpf_object__find_map_by_name(o->bpf->obj, bpf_map__name(m));
		int r = 0;

		if (have && !bpf_map__autocreate(have))
			r = bpf_map__set_autocreate(m, false);
		else if (have)
			r = bpf_map__reuse_fd(m, bpf_map__fd(have));
		if (r < 0)
			return r;
	}
	return 0;
}

int ap_shared_array_map(const struct bpf_map *map, struct ap_shared_array *ret)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ap_shared_array a = {.n = bpf_map__max_entries(map)};

	a.bytes = ((size_t)a.n * bpf_map__value_size(map) + page - 1) & ~(page - 1);
	a.p = mmap(NULL, a.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (a.p == MAP_FAILED)
		return -errno;
	*ret = a;
	return 0;
}

void ap_shared_array_unmap(struct ap_shared_array *a)
{
	if (a->p)
		munmap(a->p, a->bytes);
	*a = (struct ap_shared_array){0};
}

void ap_bpf_object_close(struct ap_bpf_object *o)
{
	if (o->words)
		munmap(o->words, o->mapped);
	ap_cpu_bpf__destroy(o->bpf);
	*o = (struct ap_bpf_object){0};
}
