/* SPDX-License-Identifier: Apache-2.0 */
/* The tables in the kernel only grow, so a drain reads them all and remembers what it read: what is
 * reported is the difference. An entry leaves when its process has gone for certain: seen gone after one
 * drain, and with nothing new in the next. */
#include "agent/syscalls.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <sys/mman.h>

#include <uthash.h>

#include "abi/cpu.h"
#include "agent/proc.h"
#include "base/clock.h"
#include "bpf/cpu.skel.h"
#include "bpf/syscall.skel.h"

#define CELLS_MAX  65536u
#define ERRORS_MAX 16384u
#define BATCH	   1024u
#define LOOK_NS	   (2 * AP_NSEC_PER_SEC) /* between two looks whether a silent process lives */
#define TICK_NS	   (AP_NSEC_PER_SEC / 100)
#define EPOCH_MASK (UINT64_MAX >> AP_SYSCALL_MAX_BITS)
#define SETTLE_MAX 1000 /* looks at the counters for programs that still run after the stop */

/* What the hash tables add to a key and a value in the kernel: struct htab_elem. */
#define ENTRY_OVERHEAD 48u

struct process {
	UT_hash_handle hh;
	struct {
		uint64_t start_time;
		uint32_t tgid, pad;
	} key;
	uint64_t looked; /* CLOCK_MONOTONIC of the last look at it */
	bool active;	 /* in this drain */
	bool gone, forget;
};

struct cell {
	UT_hash_handle hh;
	struct ap_syscall_key key;
	struct ap_syscall_cell was;
	struct process *process;
};

struct error {
	UT_hash_handle hh;
	struct ap_syscall_error_key key;
	uint64_t was;
	struct process *process;
};

/* A process and a call: where its cells come together. */
struct call {
	UT_hash_handle hh;
	struct ap_syscall_key key; /* without shard and block */
	struct ap_syscall_stat stat;
	struct process *process;
	uint32_t in_flight, was_in_flight;
	uint64_t oldest; /* CLOCK_MONOTONIC of its begin */
};

struct ap_syscalls {
	struct ap_syscall_bpf *bpf;
	struct ap_syscall_stats *stats; /* by CPU: shared with the BPF programs */
	size_t stats_bytes;
	uint32_t n_cpus;
	struct bpf_link *flights;
	struct process *processes;
	struct cell *cells;
	struct error *errors;
	struct call *calls;
	uint64_t reported, no_memory;
	uint64_t now;	/* CLOCK_MONOTONIC of the drain */
	uint32_t epoch; /* the one that the drain reads */
	struct ap_syscall_key *cell_keys;
	struct ap_syscall_cell *cell_values;
};

static uint32_t shard_mask(uint32_t n_cpus)
{
	uint32_t n = 1;

	while (n < n_cpus && n < AP_SYSCALL_SHARDS_MAX)
		n *= 2;
	return n - 1;
}

static int load(struct ap_syscalls *s, const struct ap_bpf_object *targets,
		const struct ap_syscalls_options *o)
{
	struct ap_syscall_bpf *b = s->bpf = ap_syscall_bpf__open();
	libbpf_print_fn_t print;
	int r = 0;

	if (!b)
		return -errno;
	b->rodata->shard_mask = shard_mask(s->n_cpus);
	bpf_map__set_max_entries(b->maps.cells, o && o->max_cells ? o->max_cells : CELLS_MAX);
	bpf_map__set_max_entries(b->maps.errors, o && o->max_errors ? o->max_errors : ERRORS_MAX);
	bpf_map__set_max_entries(b->maps.syscall_stats, s->n_cpus);
	if (targets) {
		b->rodata->target = targets->bpf->rodata->target;
		b->rodata->pid_level = targets->bpf->rodata->pid_level;
		b->rodata->pid_ns = targets->bpf->rodata->pid_ns;
		r = ap_bpf_object_share(targets, b->obj);
	}
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_syscall_bpf__load(b);
	libbpf_set_print(print);
	if (r < 0)
		return r;
	s->flights = bpf_program__attach_iter(b->progs.ap_flights, NULL);
	return s->flights ? 0 : -errno;
}

