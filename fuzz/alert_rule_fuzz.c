/* SPDX-License-Identifier: Apache-2.0 */
/* An alert rule's JSON: any bytes are refused with a message, or become a rule whose own JSON is read back
 * to the same. */
#include "aggregator/alert/rule.h"

static void write_rule(const struct ap_alert_rule *r, struct ap_buf *out)
{
	ap_buf_byte(out, '{');
	ap_alert_rule_json(out, r);
	ap_buf_byte(out, '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *r = NULL, *again = NULL;
	_cleanup_buf_ struct ap_buf once = {0}, twice = {0};
	struct ap_error err = {0};
	const char *field;

	if (ap_alert_rule_parse_text((struct ap_str){(const char *)data, size}, &r, &field, &err) <
	    0) {
		if (!err.msg[0] || r)
			abort();
		return 0;
	}
	write_rule(r, &once);
	if (ap_alert_rule_parse_text(ap_buf_view(&once), &again, &field, &err) < 0)
		abort();
	write_rule(again, &twice);
	if (!ap_str_eq(ap_buf_view(&once), ap_buf_view(&twice)))
		abort();
	return 0;
}
