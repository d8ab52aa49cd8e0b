/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rows_builder.h"

#include <stdio.h>

#include "agent/lock_place.h"
#include "base/clock.h"
#include "profile/profile.h"

#define STACK_BYTES_MAX                                                          \
	(sizeof(struct ap_raw_stack) + AP_KERNEL_FRAMES_MAX * sizeof(uint64_t) + \
	 AP_USER_FRAMES_MAX * sizeof(struct ap_raw_frame))

#define WAIT_SECONDS_MAX 3600 /* rows of one wait; more can come of a clock that jumped only */

/* What makes two samples one row; interned, its id is the row's index plus 1. */
struct row_key {
	int64_t time_ns;
	uint32_t process, comm, tid, stack, event, state;
	uint64_t lock;
	uint32_t other, kernel_lock;
};

struct ap_rows_builder {
	struct ap_tables *tables;
	struct ap_rows *rows;
	struct ap_intern *keys;
	struct ap_intern *locks; /* struct lock_key; the ids are those of the rows' places */
	bool exact_time;
	uint32_t max_rows;
	uint64_t serial; /* of this collection: marks processes and files that it has already */
	uint8_t stack[STACK_BYTES_MAX] __attribute__((aligned(8)));
};

struct lock_key {
	uint64_t address;
	uint32_t process, pad;
};

_Static_assert(sizeof(struct row_key) == 48, "no padding: interned as bytes");
_Static_assert(sizeof(struct lock_key) == 16, "no padding: interned as bytes");

static int begin(struct ap_rows_builder *b)
{
	struct ap_rows *rows = ap_rows_new();
	struct ap_intern *keys = ap_intern_new(), *locks = ap_intern_new();

	if (!rows || !keys || !locks) {
		ap_rows_free(rows);
		ap_intern_free(keys);
		ap_intern_free(locks);
		return -ENOMEM;
	}
	rows->start_ns = b->rows ? b->rows->end_ns : ap_clock_unix_ns();
	ap_intern_free(b->keys);
	ap_intern_free(b->locks);
	b->keys = keys;
	b->locks = locks;
	b->rows = rows;
	b->serial++;
	return 0;
}

