/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that ship. They are written once, into a new file, and are the user's from then on. */
#include "aggregator/alert/engine_internal.h"

static const char *const texts[] = {
	"{\"name\":\"Agent silent\",\"description\":\"An agent has not been heard for two minutes and "
	"did not say that it stops. Look at its log, and whether its host is up.\","
	"\"severity\":\"critical\",\"metric\":\"agent_silent\",\"operator\":\"gt\",\"threshold\":120}",
	"{\"name\":\"Samples lost\",\"description\":\"More than 5 % of the sampling periods of the last "
	"five minutes were lost. The ledger on the Agents page says where.\",\"severity\":\"warning\","
	"\"metric\":\"loss_share\",\"operator\":\"gt\",\"threshold\":0.05,\"recover\":0.03,\"for_s\":300}",
	"{\"name\":\"Disk almost full\",\"description\":\"Less than 10 % of the file system with the "
	"profiles is free. Keep them for a shorter time (--retention), or make room.\","
	"\"severity\":\"critical\",\"metric\":\"disk_free_share\",\"operator\":\"lt\","
	"\"threshold\":0.1,\"recover\":0.12,\"for_s\":60}",
	"{\"name\":\"Store behind\",\"description\":\"Rows have waited for the store for more than five "
	"minutes: it is not reached, or does not keep up. Its last error is on the Settings page.\","
	"\"severity\":\"warning\",\"metric\":\"clickhouse_lag\",\"operator\":\"gt\","
	"\"threshold\":300,\"recover\":60,\"for_s\":60}",
	"{\"name\":\"Write-ahead log almost full\",\"description\":\"The store does not keep up, and "
	"agents will soon have to wait. Its last error is on the Settings page.\","
	"\"severity\":\"critical\",\"metric\":\"wal_utilization\",\"operator\":\"gt\","
	"\"threshold\":0.8,\"recover\":0.6,\"for_s\":60}",
	"{\"name\":\"Stacks incomplete\",\"description\":\"More than 5 % of the stacks do not reach their "
	"outermost frame. The reasons are in the ledger on the Agents page.\",\"severity\":\"warning\","
	"\"metric\":\"incomplete_share\",\"operator\":\"gt\",\"threshold\":0.05,\"recover\":0.03,"
	"\"for_s\":600}",
};

int ap_alert_add_defaults(struct ap_database *db, struct ap_error *err)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(texts); i++) {
		_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *rule = NULL;
		int r = ap_alert_rule_parse_text(ap_str_of(texts[i]), &rule, NULL, err);

		if (r == 0)
			r = ap_alert_db_put_rule(db, 0, rule, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}
