/* SPDX-License-Identifier: Apache-2.0 */
/* The tables in the kernel only grow, so a drain reads them all and remembers what it read: what is
 * reported is the difference. */
#include "agent/syscall_growth.h"

#include <signal.h>

#include <uthash.h>

#include "agent/proc.h"
#include "base/clock.h"

#define LOOK_NS	   (2 * AP_NSEC_PER_SEC) /* between two looks whether a silent process lives */
#define TICK_NS	   (AP_NSEC_PER_SEC / 100)
#define EPOCH_MASK (UINT64_MAX >> AP_SYSCALL_MAX_BITS)

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

/* A process and a call: where its cells come together. */
struct call {
	UT_hash_handle hh;
	struct ap_syscall_key key; /* without shard and block */
	struct ap_syscall_stat stat;
	struct process *process;
	uint32_t in_flight, was_in_flight;
	uint64_t oldest; /* CLOCK_MONOTONIC of its begin */
};

/* What was read of an entry, by its place; without a call it is nobody's. */
struct cell {
	struct call *call;
	struct ap_syscall_cell was;
};

struct error {
	struct call *call;
	uint64_t was;
};

struct ap_syscall_growth {
	struct ap_syscall_cell *kernel_cells;
	struct ap_syscall_error *kernel_errors;
	uint32_t n_cells, n_errors;
	struct cell *cells;
	struct error *errors;
	struct process *processes;
	struct call *calls;
	uint64_t reported; /* calls, taken or not */
	uint64_t now;	   /* CLOCK_MONOTONIC of the drain */
	uint32_t epoch;	   /* the one that the drain reads */
};

struct ap_syscall_growth *ap_syscall_growth_new(struct ap_syscall_cell *cells, uint32_t n_cells,
						struct ap_syscall_error *errors, uint32_t n_errors)
{
	struct ap_syscall_growth *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->kernel_cells = cells;
	t->kernel_errors = errors;
	t->n_cells = n_cells;
	t->n_errors = n_errors;
	t->cells = calloc(n_cells, sizeof(*t->cells));
	t->errors = calloc(n_errors, sizeof(*t->errors));
	if (t->cells && t->errors)
		return t;
	ap_syscall_growth_free(t);
	return NULL;
}

static void drop_call(struct ap_syscall_growth *t, struct call *c)
{
	HASH_DEL(t->calls, c);
	ap_syscall_stat_free(&c->stat);
	free(c);
}

static void drop_process(struct ap_syscall_growth *t, struct process *p)
{
	HASH_DEL(t->processes, p);
	free(p);
}

void ap_syscall_growth_free(struct ap_syscall_growth *t)
{
	struct process *p, *next_process;
	struct call *c, *next_call;

	if (!t)
		return;
	HASH_ITER(hh, t->calls, c, next_call)
		drop_call(t, c);
	HASH_ITER(hh, t->processes, p, next_process)
		drop_process(t, p);
	free(t->cells);
	free(t->errors);
	free(t);
}

void ap_syscall_growth_begin(struct ap_syscall_growth *t, uint64_t now, uint32_t epoch)
{
	t->now = now;
	t->epoch = epoch;
}

static struct process *process_of(struct ap_syscall_growth *t, uint64_t start_time, uint32_t tgid)
{
	struct process *p, want = {.key = {.start_time = start_time, .tgid = tgid}};

	HASH_FIND(hh, t->processes, &want.key, sizeof(want.key), p);
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = want.key;
	p->looked = t->now;
	HASH_ADD(hh, t->processes, key, sizeof(p->key), p);
	return p;
}

static struct call *call_of(struct ap_syscall_growth *t, const struct ap_syscall_key *key)
{
	struct ap_syscall_key k = *key;
	struct call *c;

	k.where = AP_SYSCALL_ABI_OF(key->where);
	k.block = 0;
	HASH_FIND(hh, t->calls, &k, sizeof(k), c);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = k;
	c->process = process_of(t, k.start_time, k.tgid);
	if (!c->process) {
		free(c);
		return NULL;
	}
	HASH_ADD(hh, t->calls, key, sizeof(c->key), c);
	return c;
}

/* The longest of the calls that were counted since the last drain: of the epoch that has ended; of the one
 * that has begun, in which some of them may have been; and of the one before, where a program was late. Of a
 * new epoch's first moments the next drain tells again, since nobody knows which of its calls came after. */
