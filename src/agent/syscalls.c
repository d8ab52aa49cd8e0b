/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/syscalls.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "abi/cpu.h"
#include "agent/syscall_growth.h"
#include "agent/syscall_stacks.h"
#include "base/clock.h"
#include "bpf/cpu.skel.h"
#include "bpf/syscall.skel.h"
#include "bpf/syscall_plain.skel.h"

#define PARTS_MAX  4u
#define SETTLE_MAX 1000 /* looks at the counters for programs that still run after the stop */

struct ap_syscalls {
	struct ap_syscall_bpf *bpf;
	struct ap_syscall_stacks *stacks; /* NULL: not asked for */
	struct ap_syscall_growth *table;
	/* Shared with the BPF programs: counters by CPU, and the tables. */
	struct ap_syscall_stats *stats;
	struct ap_shared_array cells, errors;
	uint32_t n_cpus, n_shards, n_stats;
	struct bpf_link *flights;
	uint64_t no_memory; /* calls that could not be reported */
};

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t n = 1;

	while (n < at_least)
		n *= 2;
	return n;
}

static struct ap_syscall_bpf *open_object(bool kfuncs)
{
	struct ap_syscall_bpf *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b)
		r = ap_syscall_bpf__create_skeleton(b);
	if (r == 0 && !kfuncs)
		b->skeleton->data = (void *)ap_syscall_plain_bpf__elf_bytes(&b->skeleton->data_sz);
	if (r == 0)
		r = bpf_object__open_skeleton(b->skeleton, NULL);
	if (r == 0)
		return b;
	ap_syscall_bpf__destroy(b);
	errno = -r;
	return NULL;
}

/* A table of `parts` parts with so many entries each. */
static void size_table(struct bpf_map *map, uint32_t parts, uint32_t entries, size_t bytes)
{
	bpf_map__set_max_entries(map, parts);
	bpf_map__set_value_size(map, (uint32_t)(entries * bytes));
}

static void configure(struct ap_syscalls *s, const struct ap_syscalls_options *o)
{
	uint32_t parts = AP_MIN(s->n_shards, PARTS_MAX), cells = AP_SYSCALL_PART,
		 errors = AP_SYSCALL_PART;
	struct ap_syscall_bpf *b = s->bpf;

	if (o && o->max_cells) {
		parts = 1;
		cells = power_of_two(o->max_cells);
		errors = power_of_two(AP_MAX(o->max_errors, 1u));
	}
	b->rodata->shards_shared = s->n_shards < s->n_cpus;
	b->rodata->cpus_shared = s->n_stats < s->n_cpus;
	b->rodata->flights_mask = (o && o->max_flights ? o->max_flights : AP_SYSCALL_FLIGHTS) - 1;
	b->rodata->parts_mask = parts - 1;
	b->rodata->cells_mask = cells - 1;
	b->rodata->errors_mask = errors - 1;
	size_table(b->maps.cells, parts, cells, sizeof(struct ap_syscall_cell));
	size_table(b->maps.errors, parts, errors, sizeof(struct ap_syscall_error));
	bpf_program__set_autoload(b->progs.ap_sys_exit, !ap_syscall_stacks_asked(o));
	bpf_program__set_autoload(b->progs.ap_sys_exit_telling, ap_syscall_stacks_asked(o));
	if (!o)
		return;
	b->rodata->choosing = o->choosing;
	b->rodata->chosen = o->chosen;
	if (o->slow_ns)
		b->rodata->slow_ns = o->slow_ns;
	b->rodata->telling_failed = o->failing;
	b->rodata->failed = o->failed;
}

static int load_variant(struct ap_syscalls *s, const struct ap_bpf_object *targets,
			const struct ap_syscalls_options *o, bool kfuncs)
{
	libbpf_print_fn_t print;
	int r = 0;

	s->bpf = open_object(kfuncs);
	if (!s->bpf)
		return -errno;
	configure(s, o);
	if (targets) {
		s->bpf->rodata->target = targets->bpf->rodata->target;
		s->bpf->rodata->pid_level = targets->bpf->rodata->pid_level;
		s->bpf->rodata->pid_ns = targets->bpf->rodata->pid_ns;
		r = ap_bpf_object_share(targets, s->bpf->obj);
	}
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_syscall_bpf__load(s->bpf);
	libbpf_set_print(print);
	return r;
}

