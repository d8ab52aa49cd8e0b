/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's library used in this process, for as long as a subcommand runs: what `record`, `stat` and
 * `top` have in common.
 *
 *	ap_session_prepare(&s, &cfg, &err);	what the options say; nothing is opened
 *	ap_session_open(&s, &err);	profiler and symbols; what can fail is tried here
 *	ap_session_start(&s, &err);	the command is held back until it is watched
 *	ap_session_run(&s, &err);	or ap_session_collect() in a loop of one's own
 *	ap_session_end_command(&s);
 *	ap_session_close(&s); */
#ifndef AP_CLI_SESSION_H
#define AP_CLI_SESSION_H

#include <signal.h>

#include "agent/batch.h"
#include "agent/profiler.h"
#include "agent/syscall_options.h"
#include "cli/child.h"
#include "cli/cli.h"

/* Options that the subcommands share; part of their own structs of values. */
struct ap_session_settings {
	uint64_t frequency, duration, wait_threshold, memory, max_frames, table_bytes;
	uint64_t syscall_slow, syscall_stack_rate;
	struct ap_strings modes, pids, labels, syscalls, syscall_errors;
	bool all;
	bool wakers; /* as ap_profiler_options has it */
	char *cgroup, *service;
};

/* Rows of option tables. `values` is the subcommand's struct of values, which has a member `session`; `heading`
 * the group that the option stands in. */
#define AP_SESSION_OPTION_PID(values, heading)                                     \
	{                                                                          \
		.name = "pid",                                                     \
		.short_name = 'p',                                                 \
		.type = AP_OPT_LIST,                                               \
		.metavar = "PID[,PID…]",                                           \
		.group = (heading),                                                \
		.help = "these processes and the children they start from now on", \
		.flags = AP_OPT_F_FLAG_ONLY,                                       \
		.offset = offsetof(values, session.pids),                          \
	}
#define AP_SESSION_OPTION_ALL(values, heading)           \
	{                                                \
		.name = "all",                           \
		.short_name = 'a',                       \
		.type = AP_OPT_BOOL,                     \
		.group = (heading),                      \
		.help = "the whole machine",             \
		.flags = AP_OPT_F_FLAG_ONLY,             \
		.offset = offsetof(values, session.all), \
	}
#define AP_SESSION_OPTION_CGROUP(values, heading)                                              \
	{                                                                                      \
		.name = "cgroup",                                                              \
		.type = AP_OPT_STRING,                                                         \
		.metavar = "PATH",                                                             \
		.group = (heading),                                                            \
		.help = "a cgroup v2 and those below it, such as /system.slice/nginx.service", \
		.flags = AP_OPT_F_FLAG_ONLY,                                                   \
		.offset = offsetof(values, session.cgroup),                                    \
	}
#define AP_SESSION_OPTION_WAIT_THRESHOLD(values, heading)                 \
	{                                                                 \
		.name = "wait-threshold",                                 \
		.type = AP_OPT_DURATION,                                  \
		.metavar = "TIME",                                        \
		.value = "1ms",                                           \
		.group = (heading),                                       \
		.help = "shorter waits are counted without their stacks", \
		.offset = offsetof(values, session.wait_threshold),       \
	}
#define AP_SESSION_OPTION_SYSCALLS(values, heading)                                               \
	{                                                                                         \
		.name = "syscalls",                                                               \
		.type = AP_OPT_LIST,                                                              \
		.metavar = "NAME[,NAME…]",                                                        \
		.group = (heading),                                                               \
		.help = "of mode syscall: only these calls, such as openat,read; !NAME: all but " \
			"that one",                                                               \
		.offset = offsetof(values, session.syscalls),                                     \
	}
