/* SPDX-License-Identifier: Apache-2.0 */
/* A drain reads the kernel's table whole. An entry that stays silent leaves it: places are without end, since
 * interrupts may come anywhere. */
#include "agent/kernel_locks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "abi/cpu.h"
#include "agent/bpf_object.h"
#include "agent/direct_map.h"
#include "agent/kernel_lock_growth.h"
#include "base/clock.h"
#include "bpf/cpu.skel.h"
#include "bpf/kernel_lock.skel.h"
#include "bpf/kernel_lock_plain.skel.h"
#include "symbol/kallsyms.h"

/* A wait that spins burns the CPU. The stacks are taken with the lock held, which is 5 to 20 µs. */
#define SPIN_PART  10u /* of the threshold for sleeping waits */
#define SETTLE_MAX 100 /* looks at the table for programs that still run after the stop */
#define KALLSYMS   "/proc/kallsyms"

/* The kernel's image and modules on x86-64: Documentation/arch/x86/x86_64/mm.rst */
#define IMAGE_FROM 0xffffffff80000000ull

struct ap_kernel_locks {
	struct ap_capture *capture;
	struct ap_kernel_lock_bpf *bpf;
	struct bpf_link *iterator;
	struct ap_kernel_lock_stats *stats;  /* by CPU: shared with the BPF programs */
	struct ap_kernel_lock_entry *places; /* likewise */
	uint32_t n_cpus;
	struct ap_kernel_lock_growth *growth;
	uint64_t told; /* waits of the table, so far */
};

static struct ap_kernel_lock_bpf *open_object(bool kfuncs)
{
	struct ap_kernel_lock_bpf *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b)
		r = ap_kernel_lock_bpf__create_skeleton(b);
	if (r == 0 && !kfuncs)
		b->skeleton->data =
			(void *)ap_kernel_lock_plain_bpf__elf_bytes(&b->skeleton->data_sz);
	if (r == 0)
		r = bpf_object__open_skeleton(b->skeleton, NULL);
	if (r == 0)
		return b;
	ap_kernel_lock_bpf__destroy(b);
	errno = -r;
	return NULL;
}

/* Where locks lie that nobody has allocated; on arm64 without those of modules. */
static void find_image(struct ap_kernel_lock_bpf *b)
{
	uint64_t from = 0, to = 0;

#ifdef __x86_64__
	from = IMAGE_FROM;
#else
	if (ap_kallsyms_address(KALLSYMS, "_text", &from) < 0 ||
	    ap_kallsyms_address(KALLSYMS, "_end", &to) < 0)
		return;
#endif
	b->rodata->static_from = from;
	b->rodata->static_bytes = to - from;
}

static void configure(struct ap_kernel_locks *k)
{
	struct ap_kernel_lock_bpf *b = k->bpf;
	struct ap_direct_map direct;

	AP_BPF_OBJECT_CONSTANTS(ap_capture_object(k->capture), b);
	ap_direct_map_find(&direct);
	AP_DIRECT_MAP_CONSTANTS(&direct, b);
	find_image(b);
	bpf_map__set_max_entries(b->maps.kernel_lock_stats, k->n_cpus);
	bpf_program__set_autoload(b->progs.ap_foreign_check, false);
}

#define STATS_BYTES(k) ((k)->n_cpus * sizeof(struct ap_kernel_lock_stats))
#define TABLE_BYTES    (AP_KERNEL_LOCK_ENTRIES * sizeof(struct ap_kernel_lock_entry))

static int map_arrays(struct ap_kernel_locks *k)
{
	void *stats, *places;

	stats = mmap(NULL, STATS_BYTES(k), PROT_READ, MAP_SHARED,
		     bpf_map__fd(k->bpf->maps.kernel_lock_stats), 0);
	if (stats == MAP_FAILED)
		return -errno;
	k->stats = stats;
	places = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(k->bpf->maps.places), 0);
	if (places == MAP_FAILED)
		return -errno;
	k->places = places;
	k->growth = ap_kernel_lock_growth_new(k->places, AP_KERNEL_LOCK_ENTRIES);
	return k->growth ? 0 : -ENOMEM;
}

static int load(struct ap_kernel_locks *k)
{
	const struct ap_bpf_object *base = ap_capture_object(k->capture);
	libbpf_print_fn_t print;
	int r;

	k->bpf = open_object(base->kfuncs);
	if (!k->bpf)
		return -errno;
	configure(k);
	r = ap_bpf_object_share(base, k->bpf->obj);
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_kernel_lock_bpf__load(k->bpf);
	libbpf_set_print(print);
	return r < 0 ? r : map_arrays(k);
}

int ap_kernel_locks_open(struct ap_capture *capture, struct ap_error *err,
			 struct ap_kernel_locks **ret)
{
	_cleanup_(ap_cleanup_kernel_locks) struct ap_kernel_locks *k = calloc(1, sizeof(*k));
	int cpus = libbpf_num_possible_cpus(), r;

