/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record.h"

#include <string.h>

static int take(void *to, size_t bytes, const struct ap_section *s, const uint8_t *p)
{
	if (s->bytes != bytes)
		return -EINVAL;
	memcpy(to, p, bytes);
	return 0;
}

static int take_section(struct ap_record_view *v, const struct ap_section *s, const uint8_t *p)
{
	switch (s->kind) {
	case AP_SECTION_COMM:
		if (s->bytes != AP_COMM_BYTES)
			return -EINVAL;
		v->comm = (const char *)p;
		return 0;
	case AP_SECTION_KERNEL_STACK:
		if (s->bytes % 8 || s->bytes / 8 > AP_KERNEL_FRAMES_MAX)
			return -EINVAL;
		v->kernel = p;
		v->n_kernel = s->bytes / 8;
		return 0;
	case AP_SECTION_USER_STACK:
		if (s->bytes % 8 || s->bytes / 8 > AP_USER_FRAMES_MAX)
			return -EINVAL;
		v->user = p;
		v->n_user = s->bytes / 8;
		return 0;
	case AP_SECTION_FILE:
		return take(&v->notice, sizeof(v->notice), s, p);
	case AP_SECTION_WAIT:
		return take(&v->wait, sizeof(v->wait), s, p);
	case AP_SECTION_LOCK:
		v->has_lock = true;
		return take(&v->lock, sizeof(v->lock), s, p);
	case AP_SECTION_WAKER:
		return take(&v->lock, sizeof(v->lock), s, p);
	case AP_SECTION_WAIT_SUMS:
		return take(&v->sums, sizeof(v->sums), s, p);
	case AP_SECTION_SYSCALL:
		return take(&v->syscall, sizeof(v->syscall), s, p);
	case AP_SECTION_KERNEL_LOCK:
		return take(&v->kernel_lock, sizeof(v->kernel_lock), s, p);
	default:
		return 0;
	}
}

int ap_record_parse(const void *record, size_t n, struct ap_record_view *ret)
{
	static const char no_comm[AP_COMM_BYTES];
	struct ap_record_view v = {.comm = no_comm};
	const uint8_t *p = record;
	size_t at = sizeof(v.head);

	if (n < sizeof(v.head))
		return -EINVAL;
	memcpy(&v.head, p, sizeof(v.head));
	/* The ring buffer may hand over more than was written, in steps of 8 bytes. */
	if (v.head.size < sizeof(v.head) || v.head.size > n || v.head.reason >= AP_REASONS_MAX)
		return -EINVAL;
	n = v.head.size;
	for (uint32_t i = 0; i < v.head.n_sections; i++) {
		struct ap_section s;

		if (!ap_range_ok(at, sizeof(s), n))
			return -EINVAL;
		memcpy(&s, p + at, sizeof(s));
		if (!ap_range_ok(at + sizeof(s), s.bytes, n) ||
		    take_section(&v, &s, p + at + sizeof(s)) < 0)
			return -EINVAL;
		at += (sizeof(s) + s.bytes + 7) & ~(size_t)7;
	}
	if (v.head.type == AP_RECORD_FILE && v.notice.start >= v.notice.end)
		return -EINVAL;
	if (v.wait.state >= AP_WAIT_STATES || v.wait.end >= AP_WAIT_ENDS ||
	    v.syscall.abi >= AP_SYSCALL_ABI_MAX || v.syscall.error > AP_SYSCALL_ERRNO_MAX ||
	    v.kernel_lock.kind >= AP_KERNEL_LOCK_KINDS ||
	    v.kernel_lock.object >= AP_KERNEL_LOCK_OBJECTS)
		return -EINVAL;
	v.waits = !(v.head.flags & AP_RECORD_F_GOES_ON);
	*ret = v;
	return 0;
}

static uint64_t count_sums(const struct ap_record_view *v)
{
	uint64_t n = v->head.flags & AP_RECORD_F_LOCK ? v->sums.count[AP_WAIT_LOCK] : 0;

	for (int i = 0; v->head.flags & AP_RECORD_F_OFFCPU && i < AP_WAIT_STATES; i++)
		n += v->sums.count[i];
	return n;
}

uint64_t ap_record_count(const struct ap_record_view *v)
{
	if (v->head.type == AP_RECORD_WAIT_SUMS)
		return count_sums(v);
	if (v->head.type == AP_RECORD_KERNEL_LOCK)
		return v->waits;
	if (v->head.type != AP_RECORD_OFFCPU)
		return 1;
	if (v->head.flags & AP_RECORD_F_GOES_ON)
		return 0;
	return (uint64_t)((v->head.flags & AP_RECORD_F_OFFCPU) != 0) + v->has_lock;
}
