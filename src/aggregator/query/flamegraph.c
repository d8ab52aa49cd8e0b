/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are made of stacks: flame graph, comparison, top functions, export. */
#include "aggregator/query/internal.h"
#include "base/clock.h"
#include "profile/merge.h"
#include "profile/tree_builder.h"

/* One selection: its stacks in the dictionary, and what they rest on. */
struct side {
	struct ap_range range;
	struct ap_sums sums;
	struct ap_coverage *coverage;
	uint64_t missing;
};

static int ask_hosts(struct ap_question *q, void *ctx)
{
	struct side *side = ctx;

	return ap_coverage_hosts(q, &side->range, side->coverage);
}

static int ask_stacks(struct ap_question *q, void *ctx)
{
	struct side *side = ctx;
	int r = ap_sums_collect(q, &side->range, NULL, 0, &side->sums);

	return r < 0 ? r : ap_sums_resolve(q, &side->range, &side->sums, &side->missing);
}

static int collect(struct ap_question *q, const struct ap_query *query, struct side *side,
		   struct ap_coverage *c)
{
	int r;

	side->range = ap_range_of(query);
	ap_range_settle(q, &side->range);
	side->coverage = c;
	r = ap_question_both(q, ask_stacks, side, ask_hosts, side);
	if (r < 0)
		return r;
	ap_coverage_sums(q, &side->sums, c);
	if (side->missing) {
		c->truncated = "stacks";
		c->cut = side->missing;
	}
	return 0;
}

static int add_side(const struct ap_question *q, const struct side *side, struct ap_tree_builder *b,
		    unsigned int number)
{
	int r = 0;

	AP_VEC_FOREACH(&side->sums.v, sum) {
		r = ap_tree_add_path(b, q->dictionary->known.p[sum->stack].path,
				     ap_range_number(&side->range, sum->count, sum->value), number);
		if (r < 0)
			break;
	}
	return r;
}

/* What becomes of the stacks. */
struct shape {
	uint32_t max_nodes; /* of the tree */
	bool diff;
	struct ap_tree **ret_tree;		 /* NULL: not wanted */
	const struct ap_tree_function *function; /* the tree is of its `side`; NULL: of all */
	enum ap_sandwich_side side;
	uint64_t *ret_selection; /* with a function: the total of all */
	enum ap_top_sort sort;
	uint32_t limit;		 /* of the functions */
	struct ap_top **ret_top; /* NULL: not wanted */
};

static int finish_tree(const struct ap_tree_builder *b, const struct shape *s, struct ap_tree **ret)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *part = NULL;
	int r;

	if (!s->function)
		return ap_tree_finish(b, s->max_nodes, s->diff, ret);
	*s->ret_selection = 0;
	for (uint32_t i = 0; i < b->nodes.n; i++)
		*s->ret_selection = ap_sum_saturating(*s->ret_selection, ap_tree_self(b, i, 0));
	r = ap_sandwich_build(b, s->function, s->side, &part);
	return r == 0 ? ap_tree_finish(part, s->max_nodes, false, ret) : r;
}

/* The paths are the dictionary's, so it is locked until all is copied out of it. */
static int build(struct ap_question *q, const struct side *sides, const struct shape *s)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	struct ap_tree_builder *b;
	int r;

	pthread_rwlock_rdlock(&q->dictionary->lock);
	b = ap_tree_builder_over(q->dictionary->paths);
	r = b ? add_side(q, &sides[0], b, 0) : -ENOMEM;
	if (r == 0 && s->diff)
		r = add_side(q, &sides[1], b, 1);
	if (r == 0)
		r = ap_tree_gather(b, !s->function && !s->ret_top);
	if (r == 0 && s->ret_tree)
		r = finish_tree(b, s, &tree);
	if (r == 0 && s->ret_top)
		r = ap_top_build(b, s->sort, s->limit, s->ret_top);
	ap_tree_builder_free(b);
	pthread_rwlock_unlock(&q->dictionary->lock);
	if (r == 0 && s->ret_tree)
		*s->ret_tree = AP_TAKE_PTR(tree);
	return r < 0 ? ap_question_no_memory(q) : 0;
}

/* One selection, in one shape. */
static int ask(struct ap_query_engine *e, enum ap_query_kind kind, const struct ap_query *q,
	       const struct shape *shape, struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_question_ struct ap_question question = {0};
	struct side side = {0};
	int r = ap_question_begin(&question, e, kind, q, err);

	if (r == 0)
		r = collect(&question, q, &side, ret_cov);
	if (r == 0)
		r = build(&question, &side, shape);
	ap_sums_free(&side.sums);
	return r;
}

int ap_query_flamegraph(struct ap_query_engine *e, const struct ap_query *q,
			struct ap_tree **ret_tree, struct ap_coverage *ret_cov,
			struct ap_error *err)
{
	const struct shape shape = {.max_nodes = q->max_nodes, .ret_tree = ret_tree};

	return ask(e, AP_QUERY_FLAMEGRAPH, q, &shape, ret_cov, err);
}

int ap_query_callers(struct ap_query_engine *e, const struct ap_query *q,
		     const struct ap_tree_function *f, enum ap_sandwich_side side,
		     struct ap_tree **ret_tree, uint64_t *ret_selection,
		     struct ap_coverage *ret_cov, struct ap_error *err)
{
	const struct shape shape = {.max_nodes = q->max_nodes,
				    .ret_tree = ret_tree,
				    .function = f,
				    .side = side,
				    .ret_selection = ret_selection};

