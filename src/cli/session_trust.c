/* SPDX-License-Identifier: Apache-2.0 */
/* How far what was sampled can be trusted, in a person's words. */
#include <inttypes.h>

#include "cli/session.h"
#include "profile/value.h"

void ap_session_complete_text(const struct ap_ledger *l, struct ap_buf *out)
{
	uint64_t all = 0, complete = 0;
	const char *separator = "; others: ";

	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t n = __atomic_load_n(&l->stacks[i], __ATOMIC_RELAXED);

		all += n;
		if (ap_reason_is_complete(i))
			complete += n;
	}
	ap_buf_puts(out, "complete stacks: ");
	ap_value_percent(out, complete, all);
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t n = __atomic_load_n(&l->stacks[i], __ATOMIC_RELAXED);

		if (n == 0 || ap_reason_is_complete(i))
			continue;
		ap_buf_puts(out, separator);
		ap_value_percent(out, n, all);
		ap_buf_printf(out, " %s", ap_reason_text(i));
		separator = ", ";
	}
	ap_buf_byte(out, '\n');
}

void ap_session_lost_calls_text(const struct ap_ledger *l, struct ap_buf *out)
{
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t n = ap_ledger_get(l, e->id);

		if (n && (ap_ledger_is_lost_call(e->id) || e->id == AP_LEDGER_SYSCALL_NO_START))
			ap_buf_printf(out, "%s: %" PRIu64 " system call%s %s: %s\n",
				      ap_ledger_is_lost_call(e->id) ? "lost" : "not in the table",
				      n, n == 1 ? "" : "s", e->name, e->text);
	}
}

void ap_session_lost_text(const struct ap_ledger *l, struct ap_buf *out)
{
	uint64_t lost = ap_ledger_lost(l);
	const char *separator = " (";

	if (lost == 0) {
		ap_buf_puts(out, "lost: none\n");
		return;
	}
	ap_buf_printf(out, "lost: %" PRIu64 " sample%s", lost, lost == 1 ? "" : "s");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t n = ap_ledger_get(l, e->id);

		if (n == 0 || !ap_ledger_is_lost(e->id))
			continue;
		ap_buf_printf(out, "%s%" PRIu64 " %s: %s", separator, n, e->name, e->text);
		separator = ", ";
	}
	ap_buf_puts(out, ")\n");
}