static int map_stats(struct ap_syscalls *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	s->stats_bytes = (s->n_cpus * sizeof(*s->stats) + page - 1) & ~(page - 1);
	p = mmap(NULL, s->stats_bytes, PROT_READ, MAP_SHARED,
		 bpf_map__fd(s->bpf->maps.syscall_stats), 0);
	if (p == MAP_FAILED)
		return -errno;
	s->stats = p;
	return 0;
}

int ap_syscalls_open(const struct ap_bpf_object *targets, const struct ap_syscalls_options *o,
		     struct ap_error *err, struct ap_syscalls **ret)
{
	_cleanup_(ap_cleanup_syscalls) struct ap_syscalls *s = calloc(1, sizeof(*s));
	int cpus = libbpf_num_possible_cpus(), r;

	if (!s || cpus <= 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s->n_cpus = (uint32_t)cpus;
	s->cell_keys = calloc(BATCH, sizeof(*s->cell_keys));
	s->cell_values = calloc(BATCH, sizeof(*s->cell_values));
	if (!s->cell_keys || !s->cell_values)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = load(s, targets, o);
	if (r < 0)
		return ap_bpf_load_error(err, r);
	r = map_stats(s);
	if (r < 0)
		return ap_error_set(err, r, "cannot map the BPF counters: %s", ap_strerror(r));
	*ret = AP_TAKE_PTR(s);
	return 0;
}

#define FREE_ALL(head, type)                       \
	do {                                       \
		type *_e, *_next;                  \
		HASH_ITER(hh, (head), _e, _next) { \
			HASH_DEL((head), _e);      \
			free(_e);                  \
		}                                  \
	} while (0)

static void drop_call(struct ap_syscalls *s, struct call *c)
{
	HASH_DEL(s->calls, c);
	ap_syscall_stat_free(&c->stat);
	free(c);
}

void ap_syscalls_free(struct ap_syscalls *s)
{
	struct call *c, *next;

	if (!s)
		return;
	bpf_link__destroy(s->flights);
	if (s->stats)
		munmap(s->stats, s->stats_bytes);
	ap_syscall_bpf__destroy(s->bpf);
	HASH_ITER(hh, s->calls, c, next)
		drop_call(s, c);
	FREE_ALL(s->cells, struct cell);
	FREE_ALL(s->errors, struct error);
	FREE_ALL(s->processes, struct process);
	free(s->cell_keys);
	free(s->cell_values);
	free(s);
}

int ap_syscalls_start(struct ap_syscalls *s, struct ap_error *err)
{
	int r = ap_syscall_bpf__attach(s->bpf);

	return r < 0 ? ap_error_set(err, r, "cannot watch system calls: %s", ap_strerror(r)) : 0;
}

void ap_syscalls_stop(struct ap_syscalls *s)
{
	ap_syscall_bpf__detach(s->bpf);
}

static struct process *process_of(struct ap_syscalls *s, uint64_t start_time, uint32_t tgid)
{
	struct process *p, want = {.key = {.start_time = start_time, .tgid = tgid}};

	HASH_FIND(hh, s->processes, &want.key, sizeof(want.key), p);
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = want.key;
	p->looked = s->now;
	HASH_ADD(hh, s->processes, key, sizeof(p->key), p);
	return p;
}

static struct call *call_of(struct ap_syscalls *s, const struct ap_syscall_key *key)
{
	struct ap_syscall_key k = *key;
	struct call *c;

