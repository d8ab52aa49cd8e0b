/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture stat` share. */
#ifndef AP_CLI_STAT_H
#define AP_CLI_STAT_H

#include "cli/output.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/wait_table.h"

struct ap_stat_settings {
	struct ap_session_settings session;
	uint64_t rows;
	uint32_t format;
	char *report, *output;
};

struct ap_stat {
	const struct ap_stat_settings *set;
	struct ap_session session;
	struct ap_output report, output; /* output: only with --output */
	enum ap_format output_format;
	struct ap_report_style style;
	uint64_t user_ns, system_ns;  /* CPU time of what was profiled */
	bool is_exact;		      /* as the kernel counts it; else from the samples */
	uint64_t finish_ns;	      /* what the end took, up to the page */
	pid_t command_pid;	      /* 0: no command */
	int64_t command_ns;	      /* Unix: it runs since then */
	struct ap_wait_sum held_back; /* what the command waited until it was watched: left out */
};

/* The page for people and that for programs: 0 or -ENOMEM. */
int ap_stat_text(const struct ap_stat *s, struct ap_buf *out);
int ap_stat_json(const struct ap_stat *s, struct ap_buf *out);

/* How long what was profiled was watched: the command, until it ended. */
static inline uint64_t ap_stat_elapsed(const struct ap_stat *s)
{
	const struct ap_session *n = &s->session;

	return (n->end == AP_SESSION_END_TARGET && n->command ? n->child.ended_ns : n->end_ns) -
	       n->start_ns;
}

#endif
