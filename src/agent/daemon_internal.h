/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own structure, shared by daemon.c, daemon_settings.c and daemon_metrics.c. */
#ifndef AP_AGENT_DAEMON_INTERNAL_H
#define AP_AGENT_DAEMON_INTERNAL_H

#include <pthread.h>

#include "agent/batch.h"
#include "agent/daemon.h"
#include "agent/governor.h"
#include "agent/identity.h"
#include "agent/kube.h"
#include "agent/profiler.h"
#include "symbol/debuginfod.h"
#include "wire/batch.h"

struct ap_daemon {
	struct ap_identity identity;
	struct ap_profiler *profiler;
	struct ap_debuginfod *debuginfod; /* NULL: none is asked */
	struct ap_symbolizer *symbolizer;
	struct ap_kube_names *kube;
	struct ap_batcher *batcher;
	struct ap_pusher *pusher;
	struct ap_ledger *ledger; /* the profiler's: all stages count there */
	struct ap_ledger sent;	  /* its state when the last batch was made */
	uint64_t flush_interval_ns;
	uint64_t due_ns;     /* CLOCK_MONOTONIC */
	uint64_t flushed_ns; /* the same: when the last batch was made */
	struct ap_governor governor;
	struct ap_control control;
	int wake_fd;	   /* an eventfd: `coming` is there */
	uint64_t fixed_ns; /* of meta.status.cpu_bpf_ns: what sampling less often does not change */
	struct ap_error kernel_symbols;
	struct ap_batch_meta meta;     /* of the next batch: what stays the same is filled in */
	pthread_mutex_t lock;	       /* guards all below */
	struct ap_agent_status status; /* as of the last batch */
	uint64_t batches;
	uint64_t rate_changes;
	struct ap_settings coming; /* from the pusher's thread */
	uint64_t coming_version;   /* 0: none is */
};

/* daemon_settings.c */

/* The profiler does what `control` wants, as far as it can be had: says so in the next batch's status. */
void ap_daemon_describe_settings(struct ap_daemon *d);
/* For ap_pusher_config. */
void ap_daemon_on_settings(void *ctx, uint64_t version, const struct ap_settings *s);
/* Puts in force what has come, and the own configuration when the time is over. Returns whether anything has
 * changed; `err` is set where not all of it can be had. */
bool ap_daemon_apply_settings(struct ap_daemon *d, struct ap_error *err);

#endif