	k.where = AP_SYSCALL_ABI_OF(key->where);
	k.block = 0;
	HASH_FIND(hh, s->calls, &k, sizeof(k), c);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = k;
	c->process = process_of(s, k.start_time, k.tgid);
	if (!c->process) {
		free(c);
		return NULL;
	}
	HASH_ADD(hh, s->calls, key, sizeof(c->key), c);
	return c;
}

/* The longest call since the last drain: of the epoch that has ended, and of the one before where a
 * program that had begun then was late. */
static uint64_t longest(const struct ap_syscalls *s, const struct ap_syscall_cell *was,
			const struct ap_syscall_cell *now)
{
	uint64_t longest = 0;

	for (uint32_t back = 0; back < 2; back++) {
		uint32_t epoch = s->epoch - back, i = epoch & 1;

		if (now->max[i] >> AP_SYSCALL_MAX_BITS == (epoch & EPOCH_MASK) &&
		    now->max[i] != was->max[i])
			longest = AP_MAX(longest, now->max[i] & AP_SYSCALL_MAX_MASK);
	}
	return longest;
}

static int take_growth(struct ap_syscalls *s, struct cell *cell, struct call *c,
		       const struct ap_syscall_cell *now)
{
	struct ap_syscall_stat *stat = &c->stat;
	uint64_t n;
	int r = 0;

	for (uint32_t i = 0; i < AP_LATENCY_BLOCK && r == 0; i++) {
		n = now->count[i] - cell->was.count[i];
		if (n == 0)
			continue;
		if (cell->key.block != AP_SYSCALL_NEVER)
			r = ap_syscall_counts_add(&stat->buckets,
						  cell->key.block * AP_LATENCY_BLOCK + i, n);
		if (r < 0)
			break;
		stat->count += n;
		cell->was.count[i] = now->count[i];
		c->process->active = true;
	}
	stat->max_ns = AP_MAX(stat->max_ns, longest(s, &cell->was, now));
	stat->sum_ns += now->sum - cell->was.sum;
	cell->was.sum = now->sum;
	memcpy(cell->was.max, now->max, sizeof(cell->was.max));
	return r;
}

static int take_cell(struct ap_syscalls *s, const struct ap_syscall_key *key,
		     const struct ap_syscall_cell *now)
{
	struct call *c = call_of(s, key);
	struct cell *cell;

	if (!c)
		return -ENOMEM;
	HASH_FIND(hh, s->cells, key, sizeof(*key), cell);
	if (!cell) {
		cell = calloc(1, sizeof(*cell));
		if (!cell)
			return -ENOMEM;
		cell->key = *key;
		cell->process = c->process;
		HASH_ADD(hh, s->cells, key, sizeof(cell->key), cell);
	}
	return take_growth(s, cell, c, now);
}

static int take_error(struct ap_syscalls *s, const struct ap_syscall_error_key *key, uint64_t now)
{
	const struct ap_syscall_key k = {
		.start_time = key->start_time,
		.tgid = key->tgid,
		.number = key->number,
		.where = (uint8_t)(key->error >> AP_SYSCALL_ERROR_SHIFT),
	};
	struct call *c = call_of(s, &k);
	struct error *e;
	int r;

	if (!c)
		return -ENOMEM;
	HASH_FIND(hh, s->errors, key, sizeof(*key), e);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->key = *key;
		e->process = c->process;
		HASH_ADD(hh, s->errors, key, sizeof(e->key), e);
	}
	r = ap_syscall_counts_add(&c->stat.errors,
				  key->error & ((1u << AP_SYSCALL_ERROR_SHIFT) - 1), now - e->was);
	if (r == 0)
		e->was = now;
	return r;
}

/* Each entry of a table, `BATCH` at a time. */
static int read_table(struct ap_syscalls *s, struct bpf_map *map, void *keys, void *values,
		      int (*fn)(struct ap_syscalls *s, const void *key, const void *value))
{
	size_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t at = 0, n;
	bool first = true;
	int r, e = 0;

	do {
		n = BATCH;
		r = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : &at, &at, keys, values,
					 &n, &opts);
		if (r < 0 && r != -ENOENT)
			return r;
		first = false;
		for (uint32_t i = 0; i < n && e == 0; i++)
			e = fn(s, (char *)keys + i * key_size, (char *)values + i * value_size);
	} while (r == 0 && e == 0);
	return e;
}

