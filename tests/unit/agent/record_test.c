/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/record.h"

/* A record with a name, two kernel frames and three user frames, as the BPF program packs it. */
struct sample {
	struct ap_record head;
	struct ap_section comm_section;
	char comm[16];
	uint32_t pad;
	struct ap_section kernel_section;
	uint32_t kernel[4];
	uint32_t pad2;
	struct ap_section user_section;
	uint32_t user[6];
	uint32_t pad3;
};

static struct sample make(void)
{
	struct sample s = {
		.head = {.type = AP_RECORD_CPU,
			 .n_sections = 3,
			 .size = sizeof(s),
			 .time = 7,
			 .tgid = 42},
		.comm_section = {AP_SECTION_COMM, 16},
		.comm = "worker",
		.kernel_section = {AP_SECTION_KERNEL_STACK, 16},
		.kernel = {1, 0, 2, 0},
		.user_section = {AP_SECTION_USER_STACK, 24},
		.user = {3, 0, 4, 0, 5, 0},
	};

	return s;
}

static void takes_a_record_apart(void **state)
{
	struct sample s = make();
	struct ap_record_view v;

	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), 0);
	assert_string_equal(v.comm, "worker");
	assert_int_equal(v.n_kernel, 2);
	assert_int_equal(v.n_user, 3);
	assert_int_equal(ap_record_address(v.kernel, 1), 2);
	assert_int_equal(ap_record_address(v.user, 2), 5);
	assert_int_equal(v.head.tgid, 42);
}

static void skips_sections_that_it_does_not_know(void **state)
{
	struct sample s = make();
	struct ap_record_view v;

	s.kernel_section.kind = 999;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), 0);
	assert_int_equal(v.n_kernel, 0);
	assert_int_equal(v.n_user, 3);
}

static void refuses_every_length_that_does_not_fit(void **state)
{
	struct sample s = make();
	struct ap_record_view v;

	/* Cut anywhere, in a copy of just that size, so that reading past it is seen. */
	for (size_t n = 0; n < sizeof(s); n++) {
		void *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, &s, n);
		assert_int_equal(ap_record_parse(copy, n, &v), -EINVAL);
		if (n >= sizeof(s.head)) {
			((struct ap_record *)copy)->size = (uint32_t)n;
			if (n <= offsetof(struct sample, user) + 23)
				assert_int_equal(ap_record_parse(copy, n, &v), -EINVAL);
		}
		free(copy);
	}
	s.head.size = 8;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s = make();
	s.user_section.bytes = 23;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s = make();
	s.user_section.bytes = 65528;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s = make();
	s.comm_section.bytes = 8;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s = make();
	s.head.n_sections = 65535;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s = make();
	s.head.reason = AP_REASONS_MAX;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
}

struct kernel_lock_record {
	struct ap_record head;
	struct ap_section section;
	struct ap_kernel_lock lock;
	uint32_t pad;
} __attribute__((packed));

static void reads_waits_for_locks_of_the_kernel(void **state)
{
	struct kernel_lock_record s = {
		.head = {.type = AP_RECORD_KERNEL_LOCK, .n_sections = 1, .size = sizeof(s)},
		.section = {AP_SECTION_KERNEL_LOCK, sizeof(s.lock)},
		.lock = {.address = 0x1000,
			 .kind = AP_KERNEL_RWSEM_WRITE,
			 .object = AP_KERNEL_LOCK_STATIC},
	};
	struct ap_record_view v;

	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), 0);
	assert_int_equal(v.kernel_lock.address, 0x1000);
	assert_int_equal(v.kernel_lock.kind, AP_KERNEL_RWSEM_WRITE);
	assert_int_equal(ap_record_count(&v), 1);
	s.head.flags = AP_RECORD_F_GOES_ON;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), 0);
	assert_int_equal(ap_record_count(&v), 0);
	s.lock.kind = AP_KERNEL_LOCK_KINDS;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s.lock.kind = 0;
	s.lock.object = AP_KERNEL_LOCK_OBJECTS;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
	s.lock.object = 0;
	s.section.bytes--;
	assert_int_equal(ap_record_parse(&s, sizeof(s), &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_record_apart),
		cmocka_unit_test(skips_sections_that_it_does_not_know),
		cmocka_unit_test(reads_waits_for_locks_of_the_kernel),
		cmocka_unit_test(refuses_every_length_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
