/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture record` share. */
#ifndef AP_CLI_RECORD_H
#define AP_CLI_RECORD_H

#include "agent/batch.h"
#include "agent/profiler.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/output.h"

struct ap_record_settings {
	uint64_t frequency, duration, wait_threshold, memory, max_frames, table_bytes;
	struct ap_strings modes, pids, labels;
	bool all, quiet;
	char *cgroup, *output, *ledger, *service, *ui_dir;
	uint32_t format;
};

/* Why sampling ended. */
enum ap_record_end {
	AP_RECORD_END_NONE,
	AP_RECORD_END_DURATION,
	AP_RECORD_END_SIGNAL,
	AP_RECORD_END_TARGET, /* the command or the processes ended */
	AP_RECORD_END_MEMORY,
	AP_RECORD_END_ABORT, /* Ctrl-C after the end, while the profile was being written */
};

struct ap_recording {
	const struct ap_program *program;
	const struct ap_record_settings *set;
	char *const *command; /* NULL: none */
	enum ap_target target;
	uint32_t modes; /* enum ap_mode */
	enum ap_format format;
	char *html_template; /* NULL: not needed */
	char host[65];
	struct ap_profiler *profiler;
	struct ap_symbolizer *symbolizer;
	struct ap_kube_names *kube;
	struct ap_batcher *batcher;
	struct ap_profile *profile; /* all that was collected */
	struct ap_child child;
	struct ap_output out;
	int signals;		      /* signalfd */
	uint64_t start_ns, stop_ns;   /* CLOCK_MONOTONIC, of the sampling */
	unsigned int progress_at;     /* seconds last shown */
	unsigned int interruptions;   /* of a command that goes on */
	struct ap_error kernel_names; /* why kernel functions have no names */
	const char *refused; /* why modes that were asked for are not there; NULL: all are */
	enum ap_record_end end;
};

/* Samples until something ends it; then the profile is whole and the ledger closed. 0 or -errno. */
int ap_record_sample(struct ap_recording *r, struct ap_error *err);
/* Waits for the command's end without sampling. */
void ap_record_wait_command(struct ap_recording *r);
/* Whether the recording is not to be written any more; for ap_output.cancelled. */
bool ap_record_aborted(void *recording);

/* What a picture of the recording shows: CPU time, time off the CPU, or both. */
const struct ap_profile_type *ap_record_type(const struct ap_recording *r);

/* Whether it counts system calls and nothing else: a table is what it writes. */
static inline bool ap_record_counts_only(const struct ap_recording *r)
{
	return r->modes == AP_MODE_SYSCALL;
}
/* The system calls as a table for people and as JSON: 0 or -ENOMEM. */
int ap_record_syscalls_text(const struct ap_recording *r, struct ap_buf *out);
int ap_record_syscalls_json(const struct ap_recording *r, struct ap_buf *out);

/* What a recording shows at its end, as text for stderr. */
void ap_record_summary(const struct ap_recording *r, struct ap_buf *out);
/* The ledger and the profiler's cost as JSON: `--ledger`. */
void ap_record_ledger_json(const struct ap_recording *r, struct ap_buf *out);

#endif
