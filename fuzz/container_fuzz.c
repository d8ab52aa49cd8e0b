/* SPDX-License-Identifier: Apache-2.0 */
/* What container engines keep about a container, whose names and labels its owner chooses: a name and a version, or
 * none. */
#include <stdio.h>
#include <sys/stat.h>

#include "agent/container.h"
#include "agent/kube.h"
#include "scratch.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	enum ap_cgroup_kind kind;
	const char *folder, *file;
} engines[] = {
	{AP_CGROUP_DOCKER, "/var/lib/docker/containers/" ID, "config.v2.json"},
	{AP_CGROUP_PODMAN, "/var/lib/containers/storage/overlay-containers", "containers.json"},
	{AP_CGROUP_CONTAINERD, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID,
	 "config.json"},
};

static void make_root(void)
{
	char command[256];

	scratch_make();
	for (size_t i = 0; i < AP_ARRAY_SIZE(engines); i++) {
		snprintf(command, sizeof(command), "mkdir -p %s%s", scratch, engines[i].folder);
		must(system(command) == 0);
	}
}

static void check_part(struct ap_str part, struct ap_str text)
{
	must(part.n == 0 || (part.p >= text.p && part.p + part.n <= text.p + text.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str text = {(const char *)data, size}, found;

	if (!scratch[0])
		make_root();
	check_part(ap_image_version(text), text);
	check_part(ap_kube_workload(text, AP_STR("node-1")), text);
	for (size_t i = 0; i < AP_ARRAY_SIZE(engines); i++) {
		const struct ap_cgroup cgroup = {.kind = engines[i].kind,
						 .container_id = AP_STR(ID)};
		struct ap_container_names *c = ap_container_names_new(scratch);
		char path[256];
		FILE *f;

		snprintf(path, sizeof(path), "%s%s/%s", scratch, engines[i].folder,
			 engines[i].file);
		f = fopen(path, "we");
		must(c && f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
		must(ap_container_names_find(c, &cgroup, 1, &found) < 0 || found.n);
		must(ap_container_names_version(c, &cgroup, 1, &found) < 0 || found.n);
		ap_container_names_free(c);
	}
	return 0;
}
