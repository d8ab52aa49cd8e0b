/* SPDX-License-Identifier: Apache-2.0 */
/* aperture report: a recorded profile in the terminal, as a call tree and a table of functions. */
#include "cli/report.h"
#include "cli/syscall_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "abi/ledger.h"
#include "base/io.h"
#include "profile/format.h"
#include "profile/value.h"

struct settings {
	char *type;
	struct ap_strings where;
	char *by;
	uint64_t top;
	bool tree;
	char *min_percent;
	uint64_t depth;
	uint32_t sort;
};

static const char *const sorts[] = {"self", "total", NULL};

static const struct ap_option options[] = {
	{.name = "type",
	 .type = AP_OPT_STRING,
	 .metavar = "TYPE",
	 .group = "What",
	 .help = "what to show, such as cpu:nanoseconds, cpu:samples or offcpu:nanoseconds",
	 .offset = offsetof(struct settings, type)},
	{.name = "where",
	 .type = AP_OPT_LIST,
	 .metavar = "LABEL=VALUE",
	 .group = "What",
	 .help = "only samples with this label, such as comm=nginx; all that are given must hold",
	 .offset = offsetof(struct settings, where)},
	{.name = "by",
	 .type = AP_OPT_STRING,
	 .metavar = "LABEL",
	 .value = "comm",
	 .group = "Call tree",
	 .help = "the label by which the tree divides first; none: by nothing",
	 .offset = offsetof(struct settings, by)},
	{.name = "tree",
	 .type = AP_OPT_BOOL,
	 .value = "true",
	 .group = "Call tree",
	 .help = "show the call tree",
	 .offset = offsetof(struct settings, tree)},
	AP_REPORT_OPTIONS_TREE(struct settings),
	{.name = "top",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "20",
	 .max = UINT32_MAX,
	 .group = "Functions",
	 .help = "functions to list; 0: none",
	 .offset = offsetof(struct settings, top)},
	{.name = "sort",
	 .type = AP_OPT_ENUM,
	 .choices = sorts,
	 .value = "self",
	 .group = "Functions",
	 .help = "by what ran in the function itself, or with all that it called",
	 .offset = offsetof(struct settings, sort)},
};

static const struct ap_program program = {
	.name = "aperture report",
	.section = "cli.report",
	.sections = ap_cli_sections,
	.summary = "Shows a recorded profile in the terminal.",
	.operands = "FILE",
	.notes = "FILE is what `aperture record` wrote as json or pprof, or the pprof file of "
		 "another tool, gzip'd or not; - is standard input.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.min_operands = 1,
	.max_operands = 1,
	.file_optional = true,
};

struct report {
	const struct settings *set;
	const char *file;
	struct ap_profile *p;
	const struct ap_profile_type *type;
	bool *wanted; /* by label set: what --where leaves */
	struct ap_report_style style;
	struct ap_error *err;
};

static int load(struct report *r)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	int rc = strcmp(r->file, "-") == 0
			 ? ap_read_fd(STDIN_FILENO, AP_READ_BYTES_DEFAULT, &bytes)
			 : ap_read_file(AT_FDCWD, r->file, AP_READ_BYTES_DEFAULT, &bytes);

	if (rc < 0)
		return ap_error_set(r->err, rc, "%s cannot be read: %s", r->file, ap_strerror(rc));
	rc = ap_profile_read(ap_buf_view(&bytes), 0, &r->p, r->err);
	if (rc < 0)
		ap_error_prefix(r->err, "%s", r->file);
	return rc;
}

static int pick_type(struct report *r)
{
	struct ap_format_options o = {0};

	if (r->set->type) {
		o.type = ap_profile_type_find(ap_str_of(r->set->type));
		if (!o.type)
			return ap_error_set(
				r->err, -EINVAL, "--type %s: there is no such type; %s, %s, … are",
				r->set->type, ap_profile_types[0].name, ap_profile_types[1].name);
	}
	r->type = ap_format_type(AP_FORMAT_SVG, r->p, &o);
	return 0;
}

static int apply_where(struct report *r)
{
	uint32_t n = ap_intern_count(r->p->label_sets);

	r->wanted = malloc(n * sizeof(*r->wanted));
	if (!r->wanted)
		return -ENOMEM;
	memset(r->wanted, true, n * sizeof(*r->wanted));
	for (size_t i = 0; i < r->set->where.n; i++) {
		struct ap_str value = ap_str_of(r->set->where.p[i]);
		struct ap_str key = ap_str_cut(&value, '=');

		if (!value.p)
			return ap_error_set(r->err, -EINVAL, "--where %s: LABEL=VALUE is wanted",
					    r->set->where.p[i]);
		for (uint32_t id = 0; id < n; id++)
			r->wanted[id] &= ap_str_eq(ap_profile_label_value(r->p, id, key), value);
	}
	return 0;
}

static int build(const struct report *r, const char *by, struct ap_tree_builder **ret)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_tree_rows rows = {.type = r->type, .by = by, .wanted = r->wanted};
	int rc = b ? ap_tree_add_rows(b, r->p, &rows, 0) : -ENOMEM;

	if (rc == 0)
		*ret = AP_TAKE_PTR(b);
	return rc;
}

