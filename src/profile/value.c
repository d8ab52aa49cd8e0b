/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/value.h"

#include <stdio.h>

void ap_value_grouped(struct ap_buf *out, uint64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			ap_buf_byte(out, ',');
		ap_buf_byte(out, (uint8_t)digits[i]);
	}
}

static void duration(struct ap_buf *out, uint64_t ns)
{
	static const struct {
		double ns;
		const char *unit;
	} units[] = {{3600e9, "h"}, {60e9, "min"}, {1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}};
	double v = (double)ns;

	for (size_t i = 0; i < AP_ARRAY_SIZE(units); i++) {
		/* A quotient that would be rounded up to the next unit's 1 belongs there. */
		double q = v / units[i].ns;

		if (q < 0.9995)
			continue;
		ap_buf_printf(out, "%.*f %s", q < 9.995 ? 2 : q < 99.95 ? 1 : 0, q, units[i].unit);
		return;
	}
	ap_buf_printf(out, "%llu ns", (unsigned long long)ns);
}

void ap_value_text(struct ap_buf *out, uint64_t value, const char *unit)
{
	if (strcmp(unit, "nanoseconds") == 0) {
		duration(out, value);
		return;
	}
	ap_value_grouped(out, value);
	if (strcmp(unit, "samples") == 0)
		ap_buf_puts(out, value == 1 ? " sample" : " samples");
}

void ap_value_percent(struct ap_buf *out, uint64_t part, uint64_t whole)
{
	double share = whole ? 100 * (double)part / (double)whole : 0;

	if (share > 0 && share < 0.1)
		ap_buf_puts(out, "<0.1 %");
	else if (share >= 99.95 && part < whole)
		ap_buf_puts(out, ">99.9 %");
	else
		ap_buf_printf(out, share == 0 ? "%.0f %%" : "%.1f %%", share);
}
