/* SPDX-License-Identifier: Apache-2.0 */
/* The views that add up all that a process, a thread or a service did. */
#include "agent/profiler.h"
#include "base/intern.h"
#include "cli/view_internal.h"
#include "cli/wait_table.h"

enum { KEYS_MAX = 3, NO_GROUP = 0 };

/* Labels that tell the groups of a view apart, the last one the name of its last column. */
static const char *const keys[AP_VIEWS][KEYS_MAX] = {
	[AP_VIEW_PROCESSES] = {"pid", "comm"},
	[AP_VIEW_THREADS] = {"pid", "thread", "comm"},
	[AP_VIEW_SERVICES] = {"service"},
};

struct group {
	struct ap_str values[KEYS_MAX]; /* of the keys */
	uint64_t cpu_ns, system_ns, calls;
	struct ap_wait_sum causes[AP_WAIT_CAUSES];
};

struct builder {
	const struct ap_view_of *of;
	const char *const *keys;
	struct ap_intern *ids; /* of the values to groups, from 1 */
	AP_VEC(struct group) groups;
	uint32_t *group_of; /* by label set; NO_GROUP: not looked up yet */
};

static void builder_free(struct builder *b)
{
	ap_intern_free(b->ids);
	ap_vec_free(&b->groups);
	free(b->group_of);
}

static int find(struct builder *b, uint32_t labels, struct group **ret)
{
	_cleanup_buf_ struct ap_buf key = {0};
	struct group fresh = {0};
	bool is_new = false;
	int r = 0;

	if (b->group_of[labels] == NO_GROUP) {
		for (uint32_t i = 0; i < KEYS_MAX && b->keys[i]; i++) {
			fresh.values[i] = ap_profile_label_value(b->of->profile, labels,
								 ap_str_of(b->keys[i]));
			ap_buf_str(&key, fresh.values[i]);
			ap_buf_byte(&key, 0);
		}
		r = ap_buf_error(&key);
		if (r == 0)
			r = ap_intern_add(b->ids, ap_buf_view(&key), &b->group_of[labels], &is_new);
		if (r == 0 && is_new)
			r = ap_vec_push(&b->groups, fresh);
	}
	if (r == 0)
		*ret = &b->groups.p[b->group_of[labels] - 1];
	return r;
}

bool ap_view_in_kernel(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);

	return s.n && ap_profile_get_frame(p, s.frames[s.n - 1])->kind == AP_FRAME_KERNEL;
}

static int add_sample(struct builder *b, const struct ap_sample *s)
{
	const struct ap_profile *p = b->of->profile;
	struct ap_wait_sum *sum;
	struct group *g;
	int r;

	if (s->event != AP_EVENT_CPU && s->event != AP_EVENT_OFFCPU)
		return 0;
	r = find(b, s->labels, &g);
	if (r < 0)
		return r;
	if (s->event == AP_EVENT_CPU) {
		g->cpu_ns += s->value;
		if (ap_view_in_kernel(p, s->stack))
			g->system_ns += s->value;
		return 0;
	}
	sum = &g->causes[ap_wait_cause_of(ap_profile_label_value(p, s->labels, AP_STR("state")))];
	sum->count += s->count;
	sum->ns += s->value;
	return 0;
}

/* System calls are counted by process: of threads nothing is known. */
static int collect(struct builder *b, bool calls)
{
	const struct ap_profile *p = b->of->profile;
	const bool *wanted = b->of->wanted;
	struct group *g;

	b->ids = ap_intern_new();
	b->group_of = calloc(ap_intern_count(p->label_sets) + 1, sizeof(*b->group_of));
	if (!b->ids || !b->group_of)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->samples, s)
		if ((!wanted || wanted[s->labels]) && add_sample(b, s) < 0)
			return -ENOMEM;
	AP_VEC_FOREACH(&p->syscalls, s) {
		if (!calls || (wanted && !wanted[s->labels]))
			continue;
		if (find(b, s->labels, &g) < 0)
			return -ENOMEM;
		g->calls += s->count;
	}
	return 0;
}

/* The cells of the text columns, and of the process id before them. */
static int put_names(struct ap_grid *grid, const struct builder *b, const struct group *g,
		     struct ap_grid_cell *cells)
{
	uint32_t at = grid->n_columns;

	for (uint32_t i = KEYS_MAX; i-- > 0;) {
		struct ap_str value = g->values[i];
		int r;

		if (!b->keys[i])
			continue;
		at--;
		if (grid->columns[at].unit == AP_GRID_ID) {
			cells[at].none = ap_parse_u64(value, &cells[at].value) < 0;
			continue;
		}
		r = ap_grid_keep(grid, value.n ? value : AP_STR("(unknown)"), &cells[at].text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put(struct ap_grid *grid, const struct builder *b, const struct group *g)
{
	bool cpu = b->of->modes & AP_MODE_CPU, waits = b->of->modes & AP_MODE_OFFCPU;
	struct ap_grid_cell cells[8] = {
		{.value = g->cpu_ns, .none = !cpu},
		{.value = g->system_ns, .none = !cpu},
		{.value = g->causes[AP_WAIT_CAUSE_RUNNABLE].ns, .none = !waits},
		{.value = g->causes[AP_WAIT_CAUSE_BLOCKED].ns, .none = !waits},
		{.value = g->causes[AP_WAIT_CAUSE_LOCK].ns, .none = !waits},
		{.value = g->calls, .none = !(b->of->modes & AP_MODE_SYSCALL)},
	};
	int r = put_names(grid, b, g, cells);

	return r < 0 ? r : ap_grid_add(grid, cells);
}

int ap_view_build_groups(enum ap_view view, const struct ap_view_of *of, struct ap_grid *ret)
{
	_cleanup_(builder_free) struct builder b = {.of = of, .keys = keys[view]};
	int r = collect(&b, view != AP_VIEW_THREADS);

	for (size_t i = 0; i < b.groups.n && r == 0; i++)
		r = put(ret, &b, &b.groups.p[i]);
	return r;
}