static int on_cell(struct ap_syscalls *s, const void *key, const void *value)
{
	return take_cell(s, key, value);
}

static int on_error(struct ap_syscalls *s, const void *key, const void *value)
{
	return take_error(s, key, *(const uint64_t *)value);
}

static int take_flight(struct ap_syscalls *s, const struct ap_syscall_flight *f)
{
	const struct ap_syscall_key k = {
		.start_time = f->start_time, .tgid = f->tgid, .number = f->number, .where = f->abi};
	struct call *c = call_of(s, &k);

	if (!c)
		return -ENOMEM;
	c->oldest = c->in_flight ? AP_MIN(c->oldest, f->begin) : f->begin;
	c->in_flight++;
	c->process->active = true;
	return 0;
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
			r = take_flight(s, &f[i]);
	}
	return r;
}

static void report_call(struct ap_syscalls *s, struct call *c, ap_syscall_fn fn, void *ctx)
{
	struct ap_syscall_report r = {
		.start_time = c->key.start_time,
		.pid = (int32_t)c->key.tgid,
		.abi = (enum ap_syscall_abi)c->key.where,
		.number = c->key.number,
		.stat = c->stat,
		.in_flight = c->in_flight,
		.oldest_ns = c->in_flight && s->now > c->oldest ? s->now - c->oldest : 0,
	};

	if (!c->stat.count && !c->stat.sum_ns && !c->stat.errors.v.n && !c->in_flight &&
	    !c->was_in_flight)
		return;
	if (fn(ctx, &r) == 0)
		s->reported += c->stat.count;
	else
		s->no_memory += c->stat.count;
	c->was_in_flight = c->in_flight;
	c->in_flight = 0;
	ap_syscall_stat_clear(&c->stat);
}

static bool is_gone(const struct process *p)
{
	struct ap_proc_stat stat;
	int r;

	if (kill((pid_t)p->key.tgid, 0) < 0 && errno == ESRCH)
		return true;
	r = ap_proc_stat((int32_t)p->key.tgid, &stat);
	if (r < 0)
		return r == -ENOENT || r == -ESRCH;
	return stat.start_time > p->key.start_time + TICK_NS ||
	       p->key.start_time > stat.start_time + 2 * TICK_NS;
}

static void look_at(struct ap_syscalls *s, struct process *p)
{
	p->forget = p->gone && !p->active;
	if (!p->gone && !p->active && s->now - p->looked >= LOOK_NS) {
		p->gone = is_gone(p);
		p->looked = s->now;
	}
	p->active = false;
}

/* Makes room: the processes that have gone. */
static void forget_gone(struct ap_syscalls *s)
{
	struct process *p, *next_process;
	struct cell *cell, *next_cell;
	struct error *e, *next_error;
	struct call *c, *next_call;

	HASH_ITER(hh, s->processes, p, next_process)
		look_at(s, p);
	HASH_ITER(hh, s->cells, cell, next_cell) {
		if (!cell->process->forget)
			continue;
		bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.cells), &cell->key);
		HASH_DEL(s->cells, cell);
		free(cell);
	}
	HASH_ITER(hh, s->errors, e, next_error) {
		if (!e->process->forget)
			continue;
		bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.errors), &e->key);
		HASH_DEL(s->errors, e);
		free(e);
	}
	HASH_ITER(hh, s->calls, c, next_call)
		if (c->process->forget)
			drop_call(s, c);
	HASH_ITER(hh, s->processes, p, next_process) {
		if (!p->forget)
			continue;
		HASH_DEL(s->processes, p);
		free(p);
	}
}

static struct ap_syscall_stats sum_stats(const struct ap_syscalls *s)
{
	struct ap_syscall_stats sum = {0};

