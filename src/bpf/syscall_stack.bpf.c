/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Stacks of system calls that took long or failed. syscall.bpf.c goes on to this program when such a call
 * has returned, with what is known of it in `returns`. The task is the current one, still in the kernel, so
 * its registers and its memory are at hand; the kernel's part of the stack is its way out and says nothing.
 *
 * A loop of failing calls must not cost its program more than a rate allows: each CPU has a bucket of
 * tokens, of which a stack takes one, and which is filled as time passes. What exceeds it is counted. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/syscall.h"

#define ap_read_user(w, dst, bytes, address) \
	((int)bpf_probe_read_user((dst), (bytes), (const void *)(address)))
#include "bpf/store.bpf.h"

#include "bpf/record.bpf.h"

const volatile uint64_t token_ns = 10000000; /* between two stacks, in the long run */
const volatile uint64_t tokens_max = 100;    /* at once */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_syscall_return);
} returns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_syscall_stack_stats);
} syscall_stack_stats SEC(".maps");

/* A program's own: a sample may come in between. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct scratch);
} syscall_scratches SEC(".maps");

AP_INLINE bool take_token(struct ap_syscall_stack_stats *stats, uint64_t now)
{
	uint64_t more = (now - stats->filled) / token_ns;

	if (more) {
		stats->filled = now - (now - stats->filled) % token_ns;
		stats->tokens += more;
		if (more > tokens_max || stats->tokens > tokens_max)
			stats->tokens = tokens_max;
	}
	if (!stats->tokens)
		return false;
	stats->tokens--;
	return true;
}

/* 0, or negative: there was no room. */
AP_INLINE long tell(struct scratch *s, const struct ap_syscall_return *of)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);
	struct ap_syscall_told told = {
		.number = of->call >> 32, .abi = of->call >> 48, .error = of->error};
	struct ap_record *r = (void *)s->record;
	long sent;

	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_SYSCALL, task, of->call, bpf_get_current_cgroup_id());
	r->value = of->ns;
	if (AP_KERNEL_IS_COMPAT(regs)) {
		r->reason = AP_REASON_COMPAT;
	} else {
		s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
		walk_begin(&s->walk, task, current_mm(), r->start_time);
		record_user(s, false);
	}
	if (record_section(s, AP_SECTION_SYSCALL, &told, sizeof(told)))
		return -1;
	sent = record_send(s);
	if (s->walk.noticed)
		send_notices(s, r->tgid);
	return sent;
}

SEC("raw_tp/sys_exit")
int ap_syscall_stack(struct bpf_raw_tracepoint_args *ctx)
{
	uint32_t zero = 0, cpu = bpf_get_smp_processor_id();
	struct ap_syscall_stack_stats *stats = bpf_map_lookup_elem(&syscall_stack_stats, &cpu);
	const struct ap_syscall_return *of = bpf_map_lookup_elem(&returns, &zero);
	struct scratch *s = bpf_map_lookup_elem(&syscall_scratches, &zero);
	uint64_t now = bpf_ktime_get_ns();

	if (!stats || !of || !s)
		return 0;
	use_store();
	stats->asked++;
	if (!take_token(stats, now))
		stats->limited++;
	else if (tell(s, of))
		stats->ringbuf_full++;
	else
		stats->delivered++;
	stats->timed_ns += bpf_ktime_get_ns() - now;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
