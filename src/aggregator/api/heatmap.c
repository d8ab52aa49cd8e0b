/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

void ap_api_heatmap(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "step", "rows", NULL};
	_cleanup_heatmap_ struct ap_heatmap map = {0};
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	const struct ap_series *s;
	uint64_t rows;
	int64_t step;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) || !ap_params_step(&a.params, q, &step) ||
	    !ap_params_uint(&a.params, "rows", 1, AP_HEATMAP_ROWS_MAX, 0, &rows))
		return;
	r = ap_query_heatmap(a.api->query, q, step, (uint32_t)rows, &map, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	s = map.series;
	ap_answer_str(&a.b, "type", ap_str_of(q->type->name));
	ap_answer_str(&a.b, "unit", ap_str_of(q->type->unit));
	ap_answer_i64(&a.b, "from", s->from_ms);
	ap_answer_i64(&a.b, "to", s->to_ms);
	ap_answer_i64(&a.b, "step_ms", s->step_ms);
	ap_answer_u64(&a.b, "rows", map.n_rows);
	ap_answer_u64(&a.b, "columns", map.n_columns);
	ap_answer_values(&a.b, "cells", s->rows[0].values, s->n_steps);
	ap_answer_u64(&a.b, "max", map.max);
	ap_answer_u64(&a.b, "total", s->rows[0].total);
	ap_answer_close(&a);
}
