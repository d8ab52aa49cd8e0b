/* SPDX-License-Identifier: Apache-2.0 */
/* The batcher: takes what the aggregation table gathered, names it and makes a profile of it.
 *
 * New frames are symbolised here, off the ring reader's thread: all of a file's at once. Losses
 * are counted in the ledger (stage "batch"), in sampling periods.
 */
#ifndef AP_AGENT_BATCH_H
#define AP_AGENT_BATCH_H

#include "abi/ledger.h"
#include "agent/labels.h"
#include "profile/profile.h"
#include "symbol/symbolizer.h"

struct ap_rows; /* agent/rows.h */

struct ap_batcher_opts {
	struct ap_str host;		    /* label "host"; copied */
	struct ap_str service;		    /* --service; empty: found per process; copied */
	const struct ap_user_label *labels; /* --label; copied */
	size_t n_labels;
	struct ap_symbolizer *symbolizer; /* borrowed; NULL: nothing is named */
	struct ap_kube_names *kube;	  /* borrowed; NULL: no Kubernetes names */
	struct ap_ledger *ledger;	  /* borrowed; NULL: nothing is counted */
};

struct ap_batcher;

/* NULL = out of memory. */
struct ap_batcher *ap_batcher_new(const struct ap_batcher_opts *opts);
void ap_batcher_free(struct ap_batcher *b);
AP_DEFINE_CLEANUP(batcher, struct ap_batcher, ap_batcher_free)

/* Makes a profile of `rows`, which stay the caller's; the profile is the caller's to free. A row
 * that there is no memory for is counted as lost and the others go on; -ENOMEM only where there
 * is none for a profile at all, and then all rows are counted. */
int ap_batcher_build(struct ap_batcher *b, const struct ap_rows *rows, struct ap_profile **ret,
		     struct ap_error *err);

/* Sampling periods of the last built batch by enum ap_reason. */
const uint64_t *ap_batcher_reasons(const struct ap_batcher *b); /* AP_REASONS_MAX entries */

#endif
