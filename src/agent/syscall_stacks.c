/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/syscall_stacks.h"

#include <bpf/libbpf.h>

#include "abi/cpu.h"
#include "abi/syscall.h"
#include "agent/syscall_options.h"
#include "base/clock.h"
#include "bpf/cpu.skel.h"
#include "bpf/syscall_stack.skel.h"
#include "bpf/syscall_stack_plain.skel.h"

struct ap_syscall_stacks {
	struct ap_syscall_stack_bpf *bpf;
	struct ap_shared_array stats; /* by CPU: shared with the BPF program */
};

static struct ap_syscall_stack_bpf *open_object(bool kfuncs)
{
	struct ap_syscall_stack_bpf *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b)
		r = ap_syscall_stack_bpf__create_skeleton(b);
	if (r == 0 && !kfuncs)
		b->skeleton->data =
			(void *)ap_syscall_stack_plain_bpf__elf_bytes(&b->skeleton->data_sz);
	if (r == 0)
		r = bpf_object__open_skeleton(b->skeleton, NULL);
	if (r == 0)
		return b;
	ap_syscall_stack_bpf__destroy(b);
	errno = -r;
	return NULL;
}

static int load(struct ap_syscall_stacks *s, const struct ap_bpf_object *base,
		struct bpf_map *returns, uint32_t rate, uint32_t n_cpus)
{
	libbpf_print_fn_t print;
	int r;

	s->bpf = open_object(base->kfuncs);
	if (!s->bpf)
		return -errno;
	AP_BPF_OBJECT_CONSTANTS(base, s->bpf);
	s->bpf->rodata->token_ns = AP_NSEC_PER_SEC / rate;
	s->bpf->rodata->tokens_max = rate;
	bpf_map__set_max_entries(s->bpf->maps.syscall_stack_stats, n_cpus);
	r = ap_bpf_object_share(base, s->bpf->obj);
	if (r == 0)
		r = bpf_map__reuse_fd(s->bpf->maps.returns, bpf_map__fd(returns));
	if (r < 0)
		return r;
	print = libbpf_set_print(ap_bpf_keep_warning);
	r = ap_syscall_stack_bpf__load(s->bpf);
	libbpf_set_print(print);
	return r < 0 ? r : ap_shared_array_map(s->bpf->maps.syscall_stack_stats, &s->stats);
}

int ap_syscall_stacks_open(const struct ap_bpf_object *base, struct bpf_map *returns, uint32_t rate,
			   uint32_t n_cpus, struct ap_syscall_stacks **ret)
{
	_cleanup_(ap_cleanup_syscall_stacks) struct ap_syscall_stacks *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = load(s, base, returns, rate ? rate : AP_SYSCALL_STACK_RATE_DEFAULT, n_cpus);
	if (r < 0)
		return r;
	*ret = AP_TAKE_PTR(s);
	return 0;
}

void ap_syscall_stacks_free(struct ap_syscall_stacks *s)
{
	if (!s)
		return;
	ap_shared_array_unmap(&s->stats);
	ap_syscall_stack_bpf__destroy(s->bpf);
	free(s);
}

int ap_syscall_stacks_program(const struct ap_syscall_stacks *s)
{
	return bpf_program__fd(s->bpf->progs.ap_syscall_stack);
}

void ap_syscall_stacks_ledger(const struct ap_syscall_stacks *s, struct ap_ledger *l)
{
	const struct ap_syscall_stack_stats *stats = s->stats.p;
	uint64_t delivered = 0, full = 0, limited = 0;

	for (uint32_t i = 0; i < s->stats.n; i++) {
		delivered += __atomic_load_n(&stats[i].delivered, __ATOMIC_RELAXED);
		full += __atomic_load_n(&stats[i].ringbuf_full, __ATOMIC_RELAXED);
		limited += __atomic_load_n(&stats[i].limited, __ATOMIC_RELAXED);
	}
	ap_ledger_set(l, AP_LEDGER_SYSCALL_STACK_ASKED, delivered + full + limited);
	ap_ledger_set(l, AP_LEDGER_SYSCALL_STACK_DELIVERED, delivered);
	ap_ledger_set(l, AP_LEDGER_SYSCALL_STACK_RINGBUF_FULL, full);
	ap_ledger_set(l, AP_LEDGER_SYSCALL_STACK_LIMITED, limited);
}

void ap_syscall_stacks_cost(const struct ap_syscall_stacks *s, struct ap_profiler_cost *cost)
{
	const struct ap_syscall_stack_stats *stats = s->stats.p;
	size_t each = bpf_map__value_size(s->bpf->maps.syscall_scratches) + sizeof(*stats);

	for (uint32_t i = 0; i < s->stats.n; i++) {
		cost->bpf_runs += stats[i].asked;
		cost->bpf_ns += stats[i].timed_ns;
		cost->fixed_ns += stats[i].timed_ns;
	}
	cost->map_bytes += s->stats.n * each;
	cost->map_cpu_bytes += each;
}
