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
#include "base/clock.h"
#include "base/io.h"
#include "bpf/cpu.skel.h"
#include "bpf/offcpu.skel.h"
#include "bpf/offcpu_plain.skel.h"
#include "symbol/kallsyms.h"

#define THRESHOLD_NS  AP_NSEC_PER_MSEC
#define KALLSYMS      "/proc/kallsyms"
#define CPUINFO_BYTES (4u << 20)
/* Documentation/arch/x86/x86_64/mm.rst */
#define DIRECT_MAP_4 0xffff888000000000ull
#define DIRECT_MAP_5 0xff11000000000000ull

struct ap_offcpu {
	struct ap_capture *capture;
	struct ap_offcpu_bpf *bpf;
	struct bpf_link *iterator;
	struct ap_wait_stats *stats; /* by CPU: shared with the BPF programs */
	size_t stats_bytes;
	uint32_t n_cpus;
	bool locks; /* AP_MODE_LOCK */
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

/* Five levels of page tables, where the processor has them and the kernel uses them. */
static bool has_five_levels(void)
{
	_cleanup_buf_ struct ap_buf b = {0};

	if (ap_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_BYTES, &b) < 0)
		return false;
	ap_buf_byte(&b, 0);
	return ap_buf_error(&b) == 0 && strstr((const char *)b.p, " la57") != NULL;
}

static void configure(struct ap_offcpu *o, const struct ap_profiler_options *opts)
{
	struct ap_offcpu_bpf *b = o->bpf;
	int cgroup = ap_capture_cgroup(o->capture);
	uint64_t at;
	bool five = has_five_levels();
	struct stat st;
	int r;

	AP_BPF_OBJECT_CONSTANTS(ap_capture_object(o->capture), b);
	b->rodata->kinds = (uint16_t)((opts->modes & AP_MODE_OFFCPU ? AP_RECORD_F_OFFCPU : 0) |
				      (opts->modes & AP_MODE_LOCK ? AP_RECORD_F_LOCK : 0));
	o->locks = opts->modes & AP_MODE_LOCK;
	bpf_program__set_autoload(b->progs.ap_waking, o->locks);
	b->rodata->threshold_ns = opts->wait_threshold_ns ? opts->wait_threshold_ns : THRESHOLD_NS;
	b->rodata->page_levels = five ? 5 : 4;
	r = ap_kallsyms_address(KALLSYMS, "page_offset_base", &at);
	if (r == 0)
		b->rodata->direct_map_at = at;
	else if (r == -ENOENT) /* a kernel that does not move it about */
		b->rodata->direct_map = five ? DIRECT_MAP_5 : DIRECT_MAP_4;
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
	uint64_t word = (uint64_t)&word;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &word, .ctx_size_in = sizeof(word));
	int r = bpf_prog_test_run_opts(bpf_program__fd(o->bpf->progs.ap_foreign_check), &opts);

	return r < 0 ? r : o->bpf->bss->foreign_works ? 0 : -ENOTSUP;
}

static int load(struct ap_offcpu *o, const struct ap_profiler_options *opts)
{
	const struct ap_bpf_object *base = ap_capture_object(o->capture);
	libbpf_print_fn_t print;
	int r;

	o->bpf = open_object(base->kfuncs);
	if (!o->bpf)
		return -errno;
	configure(o, opts);
	r = ap_bpf_object_share(base, o->bpf->obj);
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_offcpu_bpf__load(o->bpf);
	libbpf_set_print(print);
	return r < 0 ? r : map_stats(o);
}

int ap_offcpu_open(struct ap_capture *capture, const struct ap_profiler_options *opts,
		   struct ap_error *err, struct ap_offcpu **ret)
{
	_cleanup_(ap_cleanup_offcpu) struct ap_offcpu *o = calloc(1, sizeof(*o));
	int cpus = libbpf_num_possible_cpus(), r;

	if (!o || cpus <= 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	o->capture = capture;
	o->n_cpus = (uint32_t)cpus;
	r = load(o, opts);
	if (r < 0)
		return ap_bpf_load_error(err, r);
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

int ap_offcpu_start(struct ap_offcpu *o, struct ap_error *err)
{
	struct ap_offcpu_bpf *b = o->bpf;
	int r;

	b->bss->started = ap_clock_mono_ns();
	b->links.ap_wait_exit = bpf_program__attach(b->progs.ap_wait_exit);
	if (b->links.ap_wait_exit && o->locks)
		b->links.ap_waking = bpf_program__attach(b->progs.ap_waking);
	if (b->links.ap_wait_exit && (b->links.ap_waking || !o->locks))
		b->links.ap_switch = bpf_program__attach(b->progs.ap_switch);
	if (b->links.ap_switch)
		o->iterator = bpf_program__attach_iter(b->progs.ap_waiting, NULL);
	r = o->iterator ? ap_offcpu_flush(o) : -errno;
	if (r < 0)
		return ap_error_set(err, r, "cannot follow the scheduler: %s", ap_strerror(r));
	return 0;
}

void ap_offcpu_stop(struct ap_offcpu *o)
{
	bpf_link__destroy(AP_TAKE_PTR(o->bpf->links.ap_waking));
	bpf_link__destroy(AP_TAKE_PTR(o->bpf->links.ap_switch));
	bpf_link__destroy(AP_TAKE_PTR(o->bpf->links.ap_wait_exit));
}

int ap_offcpu_flush(struct ap_offcpu *o)
{
	_cleanup_fd_ int fd = o->iterator ? bpf_iter_create(bpf_link__fd(o->iterator)) : -1;
	char pace[4096];
	ssize_t n;

	if (!o->iterator)
		return 0;
	if (fd < 0)
		return -errno;
	while ((n = read(fd, pace, sizeof(pace))) != 0) {
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		ap_capture_drain(o->capture);
	}
	return 0;
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

	ret->map_bytes += o->n_cpus * each;
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
