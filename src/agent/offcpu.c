/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/offcpu.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/cpu.h"
#include "abi/offcpu.h"
#include "agent/bpf_object.h"
#include "agent/direct_map.h"
#include "agent/percpu.h"
#include "base/clock.h"
#include "base/io.h"
#include "bpf/cpu.skel.h"
#include "bpf/offcpu.skel.h"
#include "bpf/offcpu_plain.skel.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

struct ap_offcpu {
	struct ap_capture *capture;
	struct ap_offcpu_bpf *bpf;
	struct bpf_link *iterator;
	struct ap_wait_stats *stats; /* by CPU: shared with the BPF programs */
	size_t stats_bytes;
	uint32_t n_cpus;
	bool runs;
};

static struct ap_offcpu_bpf *open_object(bool kfuncs)
{
	struct ap_offcpu_bpf *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b)
		r = ap_offcpu_bpf__create_skeleton(b);
	if (r == 0 && !kfuncs)
		b->skeleton->data = (void *)ap_offcpu_plain_bpf__elf_bytes(&b->skeleton->data_sz);
	if (r == 0)
		r = bpf_object__open_skeleton(b->skeleton, NULL);
	if (r == 0)
		return b;
	ap_offcpu_bpf__destroy(b);
	errno = -r;
	return NULL;
}

/* Whether the scheduler's clock is the same on all CPUs: where the kernel trusts the counter that it is made
 * of with the time of day. */
static bool has_switch_clock(void)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str name;

	if (ap_read_file(AT_FDCWD, CLOCKSOURCE, 64, &b) < 0)
		return false;
	name = ap_buf_view(&b);
	name = ap_str_cut(&name, '\n');
	return ap_str_is(name, "tsc") || ap_str_is(name, "arch_sys_counter");
}

static void configure(struct ap_offcpu *o)
{
	struct ap_offcpu_bpf *b = o->bpf;
	int cgroup = ap_capture_cgroup(o->capture);
	struct ap_direct_map direct;
	struct stat st;

	AP_BPF_OBJECT_CONSTANTS(ap_capture_object(o->capture), b);
	ap_direct_map_find(&direct);
	AP_DIRECT_MAP_CONSTANTS(&direct, b);
	b->rodata->use_switch_clock = has_switch_clock();
	/* A cgroup's id is its folder's inode. */
	if (cgroup >= 0 && fstat(cgroup, &st) == 0)
		b->rodata->target_cgroup_id = st.st_ino;
	bpf_map__set_max_entries(b->maps.wait_stats, o->n_cpus);
}

static int map_stats(struct ap_offcpu *o)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	o->stats_bytes = (o->n_cpus * sizeof(*o->stats) + page - 1) & ~(page - 1);
	p = mmap(NULL, o->stats_bytes, PROT_READ, MAP_SHARED, bpf_map__fd(o->bpf->maps.wait_stats),
		 0);
	if (p == MAP_FAILED)
		return -errno;
	o->stats = p;
	return 0;
}

/* Whether the programs can read the memory of threads that wait. */
static int check_foreign(struct ap_offcpu *o)
{
	int r = ap_direct_map_check(o->bpf->progs.ap_foreign_check);

	return r < 0 ? r : o->bpf->bss->foreign_works ? 0 : -ENOTSUP;
}

static int load(struct ap_offcpu *o)
{
	const struct ap_bpf_object *base = ap_capture_object(o->capture);
	libbpf_print_fn_t print;
	int r;

	o->bpf = open_object(base->kfuncs);
	if (!o->bpf)
		return -errno;
	configure(o);
	r = ap_bpf_object_share(base, o->bpf->obj);
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_offcpu_bpf__load(o->bpf);
	libbpf_set_print(print);
	return r < 0 ? r : map_stats(o);
}

int ap_offcpu_open(struct ap_capture *capture, bool wakers, struct ap_error *err,
		   struct ap_offcpu **ret)
{
	_cleanup_(ap_cleanup_offcpu) struct ap_offcpu *o = calloc(1, sizeof(*o));
	int cpus = libbpf_num_possible_cpus(), r;

