/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the records of abi/record.h. */
#ifndef AP_AGENT_RECORD_H
#define AP_AGENT_RECORD_H

#include "abi/kernel_lock.h"
#include "abi/ledger.h"
#include "abi/offcpu.h"
#include "abi/syscall.h"
#include "abi/unwind.h"
#include "base/macro.h"

/* A record taken apart. Pointers borrow from the record; stacks lie at 4-byte alignment there. */
struct ap_record_view {
	struct ap_record head;
	const char *comm; /* char[16], all zero where the record has none */
	const uint8_t *kernel, *user;
	uint32_t n_kernel, n_user;	/* frames, leaf first; see ap_record_address() */
	struct ap_file_notice notice;	/* AP_RECORD_FILE: is there */
	struct ap_wait wait;		/* AP_RECORD_OFFCPU, _WAKER: is there */
	struct ap_wait_sums sums;	/* AP_RECORD_WAIT_SUMS: are there */
	struct ap_syscall_told syscall; /* AP_RECORD_SYSCALL: is there */
	struct ap_lock lock; /* who ended the wait, or waited; all zero: not known. comm not
				NUL-terminated */
	bool has_lock;	     /* the wait was for one, lock.address */
	struct ap_kernel_lock kernel_lock; /* AP_RECORD_KERNEL_LOCK: is there */
	uint64_t waits;			   /* the same: how many that ended it tells of */
};

/* Checks every length: 0, or -EINVAL with the record to be skipped. Sections of unknown kinds are
 * skipped; of a kind that comes twice the last counts. */
int ap_record_parse(const void *record, size_t n, struct ap_record_view *ret);

/* How many sampling periods, waits or system calls the record tells of, once for each event that they are rows of. A
 * wait that goes on counts when it ends. */
uint64_t ap_record_count(const struct ap_record_view *v);

static inline uint64_t ap_record_address(const uint8_t *frames, uint32_t i)
{
	uint64_t v;

	__builtin_memcpy(&v, frames + (size_t)i * 8, sizeof(v));
	return v;
}

#endif
