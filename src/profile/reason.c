/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind abi/ledger.h, expanded from abi/errors.def. */
#include "abi/ledger.h"
#include "abi/record.h"
#include "base/macro.h"

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

const char *ap_reason_name(uint32_t reason)
{
	return reason < AP_ARRAY_SIZE(reasons) ? reasons[reason].name : "unknown";
}

const char *ap_reason_text(uint32_t reason)
{
	return reason < AP_ARRAY_SIZE(reasons) ? reasons[reason].text : "unknown";
}
