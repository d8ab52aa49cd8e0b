/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process is, in the words of the people who run it: the labels of its samples. */
#ifndef AP_AGENT_LABELS_H
#define AP_AGENT_LABELS_H

#include "agent/cgroup.h"
#include "base/error.h"

#define AP_LABEL_LIST(X)          \
	X(SERVICE, "service")     \
	X(HOST, "host")           \
	X(CONTAINER, "container") \
	X(NAMESPACE, "namespace") \
	X(POD, "pod")             \
	X(UNIT, "unit")           \
	X(COMM, "comm")           \
	X(THREAD, "thread")       \
	X(PID, "pid")             \
	X(BUILD, "build")         \
	X(VERSION, "version")

/* The labels that Aperture itself gives; ap_label_names[] holds their keys. */
enum ap_label_key {
#define X(id, text) AP_LABEL_##id,
	AP_LABEL_LIST(X)
#undef X
		AP_LABEL_COUNT,
};

extern const char *const ap_label_names[AP_LABEL_COUNT];

/* The user's `--label key=value`. A key is [a-zA-Z_][a-zA-Z0-9_]*, at most 63 bytes, and not one
 * of ours; a value is UTF-8 of at most 255 bytes. -EINVAL with the reason in `err`. Both point
 * into `arg`. */
struct ap_user_label {
	struct ap_str key, value;
};

int ap_user_label_parse(struct ap_str arg, struct ap_user_label *ret, struct ap_error *err);

/* Kubernetes' names of containers, from the links that the kubelet keeps on each node:
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

/* The workload that made a pod: its name without the suffix of its ReplicaSet ("-7d4b9c6f5-x2x9z"),
 * DaemonSet or Job ("-x2x9z"), StatefulSet ("-0") or static pod's node. */
struct ap_str ap_kube_workload(struct ap_str pod, struct ap_str host);

/* What is known of a process when it is named. */
struct ap_service_facts {
	struct ap_str override;	    /* --service, empty: not given */
	struct ap_str host;	    /* this machine's name */
	struct ap_str cgroup;	    /* text of /proc/PID/cgroup, or one path */
	struct ap_str exe;	    /* path of the process's executable, empty: unknown */
	struct ap_str leader_exe;   /* path of its process group leader's, empty: unknown */
	struct ap_str comm;	    /* the process's name: the last resort */
	struct ap_kube_names *kube; /* NULL: none */
	uint64_t now_ns;	    /* CLOCK_MONOTONIC */
};

/* The labels that hold for a whole process; each empty where it does not apply. Owned. */
struct ap_process_labels {
	char *service, *container, *ns, *pod, *unit;
};

/* service is: the override; else NAMESPACE/WORKLOAD/CONTAINER; else the container's name; else the
 * systemd service; else the base name of the group leader's executable, else of its own, else its
 * name, so that it is never empty and never an id. 0 or -ENOMEM. */
int ap_process_labels_find(const struct ap_service_facts *facts, struct ap_process_labels *ret);
void ap_process_labels_free(struct ap_process_labels *l);

#endif