/* The variant that the sampling programs are of; without them, the one that this kernel accepts. */
static int load(struct ap_syscalls *s, const struct ap_bpf_object *targets,
		const struct ap_syscalls_options *o)
{
	int r = load_variant(s, targets, o, !targets || targets->kfuncs);

	if (r < 0 && r != -EPERM && r != -ENOMEM && !targets) {
		ap_syscall_bpf__destroy(AP_TAKE_PTR(s->bpf));
		r = load_variant(s, targets, o, false);
	}
	if (r < 0)
		return r;
	s->flights = bpf_program__attach_iter(s->bpf->progs.ap_flights, NULL);
	return s->flights ? 0 : -errno;
}

static int share(struct ap_syscalls *s)
{
	const struct ap_syscall_bpf *b = s->bpf;
	int r = ap_shared_array_map(b->maps.cells, &s->cells);

	if (r == 0)
		r = ap_shared_array_map(b->maps.errors, &s->errors);
	if (r < 0)
		return r;
	s->stats = b->bss->cpus;
	for (uint32_t i = 0; i < s->n_stats; i++)
		s->stats[i].shard =
			AP_SYSCALL_CALL(0, 0, (i & (s->n_shards - 1)) << AP_SYSCALL_SHARD_SHIFT, 0);
	s->table = ap_syscall_growth_new(s->cells.p, s->cells.n * (b->rodata->cells_mask + 1),
					 s->errors.p, s->errors.n * (b->rodata->errors_mask + 1));
	return s->table ? 0 : -ENOMEM;
}

static int open_stacks(struct ap_syscalls *s, const struct ap_bpf_object *targets,
		       const struct ap_syscalls_options *o)
{
	uint32_t zero = 0;
	int r, fd;

	if (!targets || !ap_syscall_stacks_asked(o))
		return 0;
	r = ap_syscall_stacks_open(targets, s->bpf->maps.returns, o->stack_rate, s->n_cpus,
				   &s->stacks);
	if (r < 0)
		return r;
	fd = ap_syscall_stacks_program(s->stacks);
	return bpf_map_update_elem(bpf_map__fd(s->bpf->maps.tellers), &zero, &fd, BPF_ANY);
}

int ap_syscalls_open(const struct ap_bpf_object *targets, const struct ap_syscalls_options *o,
		     struct ap_error *err, struct ap_syscalls **ret)
{
	_cleanup_(ap_cleanup_syscalls) struct ap_syscalls *s = calloc(1, sizeof(*s));
	int cpus = libbpf_num_possible_cpus(), r;

	if (!s || cpus <= 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s->n_cpus = (uint32_t)cpus;
	s->n_shards = AP_MIN(power_of_two(s->n_cpus), AP_SYSCALL_SHARDS_MAX);
	s->n_stats = AP_MIN(s->n_cpus, AP_SYSCALL_CPUS);
	r = load(s, targets, o);
	if (r == 0)
		r = open_stacks(s, targets, o);
	if (r < 0)
		return ap_bpf_load_error(err, r);
	r = share(s);
	if (r < 0)
		return ap_error_set(err, r, "cannot map the tables of system calls: %s",
				    ap_strerror(r));
	*ret = AP_TAKE_PTR(s);
	return 0;
}

void ap_syscalls_free(struct ap_syscalls *s)
{
	if (!s)
		return;
	bpf_link__destroy(s->flights);
	ap_syscall_growth_free(s->table);
	ap_shared_array_unmap(&s->cells);
	ap_shared_array_unmap(&s->errors);
	ap_syscall_bpf__destroy(s->bpf);
	ap_syscall_stacks_free(s->stacks);
	free(s);
}

/* Returns before begins: of a call between the two the begin was seen and not the return, and the task's
 * next call would take its place. */
int ap_syscalls_start(struct ap_syscalls *s, struct ap_error *err)
{
	struct ap_syscall_bpf *b = s->bpf;
	bool telling = bpf_program__autoload(b->progs.ap_sys_exit_telling);
	struct bpf_program *progs[] = {
		b->progs.ap_land, telling ? b->progs.ap_sys_exit_telling : b->progs.ap_sys_exit,
		b->progs.ap_sys_enter};
	struct bpf_link **links[] = {&b->links.ap_land, &b->links.ap_sys_exit,
				     &b->links.ap_sys_enter};

	if (!*links[2])
		b->data->started = ap_clock_mono_ns();
	for (size_t i = 0; i < AP_ARRAY_SIZE(progs); i++) {
		if (!*links[i])
			*links[i] = bpf_program__attach(progs[i]);
		if (!*links[i])
			return ap_error_set(err, -errno, "cannot watch system calls: %s",
					    ap_strerror(errno));
	}
	return 0;
}

void ap_syscalls_stop(struct ap_syscalls *s)
{
	bpf_link__destroy(AP_TAKE_PTR(s->bpf->links.ap_sys_enter));
	bpf_link__destroy(AP_TAKE_PTR(s->bpf->links.ap_sys_exit));
}

/* Who is in a call now. */
static int read_flights(struct ap_syscalls *s)
{
	_cleanup_fd_ int fd = bpf_iter_create(bpf_link__fd(s->flights));
	struct ap_syscall_flight f[128];
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return fd;
	while (r == 0 && (n = read(fd, f, sizeof(f))) != 0) {
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*f) && r == 0; i++)
			r = ap_syscall_growth_flight(s->table, &f[i]);
	}
	return r;
}

