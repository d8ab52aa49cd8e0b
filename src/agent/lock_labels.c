/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lock_labels.h"

#include <stdio.h>

#include "abi/kernel_lock.h"
#include "profile/lock_kind.h"

static const char *const kernel_kinds[AP_KERNEL_LOCK_KINDS] = {
	[AP_KERNEL_SPINLOCK] = "spinlock",
	[AP_KERNEL_RWLOCK_READ] = "rwlock read",
	[AP_KERNEL_RWLOCK_WRITE] = "rwlock write",
	[AP_KERNEL_MUTEX] = "mutex",
	[AP_KERNEL_RWSEM_READ] = "rwsem read",
	[AP_KERNEL_RWSEM_WRITE] = "rwsem write",
	[AP_KERNEL_PERCPU_READ] = "percpu-rwsem read",
	[AP_KERNEL_PERCPU_WRITE] = "percpu-rwsem write",
	[AP_KERNEL_RT_MUTEX] = "rt-mutex",
	[AP_KERNEL_RT_READ] = "rt-rwlock read",
	[AP_KERNEL_RT_WRITE] = "rt-rwlock write",
	[AP_KERNEL_SEMAPHORE] = "semaphore",
};

static const char *const objects[AP_KERNEL_LOCK_OBJECTS] = {
	[AP_KERNEL_LOCK_HEAP] = "[kernel heap]",
	[AP_KERNEL_LOCK_STATIC] = "[kernel data]",
	[AP_KERNEL_LOCK_MMAP] = "mmap_lock",
	[AP_KERNEL_LOCK_SIGNAL] = "siglock",
};

static int kernel_name(struct ap_profile *p, struct ap_symbolizer *s, const struct ap_row *row,
		       uint32_t *ret)
{
	const char *object = objects[AP_ROWS_KERNEL_LOCK_OBJECT(row->kernel_lock)];
	struct ap_symbol symbol = {0};
	int err = 0;

	if (row->lock && s)
		err = ap_symbolizer_kernel_data(s, &row->lock, 1, &symbol);
	if (err < 0)
		return err;
	return ap_profile_string(p, symbol.n ? symbol.levels[0].name : ap_str_of(object), ret);
}

static int kernel_caller(struct ap_profile *p, uint32_t stack, uint32_t *ret)
{
	uint32_t frame = ap_lock_kernel_caller(p, stack);
	const struct ap_frame *f = ap_profile_get_frame(p, frame);

	/* A frame without a name would tell where the kernel lies. */
	*ret = ap_profile_get_function(p, f->function)->name;
	return *ret ? 0 : ap_profile_string(p, AP_STR("[unknown]"), ret);
}

static int find_kernel(struct ap_profile *p, struct ap_symbolizer *s, const struct ap_row *row,
		       uint32_t stack, struct ap_lock_labels *l)
{
	const char *kind = kernel_kinds[AP_ROWS_KERNEL_LOCK_KIND(row->kernel_lock)];
	int err = ap_profile_string(p, AP_STR("kernel"), &l->domain);

	if (err == 0)
		err = ap_profile_string(p, ap_str_of(kind), &l->kind);
	if (err == 0)
		err = kernel_name(p, s, row, &l->lock);
	return err < 0 ? err : kernel_caller(p, stack, &l->caller);
}

int ap_lock_labels_expect(struct ap_symbolizer *s, const struct ap_rows *rows)
{
	_cleanup_free_ uint64_t *addresses = NULL;
	_cleanup_free_ struct ap_symbol *symbols = NULL;
	size_t n = 0;

	AP_VEC_FOREACH(&rows->rows, r)
		n += r->kernel_lock && r->lock;
	if (!s || !n)
		return 0;
	addresses = malloc(n * sizeof(*addresses));
	symbols = malloc(n * sizeof(*symbols));
	if (!addresses || !symbols)
		return -ENOMEM;
	n = 0;
	AP_VEC_FOREACH(&rows->rows, r)
		if (r->kernel_lock && r->lock)
			addresses[n++] = r->lock;
	return ap_symbolizer_kernel_data(s, addresses, n, symbols);
}

int ap_lock_labels_find(struct ap_profile *p, struct ap_symbolizer *s, const struct ap_row *row,
			uint32_t stack, struct ap_lock_labels *ret)
{
	struct ap_lock_labels l = {0};
	char address[24];
	int err = 0;

	if (row->kernel_lock) {
		err = find_kernel(p, s, row, stack, &l);
	} else if (row->lock) {
		snprintf(address, sizeof(address), "0x%llx", (unsigned long long)row->lock);
		err = ap_profile_string(p, ap_str_of(address), &l.lock);
		if (err == 0 && row->event == AP_EVENT_LOCK)
			err = ap_profile_string(p, ap_lock_kind(p, stack), &l.kind);
	}
	if (err == 0)
		*ret = l;
	return err;
}