	if (!k || cpus <= 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (libbpf_find_vmlinux_btf_id("contention_begin", BPF_TRACE_RAW_TP) < 0)
		return ap_error_set(
			err, -ENOTSUP,
			"locks of the kernel are not recorded, those of programs are: "
			"this kernel does not tell of its own (Linux 5.19 or newer does)");
	k->capture = capture;
	k->n_cpus = (uint32_t)cpus;
	r = load(k);
	if (r < 0) {
		ap_bpf_load_error(err, r);
		return ap_error_prefix(err, "locks of the kernel are not recorded");
	}
	*ret = AP_TAKE_PTR(k);
	return 0;
}

void ap_kernel_locks_free(struct ap_kernel_locks *k)
{
	if (!k)
		return;
	bpf_link__destroy(k->iterator);
	if (k->stats)
		munmap(k->stats, STATS_BYTES(k));
	if (k->places)
		munmap(k->places, TABLE_BYTES);
	ap_kernel_lock_bpf__destroy(k->bpf);
	ap_kernel_lock_growth_free(k->growth);
	free(k);
}

void ap_kernel_locks_set(struct ap_kernel_locks *k, uint64_t threshold_ns)
{
	k->bpf->bss->threshold_ns = threshold_ns;
	k->bpf->bss->spin_threshold_ns = threshold_ns / SPIN_PART;
}

/* The end first: a begin that nobody ends would be waited for. */
int ap_kernel_locks_start(struct ap_kernel_locks *k, struct ap_error *err)
{
	struct ap_kernel_lock_bpf *b = k->bpf;
	int r = 0;

	if (!k->iterator)
		k->iterator = bpf_program__attach_iter(b->progs.ap_contended, NULL);
	if (k->iterator && !b->links.ap_contention_begin) {
		b->bss->started = ap_clock_mono_ns();
		b->links.ap_contention_end = bpf_program__attach(b->progs.ap_contention_end);
		if (b->links.ap_contention_end)
			b->links.ap_contention_begin =
				bpf_program__attach(b->progs.ap_contention_begin);
	}
	if (!b->links.ap_contention_begin) {
		r = ap_error_set(err, -errno, "cannot follow the kernel's locks: %s",
				 ap_strerror(errno));
		ap_kernel_locks_stop(k);
	}
	return r;
}

void ap_kernel_locks_stop(struct ap_kernel_locks *k)
{
	bpf_link__destroy(AP_TAKE_PTR(k->bpf->links.ap_contention_begin));
	bpf_link__destroy(AP_TAKE_PTR(k->bpf->links.ap_contention_end));
	ap_kernel_locks_flush(k);
}

int ap_kernel_locks_flush(struct ap_kernel_locks *k)
{
	return k->iterator ? ap_capture_iterate(k->capture, k->iterator) : 0;
}

static struct ap_kernel_lock_stats sum_stats(const struct ap_kernel_locks *k)
{
	struct ap_kernel_lock_stats sum = {0};

	for (uint32_t i = 0; i < k->n_cpus; i++) {
		struct ap_kernel_lock_stats s;

		memcpy(&s, &k->stats[i], sizeof(s));
		sum.delivered += s.delivered;
		sum.summed += s.summed;
		sum.ringbuf_full += s.ringbuf_full;
		sum.no_storage += s.no_storage;
		sum.table_full += s.table_full;
		sum.no_end += s.no_end;
		sum.nested += s.nested;
		sum.no_begin += s.no_begin;
	}
	return sum;
}

static void drain(struct ap_kernel_locks *k, ap_kernel_lock_fn fn, void *ctx)
{
	ap_kernel_lock_growth_read(k->growth);
	k->told += ap_kernel_lock_growth_report(k->growth, fn, ctx);
}

void ap_kernel_locks_drain(struct ap_kernel_locks *k, ap_kernel_lock_fn fn, void *ctx)
{
	drain(k, fn, ctx);
	/* A program may run for a moment after it was detached. */
	for (int i = 0;
	     i < SETTLE_MAX && !k->bpf->links.ap_contention_end && k->told != sum_stats(k).summed;
	     i++)
		drain(k, fn, ctx);
	ap_kernel_lock_growth_forget(k->growth);
}

void ap_kernel_locks_ledger(const struct ap_kernel_locks *k, struct ap_ledger *l)
{
	struct ap_kernel_lock_stats s = sum_stats(k);
	uint64_t delivered = s.delivered + s.summed;

	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_ENDED,
		      delivered + s.ringbuf_full + s.no_storage + s.table_full + s.no_end +
			      s.nested + s.no_begin);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_DELIVERED, delivered);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_RINGBUF_FULL, s.ringbuf_full);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_NO_STORAGE, s.no_storage);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_TABLE_FULL, s.table_full);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_NO_END, s.no_end);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_NESTED, s.nested);
	ap_ledger_set(l, AP_LEDGER_KERNEL_LOCK_NO_BEGIN, s.no_begin);
}

void ap_kernel_locks_cost(const struct ap_kernel_locks *k, struct ap_profiler_cost *ret)
{
	const struct ap_kernel_lock_bpf *b = k->bpf;
	size_t each = bpf_map__value_size(b->maps.lock_scratches) +
		      bpf_map__value_size(b->maps.lock_iterator_scratches) +
		      bpf_map__value_size(b->maps.kernel_lock_stats) +
		      (size_t)bpf_map__max_entries(b->maps.spin_waits) *
			      bpf_map__value_size(b->maps.spin_waits);
	uint64_t ns = 0;

	ret->map_bytes += k->n_cpus * each + TABLE_BYTES;
	ret->map_cpu_bytes += each;
	for (uint32_t i = 0; i < k->n_cpus; i++) {
		const struct ap_kernel_lock_stats *s = &k->stats[i];

		ret->bpf_runs += s->runs;
		if (s->timed_runs)
			ns += (uint64_t)((double)s->timed_ns / (double)s->timed_runs *
					 (double)s->runs);
	}
	ret->fixed_ns += ns;
	ret->bpf_ns += ns;
}
