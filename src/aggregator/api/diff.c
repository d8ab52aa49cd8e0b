/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

#define FUNCTIONS_MAX 200

static const char *const modes[] = {"normalised", "absolute", NULL};

static void answer_side(struct ap_buf *b, const char *key, const struct ap_selection *s,
			uint64_t total, const struct ap_coverage *cov)
{
	ap_answer_object(b, key);
	ap_answer_i64(b, "from", s->query.from_ms);
	ap_answer_i64(b, "to", s->query.to_ms);
	ap_answer_str(b, "type", ap_str_of(s->query.type->name));
	ap_answer_str(b, "filter", s->filter_text);
	ap_answer_u64(b, "total", total);
	ap_answer_coverage(b, cov);
	ap_buf_byte(b, '}');
}

static void answer_functions(struct ap_buf *b, const struct ap_top *top)
{
	ap_answer_array(b, "functions");
	for (uint32_t i = 0; i < top->n; i++) {
		const struct ap_top_row *f = &top->rows[i];

		ap_answer_element(b);
		ap_answer_str(b, "function", f->name);
		ap_answer_str(b, "module", f->module);
		ap_answer_u64(b, "self_a", f->self[0]);
		ap_answer_u64(b, "self_b", f->self[1]);
		ap_answer_u64(b, "total_a", f->total[0]);
		ap_answer_u64(b, "total_b", f->total[1]);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
}

/* Values of different units cannot be compared. */
static bool check_units(struct ap_http_request *req, const struct ap_query *a,
			const struct ap_query *b)
{
	if (strcmp(a->type->unit, b->type->unit) == 0)
		return true;
	ap_http_reply_error(req, 400, "invalid_argument", "b.type",
			    "%s (%s) cannot be compared with %s (%s)", b->type->name, b->type->unit,
			    a->type->name, a->type->unit);
	return false;
}

static void answer_diff(struct ap_http_request *req, const struct ap_api *api,
			const struct ap_params *p)
{
	_cleanup_selection_ struct ap_selection a = {0}, b = {0};
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	_cleanup_buf_ struct ap_buf meta = {0};
	struct ap_coverage cov[2];
	struct ap_error err = {0};
	unsigned int mode;
	bool binary;
	int r;

	if (!ap_params_selection(p, "a.", &a) || !ap_params_selection(p, "b.", &b) ||
	    !ap_params_choice(p, "mode", modes, &mode) || !ap_answer_tree_format(p, &binary) ||
	    !check_units(req, &a.query, &b.query))
		return;
	r = ap_query_diff(api->query, &a.query, &b.query, FUNCTIONS_MAX, &tree, &top, cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_coverage_expect_hosts(api->agents, &a.query, &cov[0]);
	ap_coverage_expect_hosts(api->agents, &b.query, &cov[1]);
	ap_answer_str(&meta, "unit", ap_str_of(a.query.type->unit));
	ap_answer_str(&meta, "mode", ap_str_of(modes[mode]));
	answer_side(&meta, "a", &a, tree->total[0][0], &cov[0]);
	answer_side(&meta, "b", &b, tree->total[1][0], &cov[1]);
	answer_functions(&meta, top);
	ap_answer_tree(req, tree, binary, &meta);
}

#define SIDE(s) s ".from", s ".to", s ".type", s ".filter"

void ap_api_diff(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {SIDE("a"), SIDE("b"), "max_nodes",
					    "mode",    "format",  NULL};
	struct ap_params p;

	if (ap_params_query(req, names, &p))
		answer_diff(req, ctx, &p);
}

void ap_api_diff_post(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {SIDE("a"), SIDE("b"), "max_nodes", "mode", NULL};
	struct ap_params p;

	if (ap_params_body(req, names, &p))
		answer_diff(req, ctx, &p);
}
