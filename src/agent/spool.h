/* SPDX-License-Identifier: Apache-2.0 */
/* Batches on disk until the aggregator has acknowledged them, whenever that is: across its absence and the
 * agent's own restarts. Bounded. Thread-safe but for its opening. */
#ifndef AP_AGENT_SPOOL_H
#define AP_AGENT_SPOOL_H

#include "abi/ledger.h"
#include "base/journal.h"

struct ap_spool;

/* What a batch holds, in the units of the ledger's stages "push" and "syscall_push". */
struct ap_push_units {
	uint64_t periods, calls;
};

/* A batch without its bytes. */
struct ap_spooled {
	struct ap_push_units units;
	struct ap_journal_at at;
	size_t bytes; /* of the request */
};

/* Opens the spool in the folder and hands over what an earlier run left, oldest first; a negative value of `fn`
 * ends the opening. `max_bytes` 0 = 512 MiB. Errors as ap_journal_open(). */
int ap_spool_open(const char *dir, uint64_t max_bytes,
		  int (*fn)(void *ctx, const struct ap_spooled *batch), void *ctx,
		  struct ap_spool **ret, struct ap_error *err);
void ap_spool_close(struct ap_spool *s);
AP_DEFINE_CLEANUP(spool, struct ap_spool, ap_spool_close)

/* The batch, in which those ledger deltas travel (`stacks` are left out), is on disk when it returns 0, and
 * batch->at says where. -E2BIG: the bound is reached, and an older
 * one has to go first; -EFBIG; or -ENOSPC, -EIO, … of the disk. */
int ap_spool_add(struct ap_spool *s, struct ap_str request, const struct ap_ledger *deltas,
		 struct ap_spooled *batch);
/* Appends the bytes of its request and adds its deltas to the ledger; either may be NULL. -EBADMSG, -EIO, -ENOENT,
 * -ENOMEM. */
int ap_spool_read(struct ap_spool *s, const struct ap_journal_at *at, struct ap_buf *ret,
		  struct ap_ledger *deltas);
/* Counts a batch that cannot be read as damaged, and puts its bytes aside: see base/journal.h. */
void ap_spool_set_aside(struct ap_spool *s, const struct ap_journal_at *at);
/* It is not needed any more. */
void ap_spool_done(struct ap_spool *s, const struct ap_journal_at *at);
void ap_spool_get_stats(struct ap_spool *s, struct ap_journal_stats *ret);

#endif
