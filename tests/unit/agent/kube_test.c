/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kube.h"

#include <stdio.h>
#include <unistd.h>

#include "../test.h"
#include "base/clock.h"

#define ID  "3f4a8a1c2b5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
#define ID2 "9e8d7c6b5a49382716051423324150695a7b8c9d0e1f2031425364758697a8b9"

static void put_link(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(symlink("/var/log/pods/x/y/0.log", path), 0);
}

static void take_link(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void names_containers_by_their_logs(void **state)
{
	char dir[] = "/tmp/aperture-kube-XXXXXX";
	_cleanup_(ap_cleanup_kube_names) struct ap_kube_names *k = NULL;
	struct ap_kube_name n;

	assert_non_null(mkdtemp(dir));
	k = ap_kube_names_new(dir);
	put_link(dir, "cart-7d4b9c6f5-x2x9z_shop_web-server-" ID ".log");
	put_link(dir, "nonsense.log");
	put_link(dir, "a_b.log");
	put_link(dir, "a_b_c-123.log");
	assert_int_equal(ap_kube_names_find(k, AP_STR(ID), 1, &n), 0);
	assert_true(ap_str_is(n.pod, "cart-7d4b9c6f5-x2x9z"));
	assert_true(ap_str_is(n.ns, "shop"));
	assert_true(ap_str_is(n.container, "web-server"));
	assert_int_equal(ap_kube_names_find(k, AP_STR("123"), 2, &n), -ENOENT);

	/* A container started since is found, but the folder is not read for each question. */
	put_link(dir, "db-0_shop_postgres-" ID2 ".log");
	assert_int_equal(ap_kube_names_find(k, AP_STR(ID2), 3, &n), -ENOENT);
	assert_int_equal(ap_kube_names_find(k, AP_STR(ID2), 3 + AP_NSEC_PER_SEC, &n), 0);
	assert_true(ap_str_is(n.pod, "db-0"));
	take_link(dir, "cart-7d4b9c6f5-x2x9z_shop_web-server-" ID ".log");
	take_link(dir, "db-0_shop_postgres-" ID2 ".log");
	take_link(dir, "nonsense.log");
	take_link(dir, "a_b.log");
	take_link(dir, "a_b_c-123.log");
	assert_int_equal(rmdir(dir), 0);
}

static void a_missing_folder_is_no_error(void **state)
{
	_cleanup_(ap_cleanup_kube_names) struct ap_kube_names *k =
		ap_kube_names_new("/nonexistent/containers");
	struct ap_kube_name n;

	assert_int_equal(ap_kube_names_find(k, AP_STR(ID), 1, &n), -ENOENT);
}

static void finds_the_workload_of_a_pod(void **state)
{
	static const struct {
		const char *pod, *workload;
	} rows[] = {
		{"cart-7d4b9c6f5-x2x9z", "cart"},
		{"coredns-5d78c9869d-4vtbc", "coredns"},
		{"metrics-server-v1-6d94bc8694-5jxgm", "metrics-server-v1"},
		{"node-exporter-x2x9z", "node-exporter"},
		{"kube-proxy-8wlmf", "kube-proxy"},
		{"postgres-0", "postgres"},
		{"postgres-12", "postgres"},
		{"backup-28391040-t7kqx", "backup"},
		{"migrate-zs4nd", "migrate"},
		{"etcd-node1.example.org", "etcd"},
		{"kube-apiserver-node1.example.org", "kube-apiserver"},
		{"my-proxy", "my-proxy"},
		{"single", "single"},
		{"-0", "-0"},
		{"", ""},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
		struct ap_str got =
			ap_kube_workload(ap_str_of(rows[i].pod), AP_STR("node1.example.org"));

		if (!ap_str_is(got, rows[i].workload))
			fail_msg("%s gives %.*s", rows[i].pod, AP_STR_ARG(got));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_containers_by_their_logs),
		cmocka_unit_test(a_missing_folder_is_no_error),
		cmocka_unit_test(finds_the_workload_of_a_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
