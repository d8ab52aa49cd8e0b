/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/alerts.h"

static const char *text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "-";
}

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void put_name(struct ap_buf *out, const json_t *name)
{
	ap_remote_put_text(out, name, 0);
	ap_buf_byte(out, '\n');
}

static void put_value(struct ap_buf *out, const json_t *object)
{
	const json_t *v = json_object_get(object, "value");
	char t[32] = "-";

	if (json_is_number(v))
		snprintf(t, sizeof(t), "%.4g", json_number_value(v));
	ap_buf_printf(out, "%10s", t);
}

void ap_alerts_put_list(struct ap_buf *out, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "state_error"), *v;
	size_t i;

	ap_buf_printf(out, "%5s  %-13s %-9s%10s  %-20s%s\n", "ID", "STATE", "SEVERITY", "VALUE",
		      "SINCE", "RULE");
	json_array_foreach(json_object_get(answer, "rules"), i, v)
	{
		const json_t *status = json_object_get(v, "status");
		bool on = json_is_true(json_object_get(v, "enabled"));
		bool quiet = json_is_true(json_object_get(status, "silenced"));

		ap_buf_printf(out, "%5lld  %-12s%c %-9s", number(v, "id"),
			      on ? text(status, "state") : "off", quiet ? '*' : ' ',
			      text(v, "severity"));
		put_value(out, status);
		ap_buf_puts(out, "  ");
		ap_remote_put_time(out, json_object_get(status, "since"));
		ap_buf_byte(out, ' ');
		put_name(out, json_object_get(v, "name"));
		if (on && json_is_string(json_object_get(status, "error"))) {
			ap_buf_printf(out, "%7s", "");
			put_name(out, json_object_get(status, "error"));
		}
	}
	json_array_foreach(json_object_get(answer, "silences"), i, v)
	{
		ap_buf_printf(out, "* silence %lld of ", number(v, "id"));
		if (json_is_null(json_object_get(v, "rule")))
			ap_buf_puts(out, "all rules until ");
		else
			ap_buf_printf(out, "rule %lld until ", number(v, "rule"));
		ap_remote_put_time(out, json_object_get(v, "until"));
		ap_buf_byte(out, ' ');
		put_name(out, json_object_get(v, "comment"));
	}
	if (json_is_string(error)) {
		ap_buf_puts(out, "States and history cannot be saved: ");
		put_name(out, error);
	}
}

void ap_alerts_put_history(struct ap_buf *out, const json_t *answer)
{
	const json_t *events = json_object_get(answer, "events"), *v;
	long long more = number(answer, "total") - (long long)json_array_size(events);
	size_t i;

	json_array_foreach(events, i, v)
	{
		ap_remote_put_time(out, json_object_get(v, "at"));
		ap_buf_byte(out, ' ');
		ap_buf_printf(out, "%5lld  %-12s > %-12s", number(v, "rule"), text(v, "from"),
			      text(v, "to"));
		put_value(out, v);
		ap_buf_puts(out, "  ");
		put_name(out, json_object_get(v, "name"));
	}
	if (more > 0)
		ap_buf_printf(out, "and %lld more events\n", more);
}

void ap_alerts_put_dry_run(struct ap_buf *out, const json_t *answer)
{
	const json_t *cut = json_object_get(answer, "truncated"), *v;
	size_t i;

	json_array_foreach(json_object_get(answer, "events"), i, v)
	{
		ap_remote_put_time(out, json_object_get(v, "at"));
		ap_buf_byte(out, ' ');
		ap_buf_printf(out, "%-12s > %s\n", text(v, "from"), text(v, "to"));
	}
	ap_buf_printf(out,
		      "Over the last day it would have fired %lld times, for %lld minutes in "
		      "all.\n",
		      number(answer, "fired"), number(answer, "firing_s") / 60);
	if (json_is_object(cut))
		ap_buf_printf(out,
			      "%lld readings, the latest ones, took too long and are missing.\n",
			      number(cut, "cut"));
}
