/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What all programs do to write a record (abi/record.h): a header, the thread's name, the kernel's stack and
 * the user stack, packed without gaps into the CPU's scratch space, then sent through the ring buffer. */
#ifndef AP_BPF_RECORD_BPF_H
#define AP_BPF_RECORD_BPF_H

#include "bpf/mapping.bpf.h"
#include "bpf/target.bpf.h"

#define KERNEL_BYTES (AP_KERNEL_FRAMES_MAX * 8)
#define COMM_AT	     sizeof(struct ap_record)
#define KERNEL_AT    (COMM_AT + 24) /* 4 of header and 16 of comm, 8-byte aligned */
#define MORE_BYTES   72		    /* for sections of one kind of record alone */

struct notice {
	struct ap_record head;
	struct ap_section section;
	struct ap_file_notice file;
	uint32_t pad;
} __attribute__((packed));

/* Has room for the largest of each section. */
struct scratch {
	struct ap_walk walk;
	struct notice notice;
	unsigned char
		record[KERNEL_AT + 8 + KERNEL_BYTES + 8 + AP_USER_FRAMES_MAX * 8 + MORE_BYTES];
};

const volatile uint32_t max_user_frames = AP_USER_FRAMES_DEFAULT;
const volatile uint64_t wakeup_bytes = 1 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct scratch);
} scratches SEC(".maps");

AP_INLINE void put_section(unsigned char *at, uint16_t kind, uint16_t bytes)
{
	*(uint32_t *)at = kind | (uint32_t)bytes << 16;
}

/* The header, but for value, reason and sections, and the thread's name. */
AP_INLINE void record_begin(struct scratch *s, uint16_t type, struct task_struct *task,
			    uint32_t tgid, uint64_t cgroup)
{
	struct ap_record *r = (void *)s->record;
	unsigned char *p = s->record;

	r->type = type;
	r->cpu = bpf_get_smp_processor_id();
	r->time = bpf_ktime_get_ns();
	r->tgid = tgid;
	r->tid = pid_level ? task_number(task) : (uint32_t)task->pid;
	r->start_time = task->group_leader->start_boottime;
	r->cgroup = cgroup;
	r->reason = AP_REASON_KERNEL_ONLY;
	r->flags = 0;
	r->n_sections = 1;
	r->size = KERNEL_AT;
	put_section(p + COMM_AT, AP_SECTION_COMM, AP_COMM_BYTES);
	__builtin_memcpy(p + COMM_AT + 4, task->comm, AP_COMM_BYTES);
}

/* The section of a kernel stack of which `bytes` were written at KERNEL_AT + 4. */
AP_INLINE void record_kernel(struct scratch *s, long bytes)
{
	struct ap_record *r = (void *)s->record;

	if (bytes < 0)
		bytes = 0;
	/* Without the barrier the compiler makes one comparison of both bounds, on a copy, from
	 * which Linux 6.1's verifier learns nothing about `bytes`. */
	barrier_var(bytes);
	if (bytes == 0 || bytes > KERNEL_BYTES)
		return;
	put_section(s->record + KERNEL_AT, AP_SECTION_KERNEL_STACK, bytes);
	r->size = KERNEL_AT + bytes + 8;
	r->n_sections++;
	if (bytes == KERNEL_BYTES)
		r->flags |= AP_RECORD_F_KSTACK_CUT;
}

/* Makes the walk ready for a task whose registers are in it. */
AP_INLINE void walk_begin(struct ap_walk *w, struct task_struct *task, uint64_t mm,
			  uint64_t start_time)
{
	w->mm = mm;
	w->end = KERNEL_FIELD(struct mm_struct, start_stack, mm);
	w->tls = AP_THREAD_POINTER(task);
	w->group = (uint32_t)(start_time * AP_MIX_1 >> 40);
	w->space = map_space(mm, start_time, w->end);
	ap_walk_begin(w);
}

/* The section of the user stack that s->walk, which is ready, walks. */
AP_INLINE void record_user(struct scratch *s, bool user_mode)
{
	struct ap_record *r = (void *)s->record;
	uint32_t at = r->size, n;
	uint64_t *frames;

	if (at > KERNEL_AT + KERNEL_BYTES + 8)
		return;
	frames = (void *)(s->record + at + 4);
	ap_walk_user(&s->walk, frames, max_user_frames);
	r->reason = s->walk.reason;
	n = s->walk.depth;
	/* execve() has put away the memory that the registers speak of. */
	if (!user_mode && n == 1 && r->reason == AP_REASON_NO_MAPPING) {
		r->reason = AP_REASON_KERNEL_ONLY;
		n = 0;
	}
	if (n > AP_USER_FRAMES_MAX)
		n = AP_USER_FRAMES_MAX;
	put_section(s->record + at, AP_SECTION_USER_STACK, n * 8);
	r->size = at + n * 8 + 8;
	r->n_sections++;
}

/* Appends a section at the record's end, of a multiple of 8 bytes. */
AP_INLINE int record_section(struct scratch *s, uint16_t kind, const void *payload, uint32_t bytes)
{
	struct ap_record *r = (void *)s->record;
	uint32_t at = r->size;

	barrier_var(at); /* the bound is to be learned of what is used, on Linux 6.1 */
	if (at > sizeof(s->record) - 8 - bytes)
		return -1;
	put_section(s->record + at, kind, bytes);
	__builtin_memcpy(s->record + at + 4, payload, bytes);
	*(uint32_t *)(s->record + at + 4 + bytes) = 0;
	r->size = at + 8 + bytes;
	r->n_sections++;
	return 0;
}

/* 0, or negative: the ring buffer had no room. */
AP_INLINE long record_send(struct scratch *s)
{
	uint32_t size = ((struct ap_record *)s->record)->size;
	uint64_t wakeup = bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) >= wakeup_bytes
				  ? BPF_RB_FORCE_WAKEUP
				  : BPF_RB_NO_WAKEUP;

	if (size > sizeof(s->record))
		return -1;
	return bpf_ringbuf_output(&records, s->record, size, wakeup);
}

/* Tells user space of mapped files that the walk met and nobody knew. They are told again as long as they
 * are met, so that a full ring buffer loses nothing. */
AP_INLINE void send_notices(struct scratch *s, uint32_t tgid)
{
	s->notice.head.type = AP_RECORD_FILE;
	s->notice.head.n_sections = 1;
	s->notice.head.size = sizeof(s->notice);
	s->notice.head.time = bpf_ktime_get_ns();
	s->notice.head.tgid = tgid;
	put_section((void *)&s->notice.section, AP_SECTION_FILE, sizeof(s->notice.file));
	for (uint32_t i = 0; i < AP_WALK_NOTICES && i < s->walk.noticed; i++) {
		s->notice.file = s->walk.notices[i];
		bpf_ringbuf_output(&records, &s->notice, sizeof(s->notice), BPF_RB_FORCE_WAKEUP);
	}
}

#endif
