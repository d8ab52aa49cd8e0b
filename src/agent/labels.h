/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process is, in the words of the people who run it: the labels of its samples. */
#ifndef AP_AGENT_LABELS_H
#define AP_AGENT_LABELS_H

#include "agent/container.h"
#include "agent/kube.h"
#include "agent/package.h"
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
	X(STATE, "state")         \
	X(LOCK, "lock")           \
	X(PLACE, "place")         \
	X(KIND, "kind")           \
	X(DOMAIN, "domain")       \
	X(CALLER, "caller")       \
	X(ENDED, "ended")         \
	X(WAKER, "waker")         \
	X(WAITER, "waiter")       \
	X(SYSCALL, "syscall")     \
	X(ERRNO, "errno")         \
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

/* What is known of a process when it is named. */
struct ap_service_facts {
	struct ap_str override;	    /* --service, empty: not given */
	struct ap_str host;	    /* this machine's name */
	struct ap_str cgroup;	    /* text of /proc/PID/cgroup, or one path */
	struct ap_str exe;	    /* path of the process's executable, empty: unknown */
	struct ap_str leader_exe;   /* path of its process group leader's, empty: unknown */
	struct ap_str comm;	    /* the process's name: the last resort */
	bool kernel;		    /* a kernel thread: service is "kernel" */
	struct ap_kube_names *kube; /* NULL: none */
	struct ap_container_names *containers; /* NULL: none */
	struct ap_packages *packages;	       /* NULL: none */
	struct ap_str build; /* the executable's build-id as hex; empty: unknown */
	int32_t pid;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
};

/* The labels that hold for a whole process; each empty where it does not apply. Owned. */
struct ap_process_labels {
	char *service, *container, *ns, *pod, *unit, *version;
};

/* service is: the override; else NAMESPACE/WORKLOAD/CONTAINER; else the container's name; else the
 * systemd service without ".service", unless that is a login session's or made up for one run;
 * else the base name of the group leader's executable, else of its own, else its name. So it is
 * never empty, nor an id: container is the short id where the container's name is not known, but
 * service is then the executable. version is the tag of the container's image, outside of containers the version
 * of the executable's package. 0 or -ENOMEM. */
int ap_process_labels_find(const struct ap_service_facts *facts, struct ap_process_labels *ret);
void ap_process_labels_free(struct ap_process_labels *l);

#endif
