/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/sideband.h"

#include <linux/perf_event.h>

/* Records as perf_event_open(2) lays them out, ending in their time. */
struct mmap_record {
	struct perf_event_header h;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint8_t id[24];
	uint32_t prot, flags;
	char path[16];
	uint64_t time;
};
struct task_record {
	struct perf_event_header h;
	uint32_t pid, ppid, tid, ptid;
	uint64_t when;
	uint64_t time;
};
struct comm_record {
	struct perf_event_header h;
	uint32_t pid, tid;
	char comm[16];
	uint64_t time;
};

static struct mmap_record make_mmap(void)
{
	struct mmap_record r = {.h = {PERF_RECORD_MMAP2, 1 << 14, sizeof(r)},
				.pid = 10,
				.tid = 11,
				.addr = 0x1000,
				.len = 0x2000,
				.pgoff = 0x3000,
				.id = {20, 0, 0, 0, 0xab, 0xcd},
				.path = "/usr/bin/true",
				.time = 99};

	return r;
}

static void reads_mappings(void **state)
{
	struct mmap_record r = make_mmap();
	struct ap_sideband_event e;

	assert_int_equal(ap_sideband_parse(&r, sizeof(r), &e), 0);
	assert_int_equal(e.kind, AP_SIDEBAND_MMAP);
	assert_int_equal(e.pid, 10);
	assert_int_equal(e.start, 0x1000);
	assert_int_equal(e.end, 0x3000);
	assert_int_equal(e.pgoff, 0x3000);
	assert_int_equal(e.time, 99);
	assert_int_equal(e.build_id_bytes, 20);
	assert_int_equal(e.build_id[1], 0xcd);
	assert_true(ap_str_is(e.text, "/usr/bin/true"));

	/* Without a build id the same bytes are the device and inode. */
	r.h.misc = 0;
	memset(r.id, 0, sizeof(r.id));
	r.id[0] = 8;
	r.id[4] = 1;
	r.id[8] = 77;
	assert_int_equal(ap_sideband_parse(&r, sizeof(r), &e), 0);
	assert_int_equal(e.build_id_bytes, 0);
	assert_int_equal(e.dev, (8ull << 32) | 1);
	assert_int_equal(e.inode, 77);
}

static void reads_tasks_and_names(void **state)
{
	struct task_record t = {.h = {PERF_RECORD_FORK, 0, sizeof(t)},
				.pid = 5,
				.ppid = 4,
				.tid = 5,
				.ptid = 4,
				.time = 1};
	struct comm_record c = {.h = {PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, sizeof(c)},
				.pid = 5,
				.tid = 5,
				.comm = "true",
				.time = 2};
	struct ap_sideband_event e;

	assert_int_equal(ap_sideband_parse(&t, sizeof(t), &e), 0);
	assert_int_equal(e.kind, AP_SIDEBAND_FORK);
	assert_int_equal(e.ppid, 4);
	t.h.type = PERF_RECORD_EXIT;
	assert_int_equal(ap_sideband_parse(&t, sizeof(t), &e), 0);
	assert_int_equal(e.kind, AP_SIDEBAND_EXIT);
	assert_int_equal(ap_sideband_parse(&c, sizeof(c), &e), 0);
	assert_int_equal(e.kind, AP_SIDEBAND_EXEC);
	assert_true(ap_str_is(e.text, "true"));
	c.h.misc = 0;
	assert_int_equal(ap_sideband_parse(&c, sizeof(c), &e), 0);
	assert_int_equal(e.kind, AP_SIDEBAND_COMM);
	c.h.type = PERF_RECORD_THROTTLE;
	assert_int_equal(ap_sideband_parse(&c, sizeof(c), &e), -ENOMSG);
}

static void refuses_what_is_cut_or_inconsistent(void **state)
{
	struct mmap_record r = make_mmap();
	struct ap_sideband_event e;

	for (size_t n = 0; n < offsetof(struct mmap_record, path) + 8; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		uint16_t size = (uint16_t)n;

		assert_non_null(copy);
		memcpy(copy, &r, n);
		if (n >= sizeof(r.h))
			memcpy(copy + offsetof(struct perf_event_header, size), &size,
			       sizeof(size));
		assert_int_equal(ap_sideband_parse(copy, n, &e), -EINVAL);
		free(copy);
	}
	assert_int_equal(ap_sideband_parse(&r, sizeof(r) - 8, &e), -EINVAL); /* size lies */
	r.id[0] = 21;
	assert_int_equal(ap_sideband_parse(&r, sizeof(r), &e), -EINVAL);
	r = make_mmap();
	r.addr = UINT64_MAX;
	assert_int_equal(ap_sideband_parse(&r, sizeof(r), &e), -EINVAL);
	/* A path without its NUL ends with the record. */
	r = make_mmap();
	memset(r.path, 'x', sizeof(r.path));
	assert_int_equal(ap_sideband_parse(&r, sizeof(r), &e), 0);
	assert_int_equal(e.text.n, sizeof(r.path));
}

static void keeps_the_rest_of_a_batch(void **state)
{
	struct ap_sideband_batch b = {0};
	char name[16] = "second";

	for (int i = 0; i < 3; i++) {
		struct ap_sideband_event e = {.time = (uint64_t)i};

		e.text.p = ap_arena_strdup(&b.text, i == 1 ? ap_str_of(name) : AP_STR("x"));
		e.text.n = strlen(e.text.p);
		assert_int_equal(ap_vec_push(&b.events, e), 0);
	}
	ap_sideband_batch_consume(&b, 1);
	assert_int_equal(b.events.n, 2);
	assert_true(ap_str_is(b.events.p[0].text, "second"));
	ap_sideband_batch_consume(&b, 2);
	assert_int_equal(b.events.n, 0);
	assert_int_equal(b.text.used, 0);
	ap_sideband_batch_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_mappings),
		cmocka_unit_test(reads_tasks_and_names),
		cmocka_unit_test(refuses_what_is_cut_or_inconsistent),
		cmocka_unit_test(keeps_the_rest_of_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