static void put_head(const struct report *r, struct ap_buf *out)
{
	const struct ap_profile *p = r->p;
	uint64_t total = 0, samples = 0, complete = 0;
	time_t start = (time_t)(p->start_ns / 1000000000);
	struct tm tm;
	char when[48];

	AP_VEC_FOREACH(&p->samples, row) {
		uint64_t amount;

		if (!ap_profile_type_has(r->type, row->event) || !r->wanted[row->labels])
			continue;
		amount = r->type->is_value ? row->value : row->count;
		total += amount;
		samples += row->count;
		if (ap_reason_is_complete(ap_profile_get_stack(p, row->stack).reason))
			complete += amount;
	}
	ap_buf_printf(out, "%s: ", r->type->text);
	ap_value_text(out, total, r->type->unit);
	if (r->type->is_value) {
		bool cpu = ap_profile_type_has(r->type, AP_EVENT_CPU);

		ap_buf_puts(out, " in ");
		if (cpu || samples)
			ap_value_text(out, samples, cpu ? "samples" : "count");
		if (!cpu)
			ap_buf_puts(out, samples == 0	? "waits that went on at the end"
					 : samples == 1 ? " event"
							: " events");
		else if (ap_profile_type_has(r->type, AP_EVENT_OFFCPU))
			ap_buf_puts(out, " and waits");
	}
	if (p->end_ns > p->start_ns) {
		ap_buf_puts(out, " over ");
		ap_value_text(out, (uint64_t)p->end_ns - (uint64_t)p->start_ns, "nanoseconds");
	}
	if (start > 0 && gmtime_r(&start, &tm)) {
		strftime(when, sizeof(when), ", %Y-%m-%d %H:%M:%S UTC", &tm);
		ap_buf_puts(out, when);
	}
	ap_buf_puts(out, "; complete stacks: ");
	ap_value_percent(out, complete, total);
	ap_buf_puts(out, "\n\n");
}

static int put_tree(const struct report *r, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	bool grouped = r->set->by && *r->set->by && strcmp(r->set->by, "none") != 0;
	int rc = build(r, grouped ? r->set->by : NULL, &b);

	if (rc == 0)
		rc = ap_tree_finish(b, AP_TREE_NODES_MAX, false, &t);
	if (rc == 0)
		rc = ap_report_tree(out, t, &r->style);
	ap_buf_byte(out, '\n');
	return rc;
}

static int put_top(const struct report *r, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *t = NULL;
	int rc = build(r, NULL, &b);

	if (rc == 0)
		rc = ap_top_build(b, r->set->sort == 0 ? AP_TOP_SELF : AP_TOP_TOTAL,
				  (uint32_t)r->set->top, &t);
	if (rc == 0)
		ap_report_top(out, t, &r->style);
	return rc;
}

static int put_syscalls(const struct report *r, struct ap_buf *out)
{
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};
	int rc = ap_syscall_table_build(r->p, r->wanted, &t);

	if (rc == 0)
		ap_syscall_table_text(&t, out);
	return rc;
}

static bool has_syscalls(const struct report *r)
{
	AP_VEC_FOREACH(&r->p->syscalls, s)
		if (r->wanted[s->labels])
			return true;
	return false;
}

static bool has_samples(const struct report *r)
{
	AP_VEC_FOREACH(&r->p->samples, row)
		if (ap_profile_type_has(r->type, row->event) && r->wanted[row->labels] &&
		    (r->type->is_value ? row->value : row->count))
			return true;
	return false;
}

static int show(struct report *r)
{
	_cleanup_buf_ struct ap_buf out = {0};
	int rc = 0;

	if (has_samples(r)) {
		put_head(r, &out);
		if (r->set->tree)
			rc = put_tree(r, &out);
		if (rc == 0 && r->set->top)
			rc = put_top(r, &out);
	}
	if (rc == 0 && !r->set->type && has_syscalls(r)) {
		if (out.n)
			ap_buf_byte(&out, '\n');
		rc = put_syscalls(r, &out);
	}
	if (rc == 0)
		rc = ap_buf_error(&out);
	if (rc == 0)
		rc = ap_write_all(STDOUT_FILENO, out.p, out.n);
	/* A pager that was left early has seen what it wanted. */
	if (rc < 0 && rc != -EPIPE)
		return ap_error_set(r->err, rc, "the report cannot be written: %s",
				    ap_strerror(rc));
	return 0;
}

static int run(struct report *r)
{
	int rc = load(r);

	if (rc == 0)
		rc = pick_type(r);
	if (rc == 0)
		rc = apply_where(r);
	if (rc < 0) {
		if (!r->err->code)
			ap_error_set(r->err, rc, "%s: %s", r->file, ap_strerror(rc));
		return ap_cli_fail(&program, r->err);
	}
	if (!has_samples(r) && (r->set->type || !has_syscalls(r))) {
		ap_cli_say(&program, "%s holds no samples of %s%s", r->file, r->type->name,
			   r->set->where.n ? " with these labels" : "");
		return AP_EXIT_NO_SAMPLES;
	}
	r->style.unit = r->type->unit;
	return show(r) < 0 ? ap_cli_fail(&program, r->err) : AP_EXIT_OK;
}

bool ap_report_style_of(const struct ap_program *p, const char *min_percent, uint64_t depth,
			struct ap_report_style *ret)
{
	struct ap_report_style style = {
		.terminal = ap_terminal_of(STDOUT_FILENO),
		.depth = (uint32_t)depth,
	};

	style.width = style.terminal.tty ? style.terminal.columns : 0;
	if (ap_parse_double(ap_str_of(min_percent), &style.min_percent) < 0 ||
	    style.min_percent < 0 || style.min_percent > 100) {
		ap_cli_say(p, "--min-percent %s: a number from 0 to 100 is wanted", min_percent);
		return false;
	}
	*ret = style;
	return true;
}

int ap_cmd_report(int argc, char **argv)
{
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_error err = {0};
	struct report r = {.set = &set, .err = &err};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	r.file = cfg.operands[0];
	if (!ap_report_style_of(&program, set.min_percent, set.depth, &r.style))
		return AP_EXIT_USAGE;
	status = run(&r);
	ap_profile_free(r.p);
	free(r.wanted);
	return status;
}
