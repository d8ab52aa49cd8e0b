/* SPDX-License-Identifier: Apache-2.0 */
/* What people call a container whose id is known, and which image it runs, from the state that engines keep on
 * disk: no engine's socket is spoken to, since that would be the right to run anything as root.
 *
 *	Docker	/var/lib/docker/containers/ID/config.v2.json
 *				{"Name": "/web", "Config": {"Image": "nginx:1.25"}}
 *	Podman	/var/lib/containers/storage/overlay-containers/containers.json
 *				[{"id": ID, "names": ["web"], "metadata": "{\"image-name\": \"nginx:1.25\"}"}]
 *	containerd, of Kubernetes	/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json
 *				{"annotations": {"io.kubernetes.cri.image-name": "nginx:1.25"}}
 */
#ifndef AP_AGENT_CONTAINER_H
#define AP_AGENT_CONTAINER_H

#include "agent/cgroup.h"

struct ap_container_names;

/* `root`: what stands before the paths above, NULL for nothing. NULL = out of memory. */
struct ap_container_names *ap_container_names_new(const char *root);
void ap_container_names_free(struct ap_container_names *c);
AP_DEFINE_CLEANUP(container_names, struct ap_container_names, ap_container_names_free)

/* The name of a container of Docker or Podman, valid until the next find. What is not found is looked
 * for again after a minute of `now_ns` (CLOCK_MONOTONIC). -ENOENT or -ENOMEM. */
int ap_container_names_find(struct ap_container_names *c, const struct ap_cgroup *cgroup,
			    uint64_t now_ns, struct ap_str *ret);

/* The version of the image that it runs: its tag, else the beginning of its digest. As above. */
int ap_container_names_version(struct ap_container_names *c, const struct ap_cgroup *cgroup,
			       uint64_t now_ns, struct ap_str *ret);

/* "1.25" of "registry:5000/shop/nginx:1.25", "sha256:0123456789ab" of a reference by digest alone, else "". */
struct ap_str ap_image_version(struct ap_str reference);

#endif
