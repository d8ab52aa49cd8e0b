/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/labels.h"

#include <unistd.h>

#include "../test.h"
#include "base/io.h"

#define ID "3f4a8a1c2b5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"

struct row {
	const char *cgroup, *leader, *exe, *comm;
	const char *service, *container, *unit;
};

static const struct row rows[] = {
	{"0::/system.slice/nginx.service\n", "/usr/sbin/nginx", "/usr/sbin/nginx", "nginx", "nginx",
	 "", "nginx.service"},
	{"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
	 "/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/postgres", "postgres",
	 "postgresql@15-main", "", "postgresql@15-main.service"},
	{"0::/system.slice/my\\x2dapp.service\n", "", "", "x", "my-app", "", "my\\x2dapp.service"},
	/* Nothing that a restart would change. */
	{"0::/system.slice/sshd@3-10.0.0.1:22-10.0.0.2:50044.service\n", "/usr/sbin/sshd", "", "",
	 "sshd", "", "sshd@3-10.0.0.1:22-10.0.0.2:50044.service"},
	{"0::/system.slice/systemd-coredump@0-4242-0.service\n", "/usr/lib/x", "", "",
	 "systemd-coredump", "", "systemd-coredump@0-4242-0.service"},
	{"0::/system.slice/run-u12.service\n", "/usr/bin/stress", "/usr/bin/stress", "stress",
	 "stress", "", "run-u12.service"},
	{"0::/system.slice/run-r0f3a77aa55ee4d31.service\n", "", "/usr/bin/job", "job", "job", "",
	 "run-r0f3a77aa55ee4d31.service"},
	{"0::/system.slice/redis@6379.service\n", "/usr/bin/redis", "", "", "redis@6379", "",
	 "redis@6379.service"},
	{"0::/user.slice/user-1000.slice/session-3.scope\n", "/usr/bin/make", "/usr/bin/gcc", "cc1",
	 "make", "", "session-3.scope"},
	{"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
	 "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd", "systemd", "systemd", "",
	 "init.scope"},
	{"0::/\n", "", "/opt/app/server", "Server-3", "server", "", ""},
	{"", "", "", "lone", "lone", "", ""},
	{"", "", "", "", "unknown", "", ""},
	/* Containers without a name: the program, not the id and not the engine's unit. */
	{"0::/system.slice/docker-" ID ".scope\n", "/usr/bin/redis-server", "/usr/bin/redis-server",
	 "redis-server", "redis-server", "3f4a8a1c2b5d", ""},
	{"0::/system.slice/containerd.service/kubepods-burstable-pod6e3d9b4a_1f2e_4c5d_8a7b_"
	 "0c1d2e3f4a5b.slice:cri-containerd:" ID "\n",
	 "", "/pause", "pause", "pause", "3f4a8a1c2b5d", "containerd.service"},
	{"0::/lxc.payload.web/system.slice/cron.service\n", "/usr/sbin/cron", "", "cron", "web",
	 "web", ""},
	{"0::/machine.slice/machine-debian\\x2dtest.scope/payload\n", "/usr/bin/sh", "", "sh",
	 "debian-test", "debian-test", ""},
};

static void check(const char *text, const char *what, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s is '%s', not '%s'", text, what, got, want);
}

static void names_services(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct ap_service_facts f = {.cgroup = ap_str_of(r->cgroup),
					     .leader_exe = ap_str_of(r->leader),
					     .exe = ap_str_of(r->exe),
					     .comm = ap_str_of(r->comm)};
		struct ap_process_labels l;

		assert_int_equal(ap_process_labels_find(&f, &l), 0);
		check(r->cgroup, "service", l.service, r->service);
		check(r->cgroup, "container", l.container, r->container);
		check(r->cgroup, "unit", l.unit, r->unit);
		ap_process_labels_free(&l);
	}
}

static void the_users_word_goes_first(void **state)
{
	struct ap_service_facts f = {.override = AP_STR("checkout"),
				     .cgroup = AP_STR("0::/system.slice/nginx.service\n")};
	struct ap_process_labels l;

	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "checkout");
	assert_string_equal(l.unit, "nginx.service");
	ap_process_labels_free(&l);
}

static void kernel_threads_are_one_service(void **state)
{
	struct ap_service_facts f = {
		.kernel = true, .comm = AP_STR("kworker/3:1H"), .cgroup = AP_STR("0::/\n")};
	struct ap_process_labels l;

	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "kernel");
	ap_process_labels_free(&l);
}

static void pods_are_named_by_their_workload(void **state)
{
	char dir[] = "/tmp/aperture-kube-XXXXXX", path[512];
	_cleanup_(ap_cleanup_kube_names) struct ap_kube_names *k = NULL;
	struct ap_service_facts f = {.cgroup = AP_STR("0::/kubepods/burstable/"
						      "pod6e3d9b4a-1f2e-4c5d-8a7b-0c1d2e3f4a5b/" ID
						      "\n"),
				     .exe = AP_STR("/usr/bin/java")};
	struct ap_process_labels l;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cart-7d4b9c6f5-x2x9z_shop_web-" ID ".log", dir);
	assert_int_equal(symlink("/x", path), 0);
	f.kube = k = ap_kube_names_new(dir);
	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "shop/cart/web");
	assert_string_equal(l.container, "web");
	assert_string_equal(l.ns, "shop");
	assert_string_equal(l.pod, "cart-7d4b9c6f5-x2x9z");
	ap_process_labels_free(&l);
	unlink(path);
	rmdir(dir);
}

