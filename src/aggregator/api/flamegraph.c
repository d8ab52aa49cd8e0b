/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"
#include "profile/flamegraph_json.h"

static void answer_flamegraph(struct ap_http_request *req, const struct ap_api *api,
			      const struct ap_params *p)
{
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	_cleanup_buf_ struct ap_buf meta = {0};
	struct ap_coverage cov;
	struct ap_error err = {0};
	bool binary;
	int r;

	if (!ap_params_selection(p, "", &s) || !ap_answer_tree_format(p, &binary))
		return;
	r = ap_query_flamegraph(api->query, &s.query, &tree, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_coverage_expect_hosts(api->agents, &s.query, &cov);
	ap_answer_selection(&meta, &s.query);
	ap_answer_str(&meta, "filter", s.filter_text);
	ap_answer_coverage(&meta, &cov);
	ap_answer_tree(req, tree, binary, &meta);
}

bool ap_answer_tree_format(const struct ap_params *p, bool *ret_binary)
{
	static const char *const formats[] = {"json", "binary", NULL};
	struct ap_str accept = ap_http_header(p->req, "Accept"), given;
	unsigned int format;

	if (!ap_params_choice(p, "format", formats, &format))
		return false;
	*ret_binary = format == 1 || (!ap_params_get(p, "format", &given) && accept.p &&
				      strstr(accept.p, AP_FLAMEGRAPH_CONTENT_TYPE));
	return true;
}

void ap_answer_tree(struct ap_http_request *req, const struct ap_tree *tree, bool binary,
		    const struct ap_buf *meta)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = ap_buf_error(meta);

	if (r == 0 && binary)
		r = ap_flamegraph_write_binary(tree, ap_buf_view(meta), &b);
	else if (r == 0)
		ap_flamegraph_write_json(tree, ap_buf_view(meta), &b);
	if (r < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "the answer cannot be written: %s",
				    ap_strerror(r));
		return;
	}
	ap_http_reply(req, 200, binary ? AP_FLAMEGRAPH_CONTENT_TYPE : "application/json", &b);
}

void ap_api_flamegraph(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "format", NULL};
	struct ap_params p;

	if (ap_params_query(req, names, &p))
		answer_flamegraph(req, ctx, &p);
}

void ap_api_aggregate(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	struct ap_params p;

	if (ap_params_body(req, names, &p))
		answer_flamegraph(req, ctx, &p);
}

static void answer_callers(struct ap_http_request *req, const struct ap_api *api,
			   enum ap_sandwich_side side)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "function", "module", "format",
					    NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	_cleanup_buf_ struct ap_buf meta = {0};
	struct ap_tree_function f = {0};
	struct ap_error err = {0};
	struct ap_coverage cov;
	struct ap_params p;
	uint64_t selection;
	bool binary;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s) ||
	    !ap_answer_tree_format(&p, &binary))
		return;
	if (!ap_params_get(&p, "function", &f.name) || f.name.n == 0) {
		ap_http_reply_error(req, 400, "invalid_argument", "function",
				    "a function's name is needed: /api/v1/top lists them");
		return;
	}
	ap_params_get(&p, "module", &f.module);
	r = ap_query_callers(api->query, &s.query, &f, side, &tree, &selection, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_coverage_expect_hosts(api->agents, &s.query, &cov);
	ap_answer_selection(&meta, &s.query);
	ap_answer_str(&meta, "filter", s.filter_text);
	ap_answer_str(&meta, "function", f.name);
	if (f.module.p)
		ap_answer_str(&meta, "module", f.module);
	else
		ap_answer_null(&meta, "module");
	ap_answer_u64(&meta, "selection_total", selection);
	ap_answer_coverage(&meta, &cov);
	ap_answer_tree(req, tree, binary, &meta);
}

void ap_api_callers(struct ap_http_request *req, void *ctx)
{
	answer_callers(req, ctx, AP_SANDWICH_CALLERS);
}

void ap_api_callees(struct ap_http_request *req, void *ctx)
{
	answer_callers(req, ctx, AP_SANDWICH_CALLEES);
}
