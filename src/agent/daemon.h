/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a daemon: every flush interval what the profiler gathered becomes a batch and goes
 * to the pusher, with the ledger's and the agent's own figures in it.
 *
 *	profiler ─rows▶ batcher ─profile▶ encoder ─bytes▶ pusher ─gRPC▶ aggregator
 *
 * An answer of the aggregator may bring settings, which are followed within limits and for a time (control.h).
 *
 * One thread calls everything but ap_daemon_metrics(). */
#ifndef AP_AGENT_DAEMON_H
#define AP_AGENT_DAEMON_H

#include "agent/control.h"
#include "agent/labels.h"
#include "agent/push.h"
#include "base/buf.h"
#include "base/error.h"

struct ap_daemon;
struct ap_syscalls_options; /* agent/syscall_options.h */

struct ap_daemon_config {
	const char *server;			 /* "host:port" */
	const struct ap_push_security *security; /* NULL: plain text, and no token */
	const char *state_dir;
	const char *service; /* NULL: found per process */
	const struct ap_user_label *labels;
	size_t n_labels;
	const int32_t *pids; /* only these and the children they start; NULL: see cgroup */
	size_t n_pids;
	const char *cgroup; /* only this cgroup v2; NULL with no pids: the whole machine */
	uint32_t modes;	    /* enum ap_mode; 0 = AP_MODE_CPU */
	const struct ap_syscalls_options
		*syscalls; /* as ap_profiler_options has it, and the next two */
	uint64_t wait_threshold_ns;
	bool wakers;
	uint32_t frequency_hz; /* 0 = 99 */
	double cpu_budget; /* share of one CPU for the agent itself, kept by sampling less; 0 = none */
	uint64_t flush_interval_ns; /* 0 = 10 s */
	size_t queue_bytes;	    /* of memory; 0 = 32 MiB */
	uint64_t spool_bytes;	    /* of disk, in the state folder; 0 = 512 MiB */
	size_t table_bytes;	    /* for unwind tables; 0 = as ap_profiler_options has it */
	/* Servers to fetch debug files from, "env": those of $DEBUGINFOD_URLS; none: none is asked */
	const char *const *debuginfod_urls;
	size_t n_debuginfod_urls;
	uint64_t debuginfod_cache;	 /* bytes on disk; 0 = 1 GiB */
	struct ap_control_limits limits; /* for settings from the aggregator */
};

/* Begins to profile and to push. Errors of ap_identity_open(), ap_profiler_open() (-EPERM: no
 * permission) and ap_pusher_start(), with `err`. */
int ap_daemon_start(const struct ap_daemon_config *config, struct ap_daemon **ret,
		    struct ap_error *err);

/* When ap_daemon_work() has something to do, CLOCK_MONOTONIC nanoseconds, if not before: when the next batch is
 * due, the first after a second, so that a new machine shows at once, or when settings run out. */
uint64_t ap_daemon_due(const struct ap_daemon *d);
/* Readable when it has something to do before that: settings have come. */
int ap_daemon_fd(const struct ap_daemon *d);
/* Puts in force settings that have come, and the own configuration when their time is over. Makes a batch of what
 * was gathered since the last one and queues it, when that is due or settings have changed. What cannot be made is
 * counted in the ledger; -ENOMEM or -EIO with `err` say that it happened. */
int ap_daemon_work(struct ap_daemon *d, struct ap_error *err);

struct ap_daemon_info {
	const char *agent_id;
	uint64_t epoch;
	uint32_t cpus;
	const struct ap_agent_status
		*status;	    /* modes, rate, stride and settings in force; borrowed */
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
