/* SPDX-License-Identifier: Apache-2.0 */
/* aperture callers, aperture callees: a function of what an aggregator has, with who calls it or what it calls. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/remote.h"
#include "cli/remote_tree.h"
#include "cli/report.h"
#include "profile/value.h"

enum { LIKE_MAX = 8 }; /* functions that are named where there is none of the name asked for */

struct settings {
	struct ap_remote remote;
	struct ap_remote_selection selection;
	char *module, *min_percent;
	uint64_t depth;
};

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct settings),
	AP_REMOTE_OPTION_FORMAT(struct settings),
	AP_REMOTE_OPTIONS_SELECTION(struct settings),
	{.name = "module",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .group = "Selection",
	 .help = "the function's file, such as libc.so.6 (default: any)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = offsetof(struct settings, module)},
	AP_REPORT_OPTIONS_TREE(struct settings),
};

#define PROGRAM(verb, what, example)                                                         \
	{                                                                                    \
		.name = "aperture " verb,                                                    \
		.section = "cli." verb,                                                      \
		.sections = ap_cli_sections,                                                 \
		.summary = what,                                                             \
		.operands = "FUNCTION",                                                      \
		.notes = "FUNCTION is a whole name, as a flame graph has it. " example ":\n" \
			 "  aperture " verb " --filter '{service=\"web\"}' malloc",          \
		.options = options,                                                          \
		.n_options = AP_ARRAY_SIZE(options),                                         \
		.min_operands = 1,                                                           \
		.max_operands = 1,                                                           \
		.file_optional = true,                                                       \
	}

static const struct ap_program callers = PROGRAM(
	"callers", "Shows who calls a function, of what an aggregator has: by how much time.",
	"Who allocates in a service");
static const struct ap_program callees = PROGRAM(
	"callees", "Shows what a function calls, of what an aggregator has: by how much time.",
	"What allocating is made of there");

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));

	return v < 0 ? 0 : (uint64_t)v;
}

/* The tree below the function, which is the one child of the answer's root. 0, -EPROTO, -ENOMEM. */
static int read_function(const json_t *answer, struct ap_tree **ret)
{
	struct ap_tree *t;
	int r = ap_remote_tree(answer, &t);

	if (r < 0)
		return r;
	for (uint32_t i = 2; i < t->n; i++)
		if (t->depth[i] < 2)
			r = -EPROTO;
	if (t->n < 2 || r < 0) {
		ap_tree_free(t);
		return -EPROTO;
	}
	t->n--;
	t->depth++;
	t->name++;
	t->module++;
	t->kind++;
	t->total[0]++;
	t->self[0]++;
	for (uint32_t i = 0; i < t->n; i++)
		t->depth[i]--;
	*ret = t;
	return 0;
}

/* "serve: 500 ms of 700 ms CPU time (71.4 %); 1 of 1 hosts reported." */
static void put_head(struct ap_buf *out, const json_t *answer, const struct ap_tree *t,
		     const struct ap_profile_type *type)
{
	const char *unit = type->is_value ? type->unit : "count"; /* the type says of what */
	uint64_t all = number(answer, "selection_total");

	ap_report_text(out, t->strings[t->name[0]], 0);
	ap_buf_puts(out, ": ");
	ap_value_text(out, t->total[0][0], unit);
	ap_buf_puts(out, " of ");
	ap_value_text(out, all, unit);
	ap_buf_printf(out, " %s (", type->text);
	ap_value_percent(out, t->total[0][0], all);
	ap_buf_puts(out, "); ");
	ap_remote_put_coverage(out, answer);
	ap_buf_puts(out, ".\n\n");
}

/* "; there are: deflate (libz.so.1), deflateEnd (libz.so.1), …": functions with that text in their names, those with
 * the most time first. */