struct ap_rows_builder *ap_rows_builder_new(struct ap_tables *tables, bool exact_time,
					    uint32_t max_rows)
{
	struct ap_rows_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->tables = tables;
	b->exact_time = exact_time;
	b->max_rows = max_rows;
	if (begin(b) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

void ap_rows_builder_free(struct ap_rows_builder *b)
{
	if (!b)
		return;
	ap_rows_free(b->rows);
	ap_intern_free(b->keys);
	ap_intern_free(b->locks);
	free(b);
}

static int add_string(struct ap_rows_builder *b, const char *s, size_t n, uint32_t *ret)
{
	return ap_intern_add(b->rows->strings, (struct ap_str){s, s ? n : 0}, ret, NULL);
}

static int add_text(struct ap_rows_builder *b, const char *s, uint32_t *ret)
{
	return add_string(b, s, s ? strlen(s) : 0, ret);
}

static int add_file(struct ap_rows_builder *b, const struct ap_process *p, struct ap_file *f,
		    uint32_t *ret)
{
	struct ap_rows_file rf = {.fd = f->fd, .pid = (uint32_t)p->pid, .serial = f->serial};
	char hex[2 * AP_ELF_BUILD_ID_MAX + 1] = "";

	if (f->rows_serial == b->serial) {
		*ret = f->rows_id;
		return 0;
	}
	for (uint32_t i = 0; i < f->map.build_id_bytes; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", f->map.build_id[i]);
	if (add_text(b, f->path, &rf.path) < 0 || add_text(b, hex, &rf.build_id) < 0 ||
	    ap_vec_reserve(&b->rows->held, (size_t)1) < 0 || ap_vec_push(&b->rows->files, rf) < 0)
		return -ENOMEM;
	ap_vec_push(&b->rows->held, ap_file_pin(f));
	f->rows_serial = b->serial;
	f->rows_id = (uint32_t)b->rows->files.n - 1;
	*ret = f->rows_id;
	return 0;
}

/* Names change with exec() and are learned late: the entry is refreshed where that happened. */
static int add_process(struct ap_rows_builder *b, struct ap_process *p)
{
	struct ap_rows_process rp = {.serial = p->serial,
				     .start_time = p->start_time,
				     .pid = p->pid,
				     .runtime = p->runtime,
				     .kernel = p->kernel};

	if (p->rows_serial == b->serial && !p->changed)
		return 0;
	if (add_string(b, p->comm, strnlen(p->comm, sizeof(p->comm)), &rp.comm) < 0 ||
	    add_text(b, p->exe, &rp.exe) < 0 || add_text(b, p->cgroup, &rp.cgroup) < 0 ||
	    add_text(b, p->group_exe, &rp.group_exe) < 0 ||
	    (p->exe_file && add_file(b, p, p->exe_file, &rp.exe_file) < 0))
		return -ENOMEM;
	if (p->rows_serial == b->serial) {
		b->rows->processes.p[p->rows_id] = rp;
	} else {
		if (ap_vec_push(&b->rows->processes, rp) < 0)
			return -ENOMEM;
		p->rows_serial = b->serial;
		p->rows_id = (uint32_t)b->rows->processes.n - 1;
	}
	p->changed = false;
	return 0;
}

static int resolve_in_file(struct ap_rows_builder *b, const struct ap_process *p, struct ap_file *f,
			   uint64_t offset, struct ap_raw_frame *ret)
{
	ret->address = ap_elf_map_vaddr(&f->map, offset);
	return add_file(b, p, f, &ret->file);
}

/* Resolves the user frames into `out`: those whose file the walker knew by its number, addresses by
 * what the process maps. An address outside all code is no frame: a chain of saved registers that
 * leads there ended one frame earlier. Returns the number of frames or -ENOMEM. */
static int resolve(struct ap_rows_builder *b, struct ap_process *p, const struct ap_record_view *v,
		   struct ap_raw_stack *raw, struct ap_raw_frame *out)
{
	uint32_t n;

	for (n = 0; n < v->n_user; n++) {
		uint64_t address = ap_record_address(v->user, n);
		const struct ap_map_range *range;
		struct ap_file *f;

		out[n] = (struct ap_raw_frame){.address = address};
		if (address & AP_FRAME_FILE) {
			out[n].address = address & AP_FRAME_OFFSET_MASK;
			f = ap_tables_use(b->tables, AP_FRAME_FILE_OF(address), v->head.time);
			/* Of a number that was taken back no more can be said. */
			if (f && resolve_in_file(b, p, f, out[n].address, &out[n]) < 0)
				return -ENOMEM;
			continue;
		}
		range = ap_maps_find(&p->maps, address);
		if (range && range->file) {
			if (resolve_in_file(b, p, range->file,
					    address - range->start + range->pgoff, &out[n]) < 0)
				return -ENOMEM;
			continue;
		}
		if (!range && n > 0 && p->maps.ranges.n) {
			raw->reason = AP_REASON_NO_FRAME_POINTER;
			break;
		}
		raw->process = p->rows_id;
		if (range)
			out[n].file = AP_ROWS_JIT;
		if (!range && raw->reason == AP_REASON_OK)
			raw->reason = AP_REASON_NO_MAPPING;
	}
	return (int)n;
}

static int add_stack(struct ap_rows_builder *b, struct ap_process *p,
		     const struct ap_record_view *v, uint16_t *ret_reason, uint32_t *ret)
{
	struct ap_raw_stack *raw = (void *)b->stack;
	uint64_t *kernel = (void *)(raw + 1);
	struct ap_raw_frame *user = (void *)(kernel + v->n_kernel);
	size_t bytes;
	int n;

	*raw = (struct ap_raw_stack){
		.reason =
			v->head.type == AP_RECORD_WAIT_SUMS ? AP_REASON_SHORT_WAIT : v->head.reason,
		.flags = v->head.flags & (AP_RECORD_F_KSTACK_CUT | AP_RECORD_F_TRACED),
		.n_kernel = v->n_kernel,
		.process = AP_ROWS_NONE};
	for (uint32_t i = 0; i < v->n_kernel; i++)
		kernel[i] = ap_record_address(v->kernel, i) - (i > 0);
	n = resolve(b, p, v, raw, user);
	if (n < 0)
		return n;
	raw->n_user = (uint32_t)n;
	bytes = (size_t)((uint8_t *)(user + n) - b->stack);
	*ret_reason = raw->reason;
	return ap_intern_add(b->rows->stacks, (struct ap_str){(const char *)b->stack, bytes}, ret,
			     NULL);
}

/* Where a lock lies; looked for once in a collection. */
static int add_place(struct ap_rows_builder *b, struct ap_process *p, uint64_t address,
		     uint64_t now)
{
	struct lock_key key = {.address = address, .process = p->rows_id};
	struct ap_rows_place place = {0};
	struct ap_lock_place found;
	uint32_t id;
	bool is_new;

	if (ap_vec_reserve(&b->rows->places, (size_t)1) < 0 ||
	    ap_intern_add(b->locks, (struct ap_str){(const char *)&key, sizeof(key)}, &id,
			  &is_new) < 0)
		return -ENOMEM;
	if (!is_new)
		return 0;
	if (ap_lock_place_find(p, address, now, b->serial, &found) == 0) {
		place.offset = found.offset;
		place.whole = found.whole;
		if ((found.file && add_file(b, p, found.file, &place.file) < 0) ||
		    add_text(b, found.name, &place.name) < 0)
			place = (struct ap_rows_place){0};
	}
	ap_vec_push(&b->rows->places, place);
	return 0;
}

static uint32_t place_of(const struct ap_rows_builder *b, const struct row_key *key)
{
	struct lock_key lock = {.address = key->lock, .process = key->process};
	uint32_t id;

	if (!key->lock ||
	    ap_intern_find(b->locks, (struct ap_str){(const char *)&lock, sizeof(lock)}, &id) < 0)
		return 0;
	return id;
}

/* Adds to the row of that key, which is a new one perhaps. */
static int add_row(struct ap_rows_builder *b, const struct row_key *key, uint64_t count,
		   uint64_t value)
{
	struct ap_str bytes = {(const char *)key, sizeof(*key)};
	struct ap_row row = {.time_ns = key->time_ns,
			     .process = key->process,
			     .comm = key->comm,
			     .tid = key->tid,
			     .stack = key->stack,
			     .event = key->event,
			     .state = key->state,
			     .lock = key->lock,
			     .other = key->other,
			     .kernel_lock = key->kernel_lock,
			     .place = place_of(b, key)};
	uint32_t id;
	bool is_new = false;

	if (b->rows->rows.n >= b->max_rows) {
		if (ap_intern_find(b->keys, bytes, &id) < 0)
			return -ENOSPC;
	} else if (ap_vec_reserve(&b->rows->rows, (size_t)1) < 0 ||
		   ap_intern_add(b->keys, bytes, &id, &is_new) < 0) {
		return -ENOMEM;
	}
	if (is_new)
		ap_vec_push(&b->rows->rows, row);
	b->rows->rows.p[id - 1].count += count;
	b->rows->rows.p[id - 1].value += value;
	return 0;
}

/* A wait or a call is spread over the seconds in which it took place, and counts in the last. */
static int add_wait(struct ap_rows_builder *b, struct row_key *key, int64_t end, uint64_t value,
		    uint64_t count)
{
	int64_t second = (int64_t)AP_NSEC_PER_SEC;
	int r = 0;

	for (int i = 0; r == 0 && (value || i == 0); i++) {
		int64_t from = end - 1 - (end - 1) % second;
		uint64_t part = AP_MIN(value, (uint64_t)(end - from));

		if (i == WAIT_SECONDS_MAX)
			part = value;
		key->time_ns = from;
		r = add_row(b, key, i == 0 ? count : 0, part);
		value -= part;
		end = from;
	}
	return r;
}

/* One with a stack of its own. */
static int add_call(struct ap_rows_builder *b, struct row_key *key, const struct ap_record_view *v,
		    int64_t unix_ns)
{
	char name[AP_SYSCALL_NAME_BYTES];

	ap_syscall_text(v->syscall.abi, v->syscall.number, name);
	key->event = AP_EVENT_SYSCALL;
	key->state = v->syscall.error;
	if (add_text(b, name, &key->other) < 0)
		return -ENOMEM;
	return b->exact_time ? add_row(b, key, 1, v->head.value)
			     : add_wait(b, key, unix_ns, v->head.value, 1);
}

/* The waits under the threshold have neither stacks nor times of their own. */
static int add_sums(struct ap_rows_builder *b, struct row_key *key, const struct ap_record_view *v)
{
	const struct ap_wait_sums *sums = &v->sums;
	int r = 0;

	key->event = AP_EVENT_OFFCPU;
	for (uint32_t i = 0; v->head.flags & AP_RECORD_F_OFFCPU && r == 0 && i < AP_WAIT_STATES;
	     i++) {
		key->state = i;
		if (sums->count[i])
			r = add_row(b, key, sums->count[i], sums->ns[i]);
	}
	key->state = 0;
	key->event = AP_EVENT_LOCK;
	if (v->head.flags & AP_RECORD_F_LOCK && r == 0 && sums->count[AP_WAIT_LOCK])
		r = add_row(b, key, sums->count[AP_WAIT_LOCK], sums->ns[AP_WAIT_LOCK]);
	return r;
}

/* A wait is time off the CPU, or one for a lock, or both. */
static int add_waits(struct ap_rows_builder *b, struct row_key *key, const struct ap_record_view *v,
		     int64_t unix_ns)
{
	uint64_t count = !(v->head.flags & AP_RECORD_F_GOES_ON);
	struct row_key lock = *key;
	int r = 0;

	key->event = AP_EVENT_OFFCPU;
	key->state = v->wait.state;
	key->lock = 0;
	if (!(v->head.flags & AP_RECORD_F_WAKERS))
		key->other = 0;
	if (v->head.flags & AP_RECORD_F_OFFCPU)
		r = b->exact_time ? add_row(b, key, count, v->head.value)
				  : add_wait(b, key, unix_ns, v->head.value, count);
	lock.event = AP_EVENT_LOCK;
	lock.state = v->wait.end;
	if (r < 0 || !v->has_lock)
		return r;
	return b->exact_time ? add_row(b, &lock, count, v->head.value)
			     : add_wait(b, &lock, unix_ns, v->head.value, count);
}

static int add_kernel_lock(struct ap_rows_builder *b, struct row_key *key,
			   const struct ap_record_view *v, int64_t unix_ns)
{
	key->event = AP_EVENT_LOCK;
	key->lock = v->kernel_lock.address;
	key->kernel_lock = AP_ROWS_KERNEL_LOCK(v->kernel_lock.kind, v->kernel_lock.object);
	/* Short ones have no times of their own. */
	if (b->exact_time || v->head.reason == AP_REASON_SHORT_WAIT)
		return add_row(b, key, v->waits, v->head.value);
	return add_wait(b, key, unix_ns, v->head.value, v->waits);
}

int ap_rows_builder_add(struct ap_rows_builder *b, struct ap_process *process, int64_t unix_ns,
			const struct ap_record_view *v, uint16_t *ret_reason)
{
	int64_t second = (int64_t)AP_NSEC_PER_SEC;
	struct row_key key = {.time_ns = b->exact_time ? unix_ns : unix_ns - unix_ns % second,
			      .tid = b->exact_time ? v->head.tid : 0,
			      .event = AP_EVENT_CPU};

	if (add_process(b, process) < 0 || add_stack(b, process, v, ret_reason, &key.stack) < 0 ||
	    add_string(b, v->comm, strnlen(v->comm, AP_COMM_BYTES), &key.comm) < 0)
		return -ENOMEM;
	key.process = process->rows_id;
	if (v->head.type == AP_RECORD_WAIT_SUMS)
		return add_sums(b, &key, v);
	if (add_string(b, v->lock.comm, strnlen(v->lock.comm, AP_COMM_BYTES), &key.other) < 0)
		return -ENOMEM;
	if (v->has_lock)
		key.lock = v->lock.address;
	if (key.lock && add_place(b, process, key.lock, v->head.time) < 0)
		return -ENOMEM;
	if (v->head.type == AP_RECORD_SYSCALL)
		return add_call(b, &key, v, unix_ns);
	if (v->head.type == AP_RECORD_OFFCPU)
		return add_waits(b, &key, v, unix_ns);
	if (v->head.type == AP_RECORD_KERNEL_LOCK)
		return add_kernel_lock(b, &key, v, unix_ns);
	if (v->head.type == AP_RECORD_WAKER) {
		key.event = AP_EVENT_WAKER;
		key.state = v->wait.state;
	}
	return add_row(b, &key, 1, v->head.value);
}

int ap_rows_builder_add_syscall(struct ap_rows_builder *b, struct ap_process *process,
				const struct ap_rows_syscall *s)
{
	struct ap_rows_syscall copy = *s;

	copy.stat = (struct ap_syscall_stat){0};
	if (add_process(b, process) < 0 || ap_syscall_stat_add(&copy.stat, &s->stat) < 0)
		goto fail;
	copy.process = process->rows_id;
	if (ap_vec_push(&b->rows->syscalls, copy) == 0)
		return 0;
fail:
	ap_syscall_stat_free(&copy.stat);
	return -ENOMEM;
}

struct ap_rows *ap_rows_builder_take(struct ap_rows_builder *b, struct ap_process_table *processes)
{
	struct ap_rows *rows = b->rows;

	/* What became known after a process's last sample: one sampled only while it did its exec()
	 * has its executable now. */
	for (size_t i = 0; i < rows->processes.n; i++) {
		struct ap_process *p = ap_process_table_find(processes, rows->processes.p[i].pid);

		if (!p || p->serial != rows->processes.p[i].serial)
			continue;
		add_process(b, p);
		rows->processes.p[i].alive = !p->exited;
	}
	rows->end_ns = ap_clock_unix_ns();
	rows->start_ns = AP_MIN(rows->start_ns, rows->end_ns); /* the wall clock was set back */
	return begin(b) < 0 ? NULL : rows;
}
