/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a daemon: every flush interval what the profiler gathered becomes a batch and goes
 * to the pusher, with the ledger's and the agent's own figures in it.
 *
 *	profiler ─rows▶ batcher ─profile▶ encoder ─bytes▶ pusher ─gRPC▶ aggregator
 *
 * One thread calls everything but ap_daemon_metrics(). */
#ifndef AP_AGENT_DAEMON_H
#define AP_AGENT_DAEMON_H

#include "agent/labels.h"
#include "agent/push.h"
#include "base/buf.h"
#include "base/error.h"

struct ap_daemon;

struct ap_daemon_config {
	const char *server; /* "host:port" */
	const char *state_dir;
	const char *service; /* NULL: found per process */
	const struct ap_user_label *labels;
	size_t n_labels;
	const int32_t *pids; /* only these and the children they start; NULL: see cgroup */
	size_t n_pids;
	const char *cgroup;	    /* only this cgroup v2; NULL with no pids: the whole machine */
	uint32_t modes;		    /* enum ap_mode; 0 = AP_MODE_CPU */
	uint64_t wait_threshold_ns; /* as ap_profiler_options has it */
	uint32_t frequency_hz;	    /* 0 = 99 */
	double cpu_budget; /* share of one CPU for the agent itself, kept by sampling less; 0 = none */
	uint64_t flush_interval_ns; /* 0 = 10 s */
	size_t queue_bytes;	    /* 0 = 32 MiB */
	size_t table_bytes;	    /* for unwind tables; 0 = as ap_profiler_options has it */
	/* Servers to fetch debug files from, "env": those of $DEBUGINFOD_URLS; none: none is asked */
	const char *const *debuginfod_urls;
	size_t n_debuginfod_urls;
	uint64_t debuginfod_cache; /* bytes on disk; 0 = 1 GiB */
};

/* Begins to profile and to push. Errors of ap_identity_open(), ap_profiler_open() (-EPERM: no
 * permission) and ap_pusher_start(), with `err`. */
int ap_daemon_start(const struct ap_daemon_config *config, struct ap_daemon **ret,
		    struct ap_error *err);

/* When the next batch is due, CLOCK_MONOTONIC nanoseconds. The first is due after a second, so that
 * a new machine shows at once. */
uint64_t ap_daemon_due(const struct ap_daemon *d);
/* Makes a batch of what was gathered since the last one and queues it. What cannot be made is
 * counted in the ledger; -ENOMEM or -EIO with `err` say that it happened. */
int ap_daemon_flush(struct ap_daemon *d, struct ap_error *err);

struct ap_daemon_info {
	const char *agent_id;
	uint64_t epoch;
	uint32_t cpus, frequency_hz;
	uint32_t stride;	    /* of so many periods one is sampled now, for the CPU budget */
	const char *refused;	    /* why modes that were asked for are not there; NULL: all are */
	const char *kernel_symbols; /* why the kernel's functions cannot be named; NULL: they can */
};
void ap_daemon_get_info(const struct ap_daemon *d, struct ap_daemon_info *ret);
void ap_daemon_push_stats(struct ap_daemon *d, struct ap_pusher_stats *ret);

/* Appends the agent's metrics as Prometheus text. Any thread. 0, -EINVAL or -ENOMEM. */
int ap_daemon_metrics(struct ap_daemon *d, struct ap_buf *out);

/* Stops profiling, pushes the rest with the word that this agent leaves, waits at most
 * `timeout_ns` for it, and frees. Returns the number of batches that did not get through. */
uint32_t ap_daemon_stop(struct ap_daemon *d, uint64_t timeout_ns);

#endif
