/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <fcntl.h>

#include "../test.h"
#include "base/io.h"

/* A folder in a fresh temporary one, removed at the end. */
static void with_folder(void (*test)(const char *dir))
{
	char base[] = "/tmp/aperture-identity-XXXXXX", dir[64], path[96];

	assert_non_null(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/agent", base);
	test(dir);
	snprintf(path, sizeof(path), "%s/identity", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	rmdir(dir);
	assert_int_equal(rmdir(base), 0);
}

static void starts(const char *dir)
{
	struct ap_identity first, second;

	assert_int_equal(ap_identity_open(dir, &first, NULL), 0);
	assert_int_equal(strlen(first.id), 36);
	assert_int_equal(first.id[14], '4');
	assert_int_equal(first.epoch, 1);
	ap_identity_close(&first);
	assert_int_equal(ap_identity_open(dir, &second, NULL), 0);
	assert_string_equal(first.id, second.id);
	assert_int_equal(second.epoch, 2);
	ap_identity_close(&second);
}

static void an_agent_keeps_its_id_and_counts_its_starts(void **state)
{
	with_folder(starts);
}

static void taken(const char *dir)
{
	struct ap_identity first, second;
	struct ap_error err = {0};

	assert_int_equal(ap_identity_open(dir, &first, NULL), 0);
	assert_int_equal(ap_identity_open(dir, &second, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "another aperture-agent uses"));
	ap_identity_close(&first);
	assert_int_equal(ap_identity_open(dir, &second, NULL), 0);
	assert_int_equal(second.epoch, 2);
	ap_identity_close(&second);
}

static void a_folder_serves_one_agent_at_a_time(void **state)
{
	with_folder(taken);
}

static void damaged(const char *dir)
{
	static const char *const texts[] = {
		"",
		"id x\nepoch 1\n",
		"id 0f8fad5b-d9cb-469f-a165-70867728950e\n",
		"id 0f8fad5b-d9cb-469f-a165-70867728950e\nepoch 18446744073709551615\n",
	};
	struct ap_error err = {0};
	struct ap_identity i;
	char path[96];

	assert_int_equal(ap_mkdir_all(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/identity", dir);
	for (size_t k = 0; k < AP_ARRAY_SIZE(texts); k++) {
		assert_int_equal(
			ap_write_file_atomic(path, texts[k], strlen(texts[k]), 0600, false), 0);
		assert_int_equal(ap_identity_open(dir, &i, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "delete it"));
	}
}

static void a_damaged_file_is_not_overwritten(void **state)
{
	with_folder(damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_keeps_its_id_and_counts_its_starts),
		cmocka_unit_test(a_folder_serves_one_agent_at_a_time),
		cmocka_unit_test(a_damaged_file_is_not_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