	if (!o || cpus <= 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	o->capture = capture;
	o->n_cpus = (uint32_t)cpus;
	r = load(o);
	if (r < 0)
		return ap_bpf_load_error(err, r);
	o->bpf->bss->wakers = wakers;
	r = check_foreign(o);
	if (r < 0)
		return ap_error_set(
			err, r,
			"modes offcpu and lock: the memory of waiting threads cannot be read on this "
			"kernel (its direct map was not found; is kernel.kptr_restrict 2?)");
	*ret = AP_TAKE_PTR(o);
	return 0;
}

void ap_offcpu_free(struct ap_offcpu *o)
{
	if (!o)
		return;
	bpf_link__destroy(o->iterator);
	if (o->stats)
		munmap(o->stats, o->stats_bytes);
	ap_offcpu_bpf__destroy(o->bpf);
	free(o);
}

static int attach(struct bpf_program *prog, struct bpf_link **link)
{
	if (!*link)
		*link = bpf_program__attach(prog);
	return *link ? 0 : -errno;
}

static void detach(struct bpf_link **link)
{
	bpf_link__destroy(AP_TAKE_PTR(*link));
}

/* Who ends waits is followed where locks are told of, or it is asked for. */
static int follow_wakers(struct ap_offcpu *o)
{
	struct ap_offcpu_bpf *b = o->bpf;
	int64_t distance;

	if (b->bss->kinds & AP_RECORD_F_LOCK || b->bss->wakers) {
		if (!b->bss->preempt_count_at && ap_percpu_preempt_count(&distance) == 0)
			b->bss->preempt_count_at = distance;
		return attach(b->progs.ap_waking, &b->links.ap_waking);
	}
	detach(&b->links.ap_waking);
	return 0;
}

static int scheduler_error(struct ap_error *err, int r)
{
	return ap_error_set(err, r, "cannot follow the scheduler: %s", ap_strerror(r));
}

int ap_offcpu_set(struct ap_offcpu *o, uint32_t modes, uint64_t threshold_ns, struct ap_error *err)
{
	uint16_t kinds = (uint16_t)((modes & AP_MODE_OFFCPU ? AP_RECORD_F_OFFCPU : 0) |
				    (modes & AP_MODE_LOCK ? AP_RECORD_F_LOCK : 0));
	struct ap_offcpu_bpf *b = o->bpf;
	int r;

	b->bss->threshold_ns = threshold_ns;
	if (!o->runs || kinds == b->bss->kinds) {
		b->bss->kinds = kinds;
		return 0;
	}
	r = ap_offcpu_flush(o);
	if (kinds & ~b->bss->kinds & AP_RECORD_F_OFFCPU)
		b->bss->widened = ap_clock_mono_ns();
	b->bss->kinds = kinds;
	if (r == 0)
		r = follow_wakers(o);
	if (r == 0)
		r = ap_offcpu_flush(o);
	return r < 0 ? scheduler_error(err, r) : 0;
}

int ap_offcpu_start(struct ap_offcpu *o, struct ap_error *err)
{
	struct ap_offcpu_bpf *b = o->bpf;
	int r;

	/* The two clocks may have drifted apart since, and it may be the first time. */
	b->bss->switch_clock_behind = 0;
	b->bss->epoch++;
	b->bss->widened = ap_clock_mono_ns();
	r = attach(b->progs.ap_wait_exit, &b->links.ap_wait_exit);
	if (r == 0)
		r = follow_wakers(o);
	if (r == 0)
		r = attach(b->progs.ap_switch, &b->links.ap_switch);
	if (r == 0 && !o->iterator) {
		o->iterator = bpf_program__attach_iter(b->progs.ap_waiting, NULL);
		r = o->iterator ? 0 : -errno;
	}
	if (r == 0)
		r = ap_offcpu_flush(o);
	o->runs = r == 0;
	return r < 0 ? scheduler_error(err, r) : 0;
}

void ap_offcpu_stop(struct ap_offcpu *o)
{
	/* Once before, since the end of a wait is not seen between the two, and once after. */
	ap_offcpu_flush(o);
	detach(&o->bpf->links.ap_waking);
	detach(&o->bpf->links.ap_switch);
	ap_offcpu_flush(o);
	/* Threads that end still give their places back, and have nothing to tell. */
	o->bpf->bss->epoch++;
	o->runs = false;
}

int ap_offcpu_flush(struct ap_offcpu *o)
{
	return o->iterator ? ap_capture_iterate(o->capture, o->iterator) : 0;
}

void ap_offcpu_ledger(const struct ap_offcpu *o, struct ap_ledger *l)
{
	struct ap_wait_stats sum = {0};

	for (uint32_t i = 0; i < o->n_cpus; i++) {
		struct ap_wait_stats s;

		memcpy(&s, &o->stats[i], sizeof(s));
		sum.delivered += s.delivered + s.summed;
		sum.ringbuf_full += s.ringbuf_full;
		sum.no_storage += s.no_storage;
		sum.wakers += s.wakers;
		sum.wakers_lost += s.wakers_lost;
	}
	ap_ledger_set(l, AP_LEDGER_OFFCPU_ENDED, sum.delivered + sum.ringbuf_full + sum.no_storage);
	ap_ledger_set(l, AP_LEDGER_OFFCPU_DELIVERED, sum.delivered);
	ap_ledger_set(l, AP_LEDGER_OFFCPU_RINGBUF_FULL, sum.ringbuf_full);
	ap_ledger_set(l, AP_LEDGER_OFFCPU_NO_STORAGE, sum.no_storage);
	ap_ledger_set(l, AP_LEDGER_WAKER_SEEN, sum.wakers + sum.wakers_lost);
	ap_ledger_set(l, AP_LEDGER_WAKER_DELIVERED, sum.wakers);
	ap_ledger_set(l, AP_LEDGER_WAKER_RINGBUF_FULL, sum.wakers_lost);
}

void ap_offcpu_cost(const struct ap_offcpu *o, struct ap_profiler_cost *ret)
{
	size_t each = bpf_map__value_size(o->bpf->maps.iterator_scratches) +
		      bpf_map__value_size(o->bpf->maps.wait_stats);

	ret->map_bytes += o->n_cpus * each + bpf_map__value_size(o->bpf->maps.bss);
	ret->map_cpu_bytes += each;
	for (uint32_t i = 0; i < o->n_cpus; i++) {
		const struct ap_wait_stats *s = &o->stats[i];

		ret->bpf_runs += s->runs;
		if (s->timed_runs)
			ret->fixed_ns += (uint64_t)((double)s->timed_ns / (double)s->timed_runs *
						    (double)s->runs);
	}
	ret->bpf_ns += ret->fixed_ns;
}