#define AP_SESSION_OPTIONS_SYSCALL_STACKS(values, heading)                                         \
	{                                                                                          \
		.name = "syscall-slow",                                                            \
		.type = AP_OPT_DURATION,                                                           \
		.metavar = "TIME",                                                                 \
		.min = 1,                                                                          \
		.group = (heading),                                                                \
		.help = "of mode syscall: also the stacks of calls that take as long",             \
		.offset = offsetof(values, session.syscall_slow),                                  \
	},                                                                                         \
		{                                                                                  \
			.name = "syscall-errors",                                                  \
			.type = AP_OPT_LIST,                                                       \
			.metavar = "ERROR[,ERROR…]",                                               \
			.bare = "any",                                                             \
			.group = (heading),                                                        \
			.help = "of mode syscall: also the stacks of calls that fail; with names " \
				"such as ENOENT,EACCES of those that fail so",                     \
			.offset = offsetof(values, session.syscall_errors),                        \
		},                                                                                 \
	{                                                                                          \
		.name = "syscall-stack-rate", .type = AP_OPT_UINT, .metavar = "N", .value = "100", \
		.min = 1, .max = 1000000, .group = (heading),                                      \
		.help = "such stacks per second and CPU, at most",                                 \
		.offset = offsetof(values, session.syscall_stack_rate),                            \
	}
#define AP_SESSION_OPTION_FREQUENCY(values, heading)           \
	{                                                      \
		.name = "frequency",                           \
		.short_name = 'F',                             \
		.type = AP_OPT_UINT,                           \
		.metavar = "HZ",                               \
		.value = "99",                                 \
		.min = 1,                                      \
		.max = AP_FREQUENCY_MAX,                       \
		.group = (heading),                            \
		.help = "samples per second and CPU",          \
		.offset = offsetof(values, session.frequency), \
	}
#define AP_SESSION_OPTION_DURATION(values, heading)                                                      \
	{                                                                                                \
		.name = "duration",                                                                      \
		.short_name = 'd',                                                                       \
		.type = AP_OPT_DURATION,                                                                 \
		.metavar = "TIME",                                                                       \
		.group = (heading),                                                                      \
		.help = "stop after so many seconds (or 500ms, 2m); a command that still runs is ended", \
		.offset = offsetof(values, session.duration),                                            \
	}
#define AP_SESSION_OPTION_MAX_FRAMES(values, heading)                                      \
	{                                                                                  \
		.name = "max-frames",                                                      \
		.type = AP_OPT_UINT,                                                       \
		.metavar = "N",                                                            \
		.value = "512",                                                            \
		.min = 16,                                                                 \
		.max = AP_USER_FRAMES_MAX,                                                 \
		.group = (heading),                                                        \
		.help = "frames of a user stack before it is cut and marked as truncated", \
		.offset = offsetof(values, session.max_frames),                            \
	}
#define AP_SESSION_OPTION_TABLE_BYTES(values, heading)                                                 \
	{                                                                                              \
		.name = "table-bytes",                                                                 \
		.type = AP_OPT_BYTES,                                                                  \
		.metavar = "SIZE",                                                                     \
		.min = 1 << 20,                                                                        \
		.max = 1 << 30,                                                                        \
		.group = (heading),                                                                    \
		.help = "memory for unwind tables (default: 64MiB, taken as needed; before Linux 6.9 " \
			"8MiB, taken at once)",                                                        \
		.offset = offsetof(values, session.table_bytes),                                       \
	}
#define AP_SESSION_OPTION_MEMORY(values, heading)                           \
	{                                                                   \
		.name = "memory",                                           \
		.type = AP_OPT_BYTES,                                       \
		.metavar = "SIZE",                                          \
		.value = "1GiB",                                            \
		.min = 1 << 20,                                             \
		.group = (heading),                                         \
		.help = "end the recording when the profile holds so much", \
		.offset = offsetof(values, session.memory),                 \
	}