static void put_like(struct ap_remote_call *c, const char *text, struct ap_buf *out)
{
	static const char *const more[] = {"limit=10000", "sort=total", NULL};
	const struct settings *set = c->settings;
	json_t *top = NULL;
	const json_t *row;
	size_t i, n = 0;

	if (ap_remote_select(c, "/api/v1/top", &set->selection, more, &top) < 0)
		return; /* a help that is not needed */
	json_array_foreach(json_object_get(top, "functions"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "function"));
		const char *module = json_string_value(json_object_get(row, "module"));

		if (!name || !strcasestr(name, text))
			continue;
		ap_buf_puts(out, n ? ", " : "; there are: ");
		if (n++ == LIKE_MAX) {
			ap_buf_puts(out, "…");
			break;
		}
		ap_report_text(out, ap_str_of(name), 0);
		if (module && module[0]) {
			ap_buf_puts(out, " (");
			ap_report_text(out, ap_str_of(module), 0);
			ap_buf_byte(out, ')');
		}
	}
	json_decref(top);
}

static int say_none(struct ap_remote_call *c, const json_t *answer)
{
	const struct settings *set = c->settings;
	_cleanup_buf_ struct ap_buf like = {0};

	if (number(answer, "selection_total") == 0) {
		ap_cli_say(c->program, "there are no samples of %s in this time and selection",
			   set->selection.type);
		return AP_EXIT_NO_SAMPLES;
	}
	put_like(c, c->operands[0], &like);
	ap_cli_say(c->program, "no stack of this time and selection has a function '%s'%s%.*s",
		   c->operands[0], set->module ? " of that module" : "",
		   AP_STR_ARG(ap_buf_view(&like)));
	return AP_EXIT_NO_SAMPLES;
}

static int draw(struct ap_remote_call *c, const json_t *answer, struct ap_report_style *style)
{
	const struct settings *set = c->settings;
	const struct ap_profile_type *type = ap_profile_type_find(ap_str_of(set->selection.type));
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_buf_ struct ap_buf out = {0};
	int r;

	if (number(answer, "total") == 0)
		return say_none(c, answer);
	r = type ? read_function(answer, &t) : -EPROTO;
	if (r == -EPROTO) {
		ap_error_set(&c->err, r, "the answer is not a function's call tree");
		return ap_cli_fail(c->program, &c->err);
	}
	if (r == 0) {
		style->unit = type->unit;
		put_head(&out, answer, t, type);
		r = ap_report_tree(&out, t, style);
	}
	return ap_remote_write(c, r, &out);
}

static int show(struct ap_remote_call *c, const char *path, const char *title)
{
	const struct settings *set = c->settings;
	_cleanup_free_ char *function = NULL, *module = NULL;
	struct ap_report_style style;
	json_t *answer = NULL;
	int r, status;

	if (!ap_report_style_of(c->program, set->min_percent, set->depth, &style))
		return AP_EXIT_USAGE;
	style.title = title;
	if (asprintf(&function, "function=%s", c->operands[0]) < 0 ||
	    asprintf(&module, "module=%s", set->module ?: "") < 0)
		return ap_remote_finish(c, ap_error_set(&c->err, -ENOMEM, "out of memory"), NULL,
					NULL);
	r = ap_remote_select(c, path, &set->selection,
			     (const char *const[]){function, set->module ? module : NULL, NULL},
			     &answer);
	if (r < 0 || c->remote->format == AP_REMOTE_JSON)
		return ap_remote_finish(c, r, answer, NULL);
	status = draw(c, answer, &style);
	json_decref(answer);
	return status;
}

static int show_callers(struct ap_remote_call *c)
{
	return show(c, "/api/v1/callers", "CALLED BY");
}

static int show_callees(struct ap_remote_call *c)
{
	return show(c, "/api/v1/callees", "CALLS");
}

int ap_cmd_callers(int argc, char **argv)
{
	static const struct ap_remote_verb verb = {.run = show_callers};
	struct settings set = {0};

	return ap_remote_run(&callers, &verb, 1, &set, &set.remote, argc, argv);
}

int ap_cmd_callees(int argc, char **argv)
{
	static const struct ap_remote_verb verb = {.run = show_callees};
	struct settings set = {0};

	return ap_remote_run(&callees, &verb, 1, &set, &set.remote, argc, argv);
}
