/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include "../test.h"

#define ID	  "3f4a8a1c2b5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
#define ID2	  "9e8d7c6b5a49382716051423324150695a7b8c9d0e1f2031425364758697a8b9"
#define UID_DASH  "6e3d9b4a-1f2e-4c5d-8a7b-0c1d2e3f4a5b"
#define UID_UNDER "6e3d9b4a_1f2e_4c5d_8a7b_0c1d2e3f4a5b"
#define UID_HASH  "5a6b7c8d9e0f1a2b3c4d5e6f70819203"

struct row {
	const char *text;
	enum ap_cgroup_kind kind;
	const char *id, *name, *pod, *unit, *slice;
	bool kubernetes;
};

static const struct row rows[] = {
	/* No container. */
	{"0::/\n", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"0::/init.scope\n", AP_CGROUP_NONE, "", "", "", "init.scope", "", false},
	{"0::/system.slice/nginx.service\n", AP_CGROUP_NONE, "", "", "", "nginx.service",
	 "system.slice", false},
	{"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", AP_CGROUP_NONE,
	 "", "", "", "postgresql@15-main.service", "system-postgresql.slice", false},
	{"0::/user.slice/user-1000.slice/session-3.scope\n", AP_CGROUP_NONE, "", "", "",
	 "session-3.scope", "user-1000.slice", false},
	{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
	 "app-org.gnome.Terminal.slice/vte-spawn-2f0d7b1e-8d7b-4a38-b5a3-30b0e5b7a4e1.scope\n",
	 AP_CGROUP_NONE, "", "", "", "vte-spawn-2f0d7b1e-8d7b-4a38-b5a3-30b0e5b7a4e1.scope",
	 "app-org.gnome.Terminal.slice", false},
	{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service\n",
	 AP_CGROUP_NONE, "", "", "", "syncthing.service", "app.slice", false},
	/* v1 and hybrid: the line that says most. */
	{"12:pids:/system.slice/ssh.service\n11:cpuset:/\n10:memory:/system.slice/ssh.service\n"
	 "1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service\n",
	 AP_CGROUP_NONE, "", "", "", "ssh.service", "system.slice", false},
	{"11:cpuset:/\n4:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/docker/" ID "\n"
	 "0::/system.slice/containerd.service\n",
	 AP_CGROUP_DOCKER, ID, "", "", "", "", false},
	/* Docker. */
	{"0::/system.slice/docker-" ID ".scope\n", AP_CGROUP_DOCKER, ID, "", "", "", "system.slice",
	 false},
	{"0::/docker/" ID "\n", AP_CGROUP_DOCKER, ID, "", "", "", "", false},
	{"0::/system.slice/docker-" ID ".scope/system.slice/nginx.service\n", AP_CGROUP_DOCKER, ID,
	 "", "", "", "system.slice", false},
	{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope\n",
	 AP_CGROUP_DOCKER, ID, "", "", "user@1000.service", "user.slice", false},
	/* Podman. */
	{"0::/machine.slice/libpod-" ID ".scope/container\n", AP_CGROUP_PODMAN, ID, "", "", "",
	 "machine.slice", false},
	{"0::/machine.slice/libpod-conmon-" ID ".scope\n", AP_CGROUP_NONE, "", "", "",
	 "libpod-conmon-" ID ".scope", "machine.slice", false},
	{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope\n",
	 AP_CGROUP_PODMAN, ID, "", "", "user@1000.service", "user.slice", false},
	{"0::/libpod_parent/libpod-" ID "\n", AP_CGROUP_PODMAN, ID, "", "", "", "", false},
	{"0::/system.slice/web.service/libpod-payload-" ID "\n", AP_CGROUP_PODMAN, ID, "", "",
	 "web.service", "system.slice", false},
	/* containerd by itself. */
	{"0::/system.slice/nerdctl-" ID ".scope\n", AP_CGROUP_CONTAINERD, ID, "", "", "",
	 "system.slice", false},
	{"0::/default/" ID "\n", AP_CGROUP_OTHER, ID, "", "", "", "", false},
	/* Kubernetes, systemd driver. */
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_UNDER
	 ".slice/cri-containerd-" ID ".scope\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_UNDER, "", "kubepods-burstable-pod" UID_UNDER ".slice",
	 true},
	{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_UNDER
	 ".slice/crio-" ID ".scope\n",
	 AP_CGROUP_CRIO, ID, "", UID_UNDER, "", "kubepods-besteffort-pod" UID_UNDER ".slice", true},
	{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_UNDER
	 ".slice/crio-conmon-" ID ".scope\n",
	 AP_CGROUP_NONE, "", "", UID_UNDER, "crio-conmon-" ID ".scope",
	 "kubepods-besteffort-pod" UID_UNDER ".slice", true},
	{"0::/kubepods.slice/kubepods-pod" UID_UNDER ".slice/docker-" ID ".scope\n",
	 AP_CGROUP_DOCKER, ID, "", UID_UNDER, "", "kubepods-pod" UID_UNDER ".slice", true},
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_HASH
	 ".slice/cri-containerd-" ID ".scope\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_HASH, "", "kubepods-burstable-pod" UID_HASH ".slice",
	 true},
	/* Kubernetes, cgroupfs driver. */
	{"0::/kubepods/burstable/pod" UID_DASH "/" ID "\n", AP_CGROUP_OTHER, ID, "", UID_DASH, "",
	 "", true},
	{"0::/kubepods/pod" UID_DASH "/" ID "\n", AP_CGROUP_OTHER, ID, "", UID_DASH, "", "", true},
	{"0::/kubepods/besteffort/pod" UID_DASH "/crio-" ID "\n", AP_CGROUP_CRIO, ID, "", UID_DASH,
	 "", "", true},
	{"0::/kubepods/besteffort/pod" UID_DASH "\n", AP_CGROUP_NONE, "", "", UID_DASH, "", "",
	 true},
	/* Kubernetes, the kubelet and the engine not agreeing. */
	{"0::/system.slice/containerd.service/kubepods-burstable-pod" UID_UNDER
	 ".slice:cri-containerd:" ID "\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_UNDER, "containerd.service", "system.slice", true},
	{"9:memory:/kubepods-besteffort-pod" UID_UNDER ".slice:cri-containerd:" ID "\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_UNDER, "", "", true},
	/* A node that is a container: kind, k3s in Docker. */
	{"0::/docker/" ID2 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
	 "/kubelet-kubepods-besteffort-pod" UID_UNDER ".slice/cri-containerd-" ID ".scope\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_UNDER, "", "", true},
	{"0::/system.slice/docker-" ID2 ".scope/kubepods/burstable/pod" UID_DASH "/" ID "\n",
	 AP_CGROUP_OTHER, ID, "", UID_DASH, "", "system.slice", true},
	{"0::/../../kubepods-burstable-pod" UID_UNDER ".slice/cri-containerd-" ID ".scope\n",
	 AP_CGROUP_CONTAINERD, ID, "", UID_UNDER, "", "kubepods-burstable-pod" UID_UNDER ".slice",
	 true},
	/* Containers with names. */
	{"0::/lxc.payload.web/system.slice/cron.service\n", AP_CGROUP_LXC, "", "web", "", "", "",
	 false},
	{"5:cpu:/lxc/db-1\n", AP_CGROUP_LXC, "", "db-1", "", "", "", false},
	{"0::/machine.slice/machine-debian\\x2dtest.scope/payload/init.scope\n", AP_CGROUP_NSPAWN,
	 "", "debian\\x2dtest", "", "", "machine.slice", false},
	{"0::/machine.slice/systemd-nspawn@build.service/payload\n", AP_CGROUP_NSPAWN, "", "build",
	 "", "", "machine.slice", false},
	{"0::/ecs/9781c248-0edd-4cdb-9a93-f63cb662a5d3/" ID "\n", AP_CGROUP_OTHER, ID, "", "", "",
	 "", false},
	/* Nearly. */
	{"0::/docker/3f4a8a1c2b5d\n", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"0::/system.slice/docker.service\n", AP_CGROUP_NONE, "", "", "", "docker.service",
	 "system.slice", false},
	{"0::/x" ID "\n", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"0::/podfoo/pod" UID_DASH "\n", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"0:no second colon", AP_CGROUP_NONE, "", "", "", "", "", false},
	{"/system.slice/one-path.service", AP_CGROUP_NONE, "", "", "", "one-path.service",
	 "system.slice", false},
};

static void check(const char *text, const char *what, struct ap_str got, const char *want)
{
	if (!ap_str_is(got, want))
		fail_msg("%s: %s is '%.*s', not '%s'", text, what, AP_STR_ARG(got), want);
}

static void reads_recorded_paths(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct ap_cgroup c;

		ap_cgroup_parse(ap_str_of(r->text), &c);
		check(r->text, "id", c.container_id, r->id);
		check(r->text, "name", c.container_name, r->name);
		check(r->text, "pod", c.pod_uid, r->pod);
		check(r->text, "unit", c.unit, r->unit);
		check(r->text, "slice", c.slice, r->slice);
		if (c.kind != r->kind || c.kubernetes != r->kubernetes)
			fail_msg("%s: kind %d, kubernetes %d", r->text, c.kind, c.kubernetes);
	}
}

static void writes_pod_uids_with_dashes(void **state)
{
	struct ap_cgroup c = {.pod_uid = AP_STR(UID_UNDER)};
	char out[36];

	assert_int_equal(ap_cgroup_pod_uid(&c, out), 36);
	assert_memory_equal(out, UID_DASH, 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_recorded_paths),
		cmocka_unit_test(writes_pod_uids_with_dashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
