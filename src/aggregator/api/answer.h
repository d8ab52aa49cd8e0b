/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of several endpoints have in common. JSON is appended to a buffer member by
 * member: ap_json_key() sees to the commas. */
#ifndef AP_AGGREGATOR_API_ANSWER_H
#define AP_AGGREGATOR_API_ANSWER_H

#include "aggregator/api/api.h"
#include "aggregator/api/params.h"
#include "base/json.h"

/* Answers a failed question with the status that its error stands for. */
void ap_answer_query_error(struct ap_http_request *req, int code, const struct ap_error *err);

/* Raises hosts_expected by agents that are known but silent. */
void ap_answer_expect_hosts(const struct ap_api *api, const struct ap_query *q,
			    struct ap_coverage *cov);
/* "coverage":{…} */
void ap_answer_coverage(struct ap_buf *b, const struct ap_coverage *cov);
/* "reasons":{…}, those that are not 0. */
void ap_answer_reasons(struct ap_buf *b, const uint64_t counts[AP_REASONS_MAX]);
/* "type":…,"unit":…,"from":…,"to":… */
void ap_answer_selection(struct ap_buf *b, const struct ap_query *q);

/* One member of an object. */
void ap_answer_str(struct ap_buf *b, const char *key, struct ap_str v);
void ap_answer_u64(struct ap_buf *b, const char *key, uint64_t v);
void ap_answer_i64(struct ap_buf *b, const char *key, int64_t v);
void ap_answer_bool(struct ap_buf *b, const char *key, bool v);
/* null where `v` is negative: not known. */
void ap_answer_share(struct ap_buf *b, const char *key, double v);

/* Whether a tree is asked for as binary columns, by `format` or Accept. False: answered. */
bool ap_answer_tree_format(const struct ap_params *p, bool *ret_binary);
/* Answers with a tree; `meta` holds the members that come before its own. */
void ap_answer_tree(struct ap_http_request *req, const struct ap_tree *tree, bool binary,
		    const struct ap_buf *meta);

/* Endpoints, by the file that holds them. */
ap_http_handler ap_api_flamegraph, ap_api_aggregate;			    /* flamegraph.c */
ap_http_handler ap_api_diff, ap_api_diff_post;				    /* diff.c */
ap_http_handler ap_api_top, ap_api_series;				    /* tables.c */
ap_http_handler ap_api_syscalls;					    /* syscalls.c */
ap_http_handler ap_api_services;					    /* services.c */
ap_http_handler ap_api_locks;						    /* locks.c */
ap_http_handler ap_api_modules, ap_api_symbols_missing, ap_api_symbols_put; /* symbols.c */
ap_http_handler ap_api_profile_types, ap_api_labels, ap_api_label_values;   /* labels.c */
ap_http_handler ap_api_agents, ap_api_ledger;				    /* agents.c */
ap_http_handler ap_api_store;						    /* store.c */
ap_http_handler ap_api_export;						    /* export.c */
ap_http_handler ap_api_healthz, ap_api_readyz, ap_api_health;		    /* status.c */
ap_http_handler ap_api_openapi, ap_api_batches;				    /* status.c */
ap_http_handler ap_api_metrics;						    /* metrics.c */

#endif