	for (uint32_t i = 0; i < s->n_cpus; i++) {
		sum.calls += __atomic_load_n(&s->stats[i].calls, __ATOMIC_RELAXED);
		sum.table_full += __atomic_load_n(&s->stats[i].table_full, __ATOMIC_RELAXED);
		sum.no_start += __atomic_load_n(&s->stats[i].no_start, __ATOMIC_RELAXED);
	}
	return sum;
}

static int read_all(struct ap_syscalls *s)
{
	int r = read_table(s, s->bpf->maps.cells, s->cell_keys, s->cell_values, on_cell);

	/* Both tables' keys and values fit: an errors' value is smaller than a cell. */
	return r < 0 ? r
		     : read_table(s, s->bpf->maps.errors, s->cell_keys, s->cell_values, on_error);
}

/* Whether what was read is all that was counted: false while a program still runs, which it may for a
 * moment after it was detached. */
static bool balanced(const struct ap_syscalls *s, const struct ap_syscall_stats *sum)
{
	uint64_t read = s->reported + s->no_memory;
	const struct call *c;

	for (c = s->calls; c; c = c->hh.next)
		read += c->stat.count;
	return sum->calls == read + sum->table_full + sum->no_start;
}

int ap_syscalls_drain(struct ap_syscalls *s, ap_syscall_fn fn, void *ctx, struct ap_ledger *ledger)
{
	uint64_t no_memory = s->no_memory;
	struct ap_syscall_stats sum;
	struct call *c, *next;
	int r;

	s->now = ap_clock_mono_ns();
	s->epoch = __atomic_fetch_add(&s->bpf->data->epoch, 1, __ATOMIC_SEQ_CST);
	r = read_flights(s);
	if (r == 0)
		r = read_all(s);
	sum = sum_stats(s);
	for (int i = 0;
	     r == 0 && i < SETTLE_MAX && !s->bpf->links.ap_sys_exit && !balanced(s, &sum); i++) {
		r = read_all(s);
		sum = sum_stats(s);
	}
	HASH_ITER(hh, s->calls, c, next)
		report_call(s, c, fn, ctx);
	if (r == 0)
		forget_gone(s);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_IN, sum.calls);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_TABLE_FULL, sum.table_full);
	ap_ledger_set(ledger, AP_LEDGER_SYSCALL_NO_START, sum.no_start);
	ap_ledger_add(ledger, AP_LEDGER_SYSCALL_NO_MEMORY, s->no_memory - no_memory);
	return r;
}

void ap_syscalls_cost(const struct ap_syscalls *s, struct ap_profiler_cost *cost)
{
	size_t cell =
		sizeof(struct ap_syscall_key) + sizeof(struct ap_syscall_cell) + ENTRY_OVERHEAD;
	size_t error = sizeof(struct ap_syscall_error_key) + sizeof(uint64_t) + ENTRY_OVERHEAD;
	uint64_t counting_ns = 0;

	for (uint32_t i = 0; i < s->n_cpus; i++) {
		const struct ap_syscall_stats *st = &s->stats[i];

		cost->bpf_runs += st->runs;
		if (st->timed_runs)
			counting_ns += (uint64_t)((double)st->timed_ns / (double)st->timed_runs *
						  (double)st->runs);
	}
	cost->bpf_ns += counting_ns;
	cost->fixed_ns += counting_ns;
	/* Entries, and the tables' buckets: two words for each possible entry. */
	cost->map_bytes += HASH_COUNT(s->cells) * cell + HASH_COUNT(s->errors) * error +
			   16ull * (bpf_map__max_entries(s->bpf->maps.cells) +
				    bpf_map__max_entries(s->bpf->maps.errors)) +
			   s->n_cpus * sizeof(struct ap_syscall_stats);
	cost->map_cpu_bytes += sizeof(struct ap_syscall_stats);
}
