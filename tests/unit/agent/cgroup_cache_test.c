/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"

static char root[64], sub[128];

static uint64_t number_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static int make_folders(void **state)
{
	strcpy(root, "/tmp/aperture-cgroup-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(sub, sizeof(sub), "%s/a.service", root);
	assert_int_equal(mkdir(sub, 0700), 0);
	return 0;
}

static int remove_folders(void **state)
{
	return rmdir(sub) < 0 || rmdir(root) < 0;
}

static void an_id_is_read_once(void **state)
{
	_cleanup_(ap_cleanup_cgroup_cache) struct ap_cgroup_cache *c = ap_cgroup_cache_new(root);
	uint64_t id = number_of(sub), top = number_of(root);

	assert_null(ap_cgroup_cache_get(c, id));
	ap_cgroup_cache_put(c, id, "0::/a.service\n");
	assert_string_equal(ap_cgroup_cache_get(c, id), "0::/a.service\n");
	ap_cgroup_cache_put(c, top, "0::/\n");
	assert_string_equal(ap_cgroup_cache_get(c, top), "0::/\n");
}

static void only_what_the_id_decides_is_kept(void **state)
{
	_cleanup_(ap_cleanup_cgroup_cache) struct ap_cgroup_cache *c = ap_cgroup_cache_new(root);
	uint64_t id = number_of(sub);

	ap_cgroup_cache_put(c, id, "0::/\n"); /* moved meanwhile */
	ap_cgroup_cache_put(c, id, "0::/b.service\n");
	ap_cgroup_cache_put(c, id, "4:memory:/x\n0::/a.service\n");
	ap_cgroup_cache_put(c, id, "0::/a.service\n1:name=systemd:/\n");
	ap_cgroup_cache_put(c, id, "0::/a.service");
	ap_cgroup_cache_put(c, 0, "0::/a.service\n");
	assert_null(ap_cgroup_cache_get(c, id));
	assert_null(ap_cgroup_cache_get(c, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_id_is_read_once, make_folders, remove_folders),
		cmocka_unit_test_setup_teardown(only_what_the_id_decides_is_kept, make_folders,
						remove_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
