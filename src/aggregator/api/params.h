/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a request, whether they come in the query or as a JSON body. Each function
 * returns false after it has answered the request with a 400 that names the field: the handler then
 * returns. */
#ifndef AP_AGGREGATOR_API_PARAMS_H
#define AP_AGGREGATOR_API_PARAMS_H

#include "aggregator/query/query.h"
#include "http/server.h"

/* Named values. A body's nested objects are flattened: {"a":{"from":1}} is "a.from". */
struct ap_params {
	struct ap_http_request *req;
	const struct ap_http_param *p;
	size_t n;
	int64_t now_ms; /* what "now" means in all of this request's times */
};

/* The names that every read takes; for the lists below. */
#define AP_PARAMS_SELECTION "from", "to", "type", "filter", "max_nodes"

/* `names` (NULL-terminated) are those that the endpoint knows: any other, or one given twice, is an
 * error. */
bool ap_params_query(struct ap_http_request *req, const char *const *names, struct ap_params *ret);
/* The body must be a JSON object; its values strings or integers. */
bool ap_params_body(struct ap_http_request *req, const char *const *names, struct ap_params *ret);

/* False only says that it is not given; nothing has been answered. */
bool ap_params_get(const struct ap_params *p, const char *name, struct ap_str *ret);
bool ap_params_uint(const struct ap_params *p, const char *name, uint64_t min, uint64_t max,
		    uint64_t fallback, uint64_t *ret);
/* One of `choices` (NULL-terminated), the first of which is the default. */
bool ap_params_choice(const struct ap_params *p, const char *name, const char *const *choices,
		      unsigned int *ret);
/* A label's name; `required`: it must be given, else it may be empty. */
bool ap_params_label(const struct ap_params *p, const char *name, bool required,
		     struct ap_str *ret);

/* The parameter "step" for a query's range, in milliseconds: whole seconds, no more than
 * AP_SERIES_STEPS_MAX of them; 0 where it is not given. */
bool ap_params_step(const struct ap_params *p, const struct ap_query *q, int64_t *ret_ms);

/* What to aggregate: from, to, type and filter, each with `prefix` ("", "a.", "b.") before its
 * name, and max_nodes without it. */
struct ap_selection {
	struct ap_query query; /* refers to `filter` */
	struct ap_filter *filter;
	struct ap_str filter_text;
};
bool ap_params_selection(const struct ap_params *p, const char *prefix, struct ap_selection *ret);
void ap_selection_free(struct ap_selection *s);
#define _cleanup_selection_ _cleanup_(ap_selection_free)

#endif