static uint64_t longest(const struct ap_syscall_growth *t, const struct ap_syscall_cell *was,
			const struct ap_syscall_cell *now)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < AP_ARRAY_SIZE(now->max); i++) {
		uint64_t mark = now->max[i] >> AP_SYSCALL_MAX_BITS;
		uint64_t age = (t->epoch + 1 - mark) & EPOCH_MASK;

		if (age <= 1 || (age == 2 && now->max[i] != was->max[i]))
			longest = AP_MAX(longest, now->max[i] & AP_SYSCALL_MAX_MASK);
	}
	return longest;
}

/* A copy of an entry that the kernel may be writing, in the opposite order: what is counted is in the
 * others. */
static void copy_cell(const struct ap_syscall_cell *from, struct ap_syscall_cell *to)
{
	for (uint32_t i = 0; i < AP_LATENCY_BLOCK; i++)
		to->count[i] = __atomic_load_n(&from->count[i], __ATOMIC_ACQUIRE);
	to->sum = __atomic_load_n(&from->sum, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < 2; i++)
		to->max[i] = __atomic_load_n(&from->max[i], __ATOMIC_RELAXED);
}

static int take_growth(struct ap_syscall_growth *t, struct cell *cell,
		       const struct ap_syscall_cell *now)
{
	struct call *c = cell->call;
	struct ap_syscall_stat *stat = &c->stat;
	uint32_t block = cell->was.key.block;

	for (uint32_t i = 0; i < AP_LATENCY_BLOCK; i++) {
		uint64_t n = now->count[i] - cell->was.count[i];

		if (n == 0)
			continue;
		if (block != AP_SYSCALL_NEVER &&
		    ap_syscall_counts_add(&stat->buckets, block * AP_LATENCY_BLOCK + i, n) < 0)
			return -ENOMEM;
		stat->count += n;
		cell->was.count[i] = now->count[i];
		c->process->active = true;
	}
	stat->max_ns = AP_MAX(stat->max_ns, longest(t, &cell->was, now));
	stat->sum_ns += now->sum - cell->was.sum;
	cell->was.sum = now->sum;
	memcpy(cell->was.max, now->max, sizeof(cell->was.max));
	return 0;
}

/* The call that an entry belongs to; 0, -ENOMEM, or 1: the entry is free, or being taken. */
static int owner_of(struct ap_syscall_growth *t, const struct ap_syscall_key *shared,
		    struct ap_syscall_key *ret_key, struct call **ret)
{
	ret_key->start_time = __atomic_load_n(&shared->start_time, __ATOMIC_ACQUIRE);
	ret_key->call = __atomic_load_n(&shared->call, __ATOMIC_RELAXED);
	if (!ret_key->start_time || !ret_key->call)
		return 1;
	*ret = call_of(t, ret_key);
	return *ret ? 0 : -ENOMEM;
}

static int read_cell(struct ap_syscall_growth *t, uint32_t i)
{
	struct cell *cell = &t->cells[i];
	struct ap_syscall_cell now;
	int r = cell->call ? 0 : owner_of(t, &t->kernel_cells[i].key, &cell->was.key, &cell->call);

	if (r != 0)
		return r < 0 ? r : 0;
	copy_cell(&t->kernel_cells[i], &now);
	return take_growth(t, cell, &now);
}

static int owner_of_error(struct ap_syscall_growth *t, const struct ap_syscall_error_key *shared,
			  struct call **ret)
{
	struct ap_syscall_error_key key;
	struct ap_syscall_key k;

	key.start_time = __atomic_load_n(&shared->start_time, __ATOMIC_ACQUIRE);
	key.call = __atomic_load_n(&shared->call, __ATOMIC_RELAXED);
	if (!key.start_time || !key.call)
		return 1;
	k.start_time = key.start_time;
	k.call = AP_SYSCALL_CALL(key.tgid & ((1u << AP_SYSCALL_TGID_BITS) - 1), key.number,
				 key.error >> AP_SYSCALL_ERROR_SHIFT, 0);
	*ret = call_of(t, &k);
	return *ret ? 0 : -ENOMEM;
}

static int read_error(struct ap_syscall_growth *t, uint32_t i)
{
	const struct ap_syscall_error *shared = &t->kernel_errors[i];
	struct error *e = &t->errors[i];
	uint32_t number = shared->key.error & ((1u << AP_SYSCALL_ERROR_SHIFT) - 1);
	uint64_t now;
	int r = e->call ? 0 : owner_of_error(t, &shared->key, &e->call);

	if (r != 0)
		return r < 0 ? r : 0;
	now = __atomic_load_n(&shared->count, __ATOMIC_RELAXED);
	r = ap_syscall_counts_add(&e->call->stat.errors, number, now - e->was);
	if (r == 0)
		e->was = now;
	return r;
}

