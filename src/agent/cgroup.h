/* SPDX-License-Identifier: Apache-2.0 */
/* What a control group's path says about a process: its container, pod and systemd unit.
 *
 * Formats: cgroups(7) for /proc/PID/cgroup; systemd's unit naming; the paths that Docker,
 * containerd, CRI-O, Podman, LXC and the kubelet make with their cgroupfs and systemd drivers.
 */
#ifndef AP_AGENT_CGROUP_H
#define AP_AGENT_CGROUP_H

#include "base/str.h"

enum ap_cgroup_kind {
	AP_CGROUP_NONE = 0, /* no container */
	AP_CGROUP_DOCKER,
	AP_CGROUP_CONTAINERD,
	AP_CGROUP_CRIO,
	AP_CGROUP_PODMAN,
	AP_CGROUP_LXC,
	AP_CGROUP_NSPAWN,
	AP_CGROUP_OTHER, /* a container of an engine that the path does not name */
};

/* All strings point into the text that was parsed; empty where the path does not say. */
struct ap_cgroup {
	enum ap_cgroup_kind kind;
	struct ap_str container_id;   /* 64 hex digits, of the innermost container */
	struct ap_str container_name; /* LXC's and nspawn's, which have names in their paths */
	struct ap_str pod_uid;	      /* as written: with '-' or '_' (ap_cgroup_pod_uid) */
	struct ap_str unit;	      /* innermost "….service" or "….scope" outside the container */
	struct ap_str slice;	      /* innermost "….slice": "system.slice", "user-1000.slice" */
	bool kubernetes;
};

/* `text` is /proc/PID/cgroup whole (v1, v2 or hybrid: the line that says most wins) or one path. */
void ap_cgroup_parse(struct ap_str text, struct ap_cgroup *ret);

/* A pod's UID as Kubernetes writes it: '_' is '-'. At most 36 bytes. Returns its length. */
size_t ap_cgroup_pod_uid(const struct ap_cgroup *c, char out[static 36]);

#endif