	return ask(e, AP_QUERY_CALLERS, q, &shape, ret_cov, err);
}

int ap_query_diff(struct ap_query_engine *e, const struct ap_query *a, const struct ap_query *b,
		  uint32_t limit, struct ap_tree **ret_tree, struct ap_top **ret_top,
		  struct ap_coverage ret_cov[2], struct ap_error *err)
{
	const struct shape shape = {.max_nodes = AP_MAX(a->max_nodes, b->max_nodes),
				    .diff = true,
				    .ret_tree = ret_tree,
				    .sort = AP_TOP_CHANGE,
				    .limit = limit,
				    .ret_top = ret_top};
	_cleanup_question_ struct ap_question question = {0};
	struct side sides[2] = {0};
	int r;

	if (strcmp(a->type->unit, b->type->unit) != 0)
		return ap_error_set(err, -EINVAL,
				    "%s and %s are of different units: compare like with like",
				    a->type->name, b->type->name);
	r = ap_question_begin(&question, e, AP_QUERY_DIFF, a, err);
	if (r == 0)
		r = collect(&question, a, &sides[0], &ret_cov[0]);
	if (r == 0)
		r = collect(&question, b, &sides[1], &ret_cov[1]);
	if (r == 0)
		r = build(&question, sides, &shape);
	ap_sums_free(&sides[0].sums);
	ap_sums_free(&sides[1].sums);
	return r;
}

int ap_query_top(struct ap_query_engine *e, const struct ap_query *q, enum ap_top_sort sort,
		 uint32_t limit, struct ap_top **ret_top, struct ap_coverage *ret_cov,
		 struct ap_error *err)
{
	const struct shape shape = {.sort = sort, .limit = limit, .ret_top = ret_top};
	int r = ask(e, AP_QUERY_TOP, q, &shape, ret_cov, err);

	if (r == 0 && (*ret_top)->n < (*ret_top)->n_functions) {
		ret_cov->truncated = "functions";
		ret_cov->cut = (*ret_top)->n_functions - (*ret_top)->n;
	}
	return r;
}

static int by_count(const void *a, const void *b)
{
	const struct ap_stack_sum *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->group > y->group) - (x->group < y->group);
}

static const char *const export_labels[] = {"service", "host", "comm"};

static int set_labels(struct ap_profile *p, struct ap_sample *row, const struct ap_sums *s,
		      uint32_t group)
{
	struct ap_label labels[AP_ARRAY_SIZE(export_labels)];
	uint32_t n = 0;
	int r = 0;

	for (uint32_t i = 0; i < AP_ARRAY_SIZE(export_labels) && r == 0; i++) {
		struct ap_str value = ap_sums_label(s, group, i);

		if (value.n == 0)
			continue;
		r = ap_profile_string(p, ap_str_of(export_labels[i]), &labels[n].key);
		if (r == 0)
			r = ap_profile_string(p, value, &labels[n++].value);
	}
	return r ?: ap_profile_labels(p, labels, n, &row->labels);
}

static int build_profile(struct ap_question *q, const struct ap_range *range,
			 const struct ap_sums *sums, struct ap_profile **ret)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_free_ struct ap_sample *rows = ap_sums_rows(sums, range);
	struct ap_profile view;
	int r;

	if (!p || !rows)
		return -ENOMEM;
	pthread_rwlock_rdlock(&q->dictionary->lock);
	view = *q->dictionary->p;
	view.samples.p = rows;
	view.samples.n = view.samples.cap = sums->v.n;
	r = ap_profile_merge(p, &view);
	pthread_rwlock_unlock(&q->dictionary->lock);
	if (r == 0 && p->samples.n != sums->v.n)
		r = -EINVAL;
	for (size_t i = 0; i < sums->v.n && r == 0; i++)
		r = set_labels(p, &p->samples.p[i], sums, sums->v.p[i].group);
	p->start_ns = (int64_t)range->from * (int64_t)AP_NSEC_PER_SEC;
	p->end_ns = (int64_t)range->to * (int64_t)AP_NSEC_PER_SEC;
	if (r == 0)
		*ret = AP_TAKE_PTR(p);
	return r;
}

int ap_query_profile(struct ap_query_engine *e, const struct ap_query *q, uint32_t max_rows,
		     struct ap_profile **ret, struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_question_ struct ap_question question = {0};
	struct ap_range range = ap_range_of(q);
	_cleanup_sums_ struct ap_sums sums = {0};
	uint64_t missing;
	int r;

	max_rows = max_rows ?: 1000000;
	r = ap_question_begin(&question, e, AP_QUERY_EXPORT, q, err);
	if (r == 0) {
		ap_range_settle(&question, &range);
		r = ap_coverage_hosts(&question, &range, ret_cov);
	}
	if (r == 0)
		r = ap_sums_collect(&question, &range, export_labels, AP_ARRAY_SIZE(export_labels),
				    &sums);
	if (r == 0)
		r = ap_sums_resolve(&question, &range, &sums, &missing);
	if (r < 0)
		return r;
	ap_coverage_sums(&question, &sums, ret_cov);
	if (sums.v.n)
		qsort(sums.v.p, sums.v.n, sizeof(*sums.v.p), by_count);
	if (sums.v.n > max_rows) {
		ret_cov->truncated = "rows";
		ret_cov->cut = sums.v.n - max_rows;
		sums.v.n = max_rows;
	}
	r = build_profile(&question, &range, &sums, ret);
	return r < 0 ? ap_question_no_memory(&question) : 0;
}