int ap_syscall_growth_read(struct ap_syscall_growth *t)
{
	int r = 0;

	for (uint32_t i = 0; i < t->n_cells && r == 0; i++)
		r = read_cell(t, i);
	for (uint32_t i = 0; i < t->n_errors && r == 0; i++)
		r = read_error(t, i);
	return r;
}

int ap_syscall_growth_flight(struct ap_syscall_growth *t, const struct ap_syscall_flight *f)
{
	const struct ap_syscall_key k = {.start_time = f->start_time,
					 .call = AP_SYSCALL_CALL(f->tgid, f->number, f->abi, 0)};
	struct call *c = call_of(t, &k);

	if (!c)
		return -ENOMEM;
	c->oldest = c->in_flight ? AP_MIN(c->oldest, f->begin) : f->begin;
	c->in_flight++;
	c->process->active = true;
	return 0;
}

uint64_t ap_syscall_growth_calls(const struct ap_syscall_growth *t)
{
	uint64_t n = t->reported;

	for (const struct call *c = t->calls; c; c = c->hh.next)
		n += c->stat.count;
	return n;
}

/* How many calls were not taken. */
static uint64_t report_call(struct ap_syscall_growth *t, struct call *c, ap_syscall_fn fn,
			    void *ctx)
{
	struct ap_syscall_report r = {
		.start_time = c->key.start_time,
		.pid = (int32_t)c->key.tgid,
		.abi = (enum ap_syscall_abi)c->key.where,
		.number = c->key.number,
		.stat = c->stat,
		.in_flight = c->in_flight,
		.oldest_ns = c->in_flight && t->now > c->oldest ? t->now - c->oldest : 0,
	};
	uint64_t refused;

	if (!c->stat.count && !c->stat.sum_ns && !c->stat.errors.v.n && !c->in_flight &&
	    !c->was_in_flight) {
		c->stat.max_ns = 0;
		return 0;
	}
	refused = fn(ctx, &r) == 0 ? 0 : c->stat.count;
	t->reported += c->stat.count;
	c->was_in_flight = c->in_flight;
	c->in_flight = 0;
	ap_syscall_stat_clear(&c->stat);
	return refused;
}

uint64_t ap_syscall_growth_report(struct ap_syscall_growth *t, ap_syscall_fn fn, void *ctx)
{
	struct call *c, *next;
	uint64_t refused = 0;

	HASH_ITER(hh, t->calls, c, next)
		refused += report_call(t, c, fn, ctx);
	return refused;
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

static void look_at(struct ap_syscall_growth *t, struct process *p)
{
	p->forget = p->gone && !p->active;
	if (!p->gone && !p->active && t->now - p->looked >= LOOK_NS) {
		p->gone = is_gone(p);
		p->looked = t->now;
	}
	p->active = false;
}

/* Its key goes last, when another may take the entry. */
#define GIVE_BACK(shared)                                                   \
	do {                                                                \
		uint64_t *_start = &(shared)->key.start_time;               \
                                                                            \
		memset(_start + 1, 0, sizeof(*(shared)) - sizeof(*_start)); \
		__atomic_store_n(_start, 0, __ATOMIC_RELEASE);              \
	} while (0)

static void give_back(struct ap_syscall_growth *t)
{
	for (uint32_t i = 0; i < t->n_cells; i++) {
		if (!t->cells[i].call || !t->cells[i].call->process->forget)
			continue;
		t->cells[i] = (struct cell){0};
		GIVE_BACK(&t->kernel_cells[i]);
	}
	for (uint32_t i = 0; i < t->n_errors; i++) {
		if (!t->errors[i].call || !t->errors[i].call->process->forget)
			continue;
		t->errors[i] = (struct error){0};
		GIVE_BACK(&t->kernel_errors[i]);
	}
}

void ap_syscall_growth_forget(struct ap_syscall_growth *t)
{
	struct process *p, *next_process;
	struct call *c, *next_call;
	bool any = false;

	HASH_ITER(hh, t->processes, p, next_process) {
		look_at(t, p);
		any |= p->forget;
	}
	if (!any)
		return;
	give_back(t);
	HASH_ITER(hh, t->calls, c, next_call)
		if (c->process->forget)
			drop_call(t, c);
	HASH_ITER(hh, t->processes, p, next_process)
		if (p->forget)
			drop_process(t, p);
}
