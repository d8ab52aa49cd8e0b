/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of several endpoints have in common. JSON is appended to a buffer member by
 * member: ap_json_key() sees to the commas. */
#ifndef AP_AGGREGATOR_API_ANSWER_H
#define AP_AGGREGATOR_API_ANSWER_H

#include "aggregator/api/api.h"
#include "aggregator/api/params.h"
#include "base/json.h"

/* A question about a selection, on its way to its answer. */
struct ap_answer {
	struct ap_http_request *req;
	const struct ap_api *api;
	struct ap_params params;
	struct ap_selection selection;
	struct ap_coverage coverage;
	struct ap_error err;
	struct ap_buf b; /* the answer so far: an object that is open */
};
/* Reads the parameters, of which `names` are all, and from them the selection. False: answered. */
bool ap_answer_ask(struct ap_answer *a, struct ap_http_request *req, void *ctx,
		   const char *const *names);
/* Opens the answer to a question that ended with `r`. False: answered with the error. */
bool ap_answer_open(struct ap_answer *a, int r);
/* Adds the coverage and answers. */
void ap_answer_close(struct ap_answer *a);
void ap_answer_free(struct ap_answer *a);
#define _cleanup_answer_ _cleanup_(ap_answer_free)

/* Answers a failed question with the status that its error stands for. */
void ap_answer_query_error(struct ap_http_request *req, int code, const struct ap_error *err);

/* "coverage":{…} */
void ap_answer_coverage(struct ap_buf *b, const struct ap_coverage *cov);
/* "reasons":{…}, those that are not 0. */
void ap_answer_reasons(struct ap_buf *b, const uint64_t counts[AP_REASONS_MAX]);
/* "type":…,"unit":…,"from":…,"to":… */
void ap_answer_selection(struct ap_buf *b, const struct ap_query *q);

/* Opens "key":{ and "key":[, and the next object of an array; each is closed with its bracket. */
void ap_answer_object(struct ap_buf *b, const char *key);
void ap_answer_array(struct ap_buf *b, const char *key);
void ap_answer_element(struct ap_buf *b);

/* An agent as the next object of an array, or as the only one of an answer. */
void ap_answer_agent(struct ap_buf *b, const struct ap_agent_info *a, int64_t now_ns);

/* One member of an object. */
void ap_answer_str(struct ap_buf *b, const char *key, struct ap_str v);
void ap_answer_u64(struct ap_buf *b, const char *key, uint64_t v);
void ap_answer_i64(struct ap_buf *b, const char *key, int64_t v);
void ap_answer_null(struct ap_buf *b, const char *key);
void ap_answer_bool(struct ap_buf *b, const char *key, bool v);
/* null where `v` is negative: not known. */
void ap_answer_share(struct ap_buf *b, const char *key, double v);

/* "key":[…] of a series; AP_SERIES_NONE is null. */
void ap_answer_values(struct ap_buf *b, const char *key, const uint64_t *values, uint32_t n);

/* Whether a tree is asked for as binary columns, by `format` or Accept. False: answered. */
bool ap_answer_tree_format(const struct ap_params *p, bool *ret_binary);
/* Answers with a tree; `meta` holds the members that come before its own. */
void ap_answer_tree(struct ap_http_request *req, const struct ap_tree *tree, bool binary,
		    const struct ap_buf *meta);

/* Endpoints, by the file that holds them. */
ap_http_handler ap_api_flamegraph, ap_api_aggregate;			    /* flamegraph.c */
ap_http_handler ap_api_callers, ap_api_callees;				    /* flamegraph.c */
ap_http_handler ap_api_heatmap;						    /* heatmap.c */
ap_http_handler ap_api_diff, ap_api_diff_post;				    /* diff.c */
ap_http_handler ap_api_top, ap_api_series;				    /* tables.c */
ap_http_handler ap_api_syscalls;					    /* syscalls.c */
ap_http_handler ap_api_services;					    /* services.c */
ap_http_handler ap_api_locks;						    /* locks.c */
ap_http_handler ap_api_modules, ap_api_symbols_missing, ap_api_symbols_put; /* symbols.c */
ap_http_handler ap_api_profile_types, ap_api_labels, ap_api_label_values;   /* labels.c */
ap_http_handler ap_api_agents, ap_api_ledger;				    /* agents.c */
ap_http_handler ap_api_settings_put, ap_api_settings_reset;		    /* settings.c */
ap_http_handler ap_api_session, ap_api_session_begin, ap_api_session_end;   /* guard.c */
ap_http_handler ap_api_tokens, ap_api_tokens_add, ap_api_tokens_revoke;	    /* guard.c */
ap_http_handler ap_api_join, ap_api_audit_list;				    /* guard.c */
ap_http_handler ap_api_store;						    /* store.c */
ap_http_handler ap_api_export;						    /* export.c */
ap_http_handler ap_api_healthz, ap_api_health;				    /* status.c */
ap_http_handler ap_api_readyz, ap_api_aggregator;			    /* aggregator.c */
ap_http_handler ap_api_annotations, ap_api_annotations_add;		    /* annotations.c */
ap_http_handler ap_api_annotations_delete;				    /* annotations.c */
ap_http_handler ap_api_openapi, ap_api_batches;				    /* status.c */
ap_http_handler ap_api_metrics;						    /* metrics.c */
ap_http_handler ap_api_alerts, ap_api_alerts_add, ap_api_alerts_change;	    /* alerts.c */
ap_http_handler ap_api_alerts_delete, ap_api_alerts_toggle;		    /* alerts.c */
ap_http_handler ap_api_alerts_history, ap_api_alerts_evaluate;		    /* alerts.c */
ap_http_handler ap_api_alerts_dry_run;					    /* alerts.c */
ap_http_handler ap_api_alerts_silence, ap_api_alerts_unsilence;		    /* alerts.c */

#endif