static struct ap_syscall_stats sum_stats(const struct ap_syscalls *s)
{
	const struct ap_syscall_stats *stats = s->stats;
	struct ap_syscall_stats sum = {0};

	for (uint32_t i = 0; i < s->n_stats; i++) {
		sum.returned += __atomic_load_n(&stats[i].returned, __ATOMIC_RELAXED);
		sum.never += __atomic_load_n(&stats[i].never, __ATOMIC_RELAXED);
		sum.table_full += __atomic_load_n(&stats[i].table_full, __ATOMIC_RELAXED);
		sum.no_start += __atomic_load_n(&stats[i].no_start, __ATOMIC_RELAXED);
	}
	return sum;
}

/* Whether what was read is all that was counted: false while a program still runs, which it may for a
 * moment after it was detached. */
static bool balanced(const struct ap_syscalls *s, const struct ap_syscall_stats *sum)
{
	return sum->returned + sum->never ==
	       ap_syscall_growth_calls(s->table) + sum->table_full + sum->no_start;
}

int ap_syscalls_drain(struct ap_syscalls *s, ap_syscall_fn fn, void *ctx, struct ap_ledger *ledger)
{
	struct ap_syscall_stats sum;
	uint64_t refused;
	int r;

	ap_syscall_growth_begin(s->table, ap_clock_mono_ns(),
				__atomic_fetch_add(&s->bpf->data->epoch, 1, __ATOMIC_SEQ_CST));
	r = read_flights(s);
	if (r == 0)
		r = ap_syscall_growth_read(s->table);
	sum = sum_stats(s);
	for (int i = 0;
	     r == 0 && i < SETTLE_MAX && !s->bpf->links.ap_sys_exit && !balanced(s, &sum); i++) {
		r = ap_syscall_growth_read(s->table);
		sum = sum_stats(s);
	}
	refused = ap_syscall_growth_report(s->table, fn, ctx);
	if (r == 0)
		ap_syscall_growth_forget(s->table);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_IN, sum.returned + sum.never);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_TABLE_FULL, sum.table_full);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_NO_START, sum.no_start);
	ap_ledger_add(ledger, AP_LEDGER_SYSCALL_NO_MEMORY, refused);
	if (s->stacks)
		ap_syscall_stacks_ledger(s->stacks, ledger);
	return r;
}

void ap_syscalls_cost(const struct ap_syscalls *s, struct ap_profiler_cost *cost)
{
	uint64_t counting_ns = 0;

	for (uint32_t i = 0; i < s->n_stats; i++) {
		const struct ap_syscall_stats *st = &s->stats[i];

		cost->bpf_runs += 2 * st->runs;
		if (st->timed_runs)
			counting_ns += (uint64_t)((double)st->timed_ns / (double)st->timed_runs *
						  2 * (double)st->runs);
	}
	cost->bpf_ns += counting_ns;
	cost->fixed_ns += counting_ns;
	cost->map_bytes += s->cells.bytes + s->errors.bytes + bpf_map__value_size(s->bpf->maps.bss);
	if (s->stacks)
		ap_syscall_stacks_cost(s->stacks, cost);
}