/* Why sampling ended. */
enum ap_session_end {
	AP_SESSION_END_NONE,
	AP_SESSION_END_DURATION,
	AP_SESSION_END_SIGNAL,
	AP_SESSION_END_TARGET, /* the command or the processes ended */
	AP_SESSION_END_MEMORY,
	AP_SESSION_END_ABORT, /* Ctrl-C after the end, while what was recorded was being written */
};

/* Zeroed but for `child`, `signals` and what the first group says. */
struct ap_session {
	const struct ap_program *program;
	const struct ap_session_settings *set;
	char *const *command; /* NULL: none */
	bool exact_time;      /* a row for each sample and wait, with its time */
	bool quiet;	      /* no progress on a terminal */

	enum ap_target target;
	uint32_t modes; /* enum ap_mode */
	struct ap_syscalls_options syscalls;
	int32_t *pids;
	struct ap_user_label *labels;
	char host[65];
	struct ap_profiler *profiler;
	struct ap_symbolizer *symbolizer;
	struct ap_kube_names *kube;
	struct ap_batcher *batcher;
	struct ap_profile *profile; /* all that ap_session_run() collected */
	struct ap_child child;
	int signals; /* signalfd */
	sigset_t mask;
	uint64_t start_ns, stop_ns;   /* CLOCK_MONOTONIC, of the sampling */
	uint64_t end_ns;	      /* when what ended it came; it stops a moment later */
	uint64_t open_ns, begin_ns;   /* what ap_session_open() and ap_session_start() took */
	unsigned int progress_at;     /* seconds last shown */
	unsigned int interruptions;   /* of a command that goes on */
	struct ap_error kernel_names; /* why kernel functions have no names */
	const char *refused; /* why modes that were asked for are not there; NULL: all are */
	enum ap_session_end end;
};

#define AP_SESSION_INIT .child = AP_CHILD_INIT, .signals = -1

/* Target, modes, processes and labels from the settings, of which `cfg` tells the origin: 0, -ENOMEM, or -EINVAL for
 * wrong usage. */
int ap_session_prepare(struct ap_session *s, const struct ap_config *cfg, struct ap_error *err);
/* Takes the signals and opens the profiler; modes that the kernel refuses are taken from `modes`. */
int ap_session_open(struct ap_session *s, struct ap_error *err);
/* Starts the command's process and sampling, then lets the command run. */
int ap_session_start(struct ap_session *s, struct ap_error *err);
/* The exit status of a session that could not begin, having said why. */
int ap_session_start_failed(const struct ap_session *s, const struct ap_error *err);
/* What has been sampled since the last call, named: the caller's to free; NULL where there is nothing. */
int ap_session_collect(struct ap_session *s, struct ap_profile **ret, struct ap_error *err);
/* Samples until something ends it; then the profile is whole and the ledger closed. 0 or -errno. */
int ap_session_run(struct ap_session *s, struct ap_error *err);
/* Acts on the signals that have come, for a loop of one's own: `end` says whether it is to go on. */
void ap_session_take_signals(struct ap_session *s);
/* Ends a command that outlived its recording, unless that ended for want of memory. */
void ap_session_end_command(struct ap_session *s);
/* Waits for the command's end without sampling. */
void ap_session_wait_command(struct ap_session *s);
/* Whether what was recorded is not to be written any more; for ap_output.cancelled. */
bool ap_session_aborted(void *session);
/* The exit status of a session that went well. */
int ap_session_status(const struct ap_session *s);
void ap_session_close(struct ap_session *s);

/* The ledger and the profiler's cost as a JSON object. */
void ap_session_ledger_json(const struct ap_session *s, struct ap_buf *out);
/* A line on the share of complete stacks and why others are not; one on the samples that were lost; one for
 * each way in which system calls were. */
void ap_session_complete_text(const struct ap_ledger *l, struct ap_buf *out);
void ap_session_lost_text(const struct ap_ledger *l, struct ap_buf *out);
void ap_session_lost_calls_text(const struct ap_ledger *l, struct ap_buf *out);

#endif
