/* SPDX-License-Identifier: Apache-2.0 */
/* What Kubernetes calls the containers of this node. */
#ifndef AP_AGENT_KUBE_H
#define AP_AGENT_KUBE_H

#include "base/str.h"

/* The names are those of the links that the kubelet keeps for every container's log:
 * /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log. */
struct ap_kube_names;

/* `dir`: the folder, NULL for /var/log/containers. Reads nothing yet. NULL = out of memory. */
struct ap_kube_names *ap_kube_names_new(const char *dir);
void ap_kube_names_free(struct ap_kube_names *k);
AP_DEFINE_CLEANUP(kube_names, struct ap_kube_names, ap_kube_names_free)

struct ap_kube_name {
	struct ap_str ns, pod, container; /* valid until the next ap_kube_names_find() */
};

/* By the container's id (64 hex digits). An unknown id makes the folder be read again, at most
 * once a second by `now_ns` (CLOCK_MONOTONIC). -ENOENT: not a container of this node. */
int ap_kube_names_find(struct ap_kube_names *k, struct ap_str container_id, uint64_t now_ns,
		       struct ap_kube_name *ret);

/* The workload that made a pod: its name without what is added to it for each pod: by a Deployment
 * ("-7d4b9c6f5-x2x9z"), a DaemonSet or Job ("-x2x9z"), a CronJob ("-28391040-x2x9z"), a StatefulSet
 * ("-0"), or for a static pod the node's name. `host` is that name. */
struct ap_str ap_kube_workload(struct ap_str pod, struct ap_str host);

#endif
