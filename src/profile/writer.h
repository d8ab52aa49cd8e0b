/* SPDX-License-Identifier: Apache-2.0 */
/* What the format writers share; everyone else uses profile/format.h. */
#ifndef AP_PROFILE_WRITER_H
#define AP_PROFILE_WRITER_H

#include "profile/format.h"

/* Output on its way to a sink: writers append to `buf` and call ap_out_pass() between items. */
struct ap_out {
	struct ap_buf buf;
	struct ap_sink sink;
	int err; /* of the sink, sticky */
};

/* Hands on what has gathered, if it is enough to be worth it. */
void ap_out_pass(struct ap_out *o);
/* Hands on the rest; 0 or the first error of the buffer or the sink. */
int ap_out_finish(struct ap_out *o);

/* What every writer is given; `o` is never NULL and its type is settled. */
struct ap_write_job {
	const struct ap_profile *p;
	struct ap_format_options o;
	struct ap_out out;
	struct ap_error *err;
};

int ap_write_json(struct ap_write_job *job);
int ap_write_collapsed(struct ap_write_job *job);
int ap_write_pprof(struct ap_write_job *job);
int ap_write_speedscope(struct ap_write_job *job);
int ap_write_svg(struct ap_write_job *job);
int ap_write_html(struct ap_write_job *job);

/* The title that was given, or "Aperture: CPU time". */
void ap_write_title(const struct ap_write_job *job, struct ap_buf *out);
/* The tree that a picture shows. `ret_grouped`: its first level is a label's values. */
int ap_write_tree(const struct ap_write_job *job, struct ap_tree **ret, bool *ret_grouped);
/* Whether the rows carry the time of each sample, not the second they were aggregated into. */
bool ap_profile_has_exact_times(const struct ap_profile *p);

#endif
