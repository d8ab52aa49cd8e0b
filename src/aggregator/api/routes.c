/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

#define BODY_MAX    (64u << 10)
#define SYMBOLS_MAX (4u << 20)

/* Quick: those that ask neither the store nor more than a few locks. */
const struct ap_http_route ap_api_routes[] = {
	{AP_HTTP_GET, "/healthz", ap_api_healthz, .quick = true},
	{AP_HTTP_GET, "/readyz", ap_api_readyz, .quick = true},
	{AP_HTTP_GET, "/metrics", ap_api_metrics, .quick = true},
	{AP_HTTP_GET, "/api/openapi.json", ap_api_openapi, .quick = true},
	{AP_HTTP_GET, "/api/health", ap_api_health, .quick = true},
	{AP_HTTP_GET, "/api/batches", ap_api_batches},
	{AP_HTTP_GET, "/api/v1/profile-types", ap_api_profile_types},
	{AP_HTTP_GET, "/api/v1/labels", ap_api_labels},
	{AP_HTTP_GET, "/api/v1/label-values", ap_api_label_values},
	{AP_HTTP_GET, "/api/v1/services", ap_api_services},
	{AP_HTTP_GET, "/api/v1/agents", ap_api_agents},
	{AP_HTTP_GET, "/api/v1/ledger", ap_api_ledger},
	{AP_HTTP_GET, "/api/v1/flamegraph", ap_api_flamegraph},
	{AP_HTTP_GET, "/api/v1/top", ap_api_top},
	{AP_HTTP_GET, "/api/v1/series", ap_api_series},
	{AP_HTTP_GET, "/api/v1/syscalls", ap_api_syscalls},
	{AP_HTTP_GET, "/api/v1/diff", ap_api_diff},
	{AP_HTTP_GET, "/api/v1/locks", ap_api_locks},
	{AP_HTTP_GET, "/api/v1/modules", ap_api_modules},
	{AP_HTTP_GET, "/api/v1/symbols/missing", ap_api_symbols_missing},
	{AP_HTTP_GET, "/api/v1/store", ap_api_store},
	{AP_HTTP_POST, "/api/v1/symbols", ap_api_symbols_put, .max_body = SYMBOLS_MAX},
	{AP_HTTP_POST, "/api/aggregate", ap_api_aggregate, .max_body = BODY_MAX},
	{AP_HTTP_POST, "/api/diff", ap_api_diff_post, .max_body = BODY_MAX},
	{AP_HTTP_GET, "/api/export/:format", ap_api_export},
};
const size_t ap_api_route_count = AP_ARRAY_SIZE(ap_api_routes);