static void write_below(const char *root, const char *folder, const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, folder);
	assert_int_equal(ap_mkdir_all(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", root, folder, file);
	assert_int_equal(ap_write_file_atomic(path, text, strlen(text), 0600, false), 0);
}

static void containers_are_named_from_their_engines_state(void **state)
{
	char root[] = "/tmp/aperture-root-XXXXXX", command[64];
	_cleanup_(ap_cleanup_container_names) struct ap_container_names *c = NULL;
	struct ap_service_facts f = {.cgroup = AP_STR("0::/system.slice/docker-" ID ".scope\n"),
				     .exe = AP_STR("/usr/bin/java"),
				     .now_ns = 1};
	struct ap_process_labels l;

	assert_non_null(mkdtemp(root));
	f.containers = c = ap_container_names_new(root);
	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "java");
	assert_string_equal(l.container, "3f4a8a1c2b5d");
	ap_process_labels_free(&l);

	write_below(root, "var/lib/docker/containers/" ID, "config.v2.json",
		    "{\"ID\":\"" ID "\",\"Name\":\"/shop-web-1\",\"Args\":[],"
		    "\"Config\":{\"Image\":\"registry:5000/shop/web:1.25-alpine\"}}");
	f.now_ns = 120000000000;
	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "shop-web-1");
	assert_string_equal(l.container, "shop-web-1");
	assert_string_equal(l.version, "1.25-alpine");
	ap_process_labels_free(&l);

	/* Another engine's container of the same id would be another container. */
	ap_container_names_free(c);
	f.containers = c = ap_container_names_new(root);
	write_below(
		root, "var/lib/containers/storage/overlay-containers", "containers.json",
		"[{\"id\":\"x\"},7,{\"id\":\"" ID "\",\"names\":[\"db\"],"
		"\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/library/postgres:16\\\"}\"}]");
	f.cgroup = AP_STR("0::/machine.slice/libpod-" ID ".scope/container\n");
	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "db");
	assert_string_equal(l.version, "16");
	ap_process_labels_free(&l);
	write_below(root, "run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID, "config.json",
		    "{\"annotations\":{\"io.kubernetes.cri.image-name\":\"shop/web:2\"}}");
	f.cgroup = AP_STR("0::/kubepods.slice/cri-containerd-" ID ".scope\n");
	ap_container_names_free(c);
	f.containers = c = ap_container_names_new(root);
	assert_int_equal(ap_process_labels_find(&f, &l), 0);
	assert_string_equal(l.service, "java");
	assert_string_equal(l.version, "2");
	ap_process_labels_free(&l);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void versions_of_images_are_tags_or_digests(void **state)
{
	static const struct {
		const char *reference, *version;
	} cases[] = {
		{"nginx:1.25", "1.25"},
		{"nginx", ""},
		{"registry:5000/nginx", ""},
		{"registry:5000/shop/nginx:v2@sha256:0123456789abcdef", "v2"},
		{"nginx@sha256:0123456789abcdef", "sha256:0123456789ab"},
		{"nginx@short", "short"},
		{"nginx:", ""},
		{"", ""},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++)
		if (!ap_str_is(ap_image_version(ap_str_of(cases[i].reference)), cases[i].version))
			fail_msg("%s", cases[i].reference);
}

static void user_labels_are_checked(void **state)
{
	static const char *const bad[] = {"",	"novalue",   "=x",    "9k=v",	"a-b=c",
					  "k=", "service=x", "pid=1", "k=\xff", "a b=c"};
	struct ap_user_label l;
	struct ap_error err;

	assert_int_equal(ap_user_label_parse(AP_STR("team=pay=ments"), &l, &err), 0);
	assert_true(ap_str_is(l.key, "team") && ap_str_is(l.value, "pay=ments"));
	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		err.msg[0] = 0;
		if (ap_user_label_parse(ap_str_of(bad[i]), &l, &err) != -EINVAL || !err.msg[0])
			fail_msg("'%s' is accepted", bad[i]);
	}
	ap_user_label_parse(AP_STR("service=x"), &l, &err);
	assert_non_null(strstr(err.msg, "--service"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_services),
		cmocka_unit_test(the_users_word_goes_first),
		cmocka_unit_test(kernel_threads_are_one_service),
		cmocka_unit_test(pods_are_named_by_their_workload),
		cmocka_unit_test(containers_are_named_from_their_engines_state),
		cmocka_unit_test(versions_of_images_are_tags_or_digests),
		cmocka_unit_test(user_labels_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
