/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aperture record` share. */
#ifndef AP_CLI_RECORD_H
#define AP_CLI_RECORD_H

#include "cli/output.h"
#include "cli/session.h"

struct ap_record_settings {
	struct ap_session_settings session;
	bool quiet;
	char *output, *ledger, *ui_dir;
	uint32_t format;
};

struct ap_recording {
	const struct ap_record_settings *set;
	struct ap_session session;
	enum ap_format format;
	char *html_template; /* NULL: not needed */
	struct ap_output out;
};

/* What a picture of the recording shows: CPU time, time off the CPU, or both. */
const struct ap_profile_type *ap_record_type(const struct ap_recording *r);

/* Whether it counts system calls and nothing else: a table is what it writes. */
static inline bool ap_record_counts_only(const struct ap_recording *r)
{
	return r->session.modes == AP_MODE_SYSCALL &&
	       !ap_syscall_stacks_asked(&r->session.syscalls);
}

/* The locks of the kernel that were waited for longest, as a table for people: 0 or -ENOMEM. */
int ap_record_locks_text(const struct ap_recording *r, struct ap_buf *out);

/* What a recording shows at its end, as text for stderr. */
void ap_record_summary(const struct ap_recording *r, struct ap_buf *out);

#endif
