/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind abi/ledger.h, expanded from abi/errors.def. */
#include "abi/ledger.h"
#include "abi/record.h"
#include "base/macro.h"
#include "base/str.h"

const struct ap_ledger_entry ap_ledger_entries[] = {
#define AP_LEDGER(id, num, stage, name, kind, text) \
	{AP_LEDGER_##id, stage, name, AP_LEDGER_KIND_##kind, text},
#include "abi/errors.def"
};
const uint32_t ap_ledger_entry_count = AP_ARRAY_SIZE(ap_ledger_entries);

static const struct {
	const char *name, *text;
} reasons[] = {
#define AP_REASON(id, num, name, text) [num] = {name, text},
#include "abi/errors.def"
};

/* The numbers have gaps. */
static bool known(uint32_t reason)
{
	return reason < AP_ARRAY_SIZE(reasons) && reasons[reason].name;
}

const char *ap_reason_name(uint32_t reason)
{
	return known(reason) ? reasons[reason].name : "unknown";
}

const char *ap_reason_text(uint32_t reason)
{
	return known(reason) ? reasons[reason].text : "unknown";
}

bool ap_reason_is_complete(uint32_t reason)
{
	return reason == AP_REASON_OK || reason == AP_REASON_KERNEL_ONLY ||
	       reason == AP_REASON_SHORT_WAIT;
}

double ap_reason_complete_share(const uint64_t counts[AP_REASONS_MAX])
{
	double all = 0, complete = 0;

	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (i == AP_REASON_SHORT_WAIT)
			continue;
		all += (double)counts[i];
		if (ap_reason_is_complete(i))
			complete += (double)counts[i];
	}
	return all > 0 ? complete / all : -1;
}

static const struct ap_ledger_entry *entry_of(enum ap_ledger_id id)
{
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++)
		if (ap_ledger_entries[i].id == id)
			return &ap_ledger_entries[i];
	return NULL;
}

/* The stages in which system calls are counted. A stack of one that could not be taken is a sample. */
static bool is_of_calls(const struct ap_ledger_entry *e)
{
	return strcmp(e->stage, "syscall") == 0 || strcmp(e->stage, "syscall_push") == 0;
}

bool ap_ledger_is_lost_call(enum ap_ledger_id id)
{
	const struct ap_ledger_entry *e = entry_of(id);

	return e && id != AP_LEDGER_SYSCALL_NO_START && id != AP_LEDGER_SYSCALL_PUSH_KEPT &&
	       e->kind == AP_LEDGER_KIND_LOSS && is_of_calls(e);
}

bool ap_ledger_is_lost(enum ap_ledger_id id)
{
	const struct ap_ledger_entry *e = entry_of(id);

	switch (id) {
	case AP_LEDGER_SAMPLE_IDLE:
	case AP_LEDGER_SAMPLE_FILTERED:
	case AP_LEDGER_SAMPLE_THINNED:
	case AP_LEDGER_PUSH_KEPT:
	case AP_LEDGER_INGEST_DUPLICATE:
	case AP_LEDGER_INGEST_BACKPRESSURE:
	case AP_LEDGER_STORE_FAILED:
	case AP_LEDGER_SYSCALL_STACK_LIMITED:
	case AP_LEDGER_KERNEL_LOCK_NO_BEGIN:
		return false;
	default:
		break;
	}
	return e && e->kind == AP_LEDGER_KIND_LOSS && !is_of_calls(e);
}

uint64_t ap_ledger_lost(const struct ap_ledger *l)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		if (ap_ledger_is_lost(ap_ledger_entries[i].id))
			lost += ap_ledger_get(l, ap_ledger_entries[i].id);
	}
	return lost;
}
