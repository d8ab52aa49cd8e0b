/* SPDX-License-Identifier: Apache-2.0 */
/* speedscope's file format (www.speedscope.app/file-format-schema.json): shared frames and sampled
 * profiles of (stack, weight) pairs in time order. The first profile is all of it, and where there
 * is more than one process each follows with its own, heaviest first. */
#include "base/json.h"
#include "profile/tree_builder.h"
#include "profile/writer.h"

struct process {
	struct ap_str name;
	uint32_t id; /* in speedscope.names */
	uint64_t total;
	size_t n_rows;
};

struct speedscope {
	struct ap_write_job *job;
	struct ap_tree_builder *symbols;
	uint32_t *sym_of_frame;
	struct ap_intern *names;     /* of processes */
	uint32_t *process_of_labels; /* by label set: id in names, then index in processes */
	struct process *processes;   /* heaviest first */
	uint32_t *order;	     /* rows as they are written */
	size_t n_rows;
};

static uint64_t weight(const struct ap_write_job *job, const struct ap_sample *s)
{
	return job->o.type->is_value ? s->value : s->count;
}

/* "redis-server (1234)", or what of it is known. */
static int name_process(struct speedscope *w, uint32_t labels, uint32_t *ret)
{
	static const char *const keys[] = {"comm", "service", "thread"};
	const struct ap_profile *p = w->job->p;
	struct ap_str pid = ap_profile_label_value(p, labels, AP_STR("pid")), name = {0};
	_cleanup_buf_ struct ap_buf text = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(keys) && !name.n; i++)
		name = ap_profile_label_value(p, labels, ap_str_of(keys[i]));
	ap_buf_str(&text, name.n ? name : AP_STR("[unknown]"));
	if (pid.n) {
		ap_buf_puts(&text, " (");
		ap_buf_str(&text, pid);
		ap_buf_byte(&text, ')');
	}
	if (ap_buf_error(&text))
		return -ENOMEM;
	return ap_intern_add(w->names, ap_buf_view(&text), ret, NULL);
}

static int by_time(const void *pa, const void *pb, void *ctx)
{
	const struct ap_sample *rows = ((const struct speedscope *)ctx)->job->p->samples.p;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (rows[a].time_ns != rows[b].time_ns)
		return rows[a].time_ns < rows[b].time_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int by_process(const void *pa, const void *pb, void *ctx)
{
	const struct speedscope *w = ctx;
	const struct ap_sample *rows = w->job->p->samples.p;
	uint32_t a = w->process_of_labels[rows[*(const uint32_t *)pa].labels];
	uint32_t b = w->process_of_labels[rows[*(const uint32_t *)pb].labels];

	return a != b ? (a < b ? -1 : 1) : by_time(pa, pb, ctx);
}

static int by_total(const void *pa, const void *pb)
{
	const struct process *a = pa, *b = pb;

	if (a->total != b->total)
		return a->total > b->total ? -1 : 1;
	return ap_str_cmp(a->name, b->name);
}

static int find_processes(struct speedscope *w)
{
	uint32_t n_sets = ap_intern_count(w->job->p->label_sets), n;

	for (uint32_t i = 0; i < n_sets; i++) {
		int r = name_process(w, i, &w->process_of_labels[i]);

		if (r < 0)
			return r;
	}
	n = ap_intern_count(w->names);
	w->processes = calloc(n, sizeof(*w->processes));
	if (!w->processes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		w->processes[i] = (struct process){.name = ap_intern_get(w->names, i), .id = i};
	return 0;
}

static int group_rows(struct speedscope *w)
{
	const struct ap_profile *p = w->job->p;
	uint32_t n = ap_intern_count(w->names);
	_cleanup_free_ uint32_t *rank = calloc(n, sizeof(*rank));

	if (!rank)
		return -ENOMEM;
	for (size_t i = 0; i < p->samples.n; i++) {
		const struct ap_sample *s = &p->samples.p[i];
		struct process *process = &w->processes[w->process_of_labels[s->labels]];

		if (!ap_profile_type_has(w->job->o.type, s->event) || !weight(w->job, s))
			continue;
		process->total = ap_sum_saturating(process->total, weight(w->job, s));
		process->n_rows++;
		w->order[w->n_rows++] = (uint32_t)i;
	}
	qsort(w->processes, n, sizeof(*w->processes), by_total);
	for (uint32_t i = 0; i < n; i++)
		rank[w->processes[i].id] = i;
	for (uint32_t i = 0; i < ap_intern_count(p->label_sets); i++)
		w->process_of_labels[i] = rank[w->process_of_labels[i]];
	return 0;
}

static int prepare(struct speedscope *w)
{
	const struct ap_profile *p = w->job->p;
	int r;

	if (p->samples.n > UINT32_MAX)
		return -E2BIG;
	w->symbols = ap_tree_builder_new();
	w->names = ap_intern_new();
	w->process_of_labels = calloc(ap_intern_count(p->label_sets), sizeof(uint32_t));
	w->order = calloc(p->samples.n + 1, sizeof(uint32_t));
	if (!w->symbols || !w->names || !w->process_of_labels || !w->order)
		return -ENOMEM;
	r = find_processes(w);
	return r < 0 ? r : group_rows(w);
}

static void put_frames(struct speedscope *w)
{
	const struct ap_tree_builder *b = w->symbols;
	struct ap_buf *out = &w->job->out.buf;

	ap_buf_puts(out, "\"shared\":{\"frames\":[");
	for (size_t i = 0; i < b->syms.n; i++) {
		const struct ap_tree_sym *s = &b->syms.p[i];

		ap_buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
		ap_json_string(out, ap_intern_get(b->strings, s->name));
		if (s->file || s->module) {
			ap_json_key(out, "file");
			ap_json_string(out,
				       ap_intern_get(b->strings, s->file ? s->file : s->module));
		}
		if (s->file && s->line) {
			ap_json_key(out, "line");
			ap_json_u64(out, s->line);
		}
		ap_buf_byte(out, '}');
		ap_out_pass(&w->job->out);
	}
	ap_buf_puts(out, "]}");
}

static void put_stack(struct speedscope *w, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(w->job->p, stack);
	struct ap_buf *out = &w->job->out.buf;

	ap_buf_byte(out, '[');
	for (uint32_t i = 0; i < s.n; i++) {
		if (i)
			ap_buf_byte(out, ',');
		ap_json_u64(out, w->sym_of_frame[s.frames[i]]);
	}
	ap_buf_byte(out, ']');
}

static void put_profile(struct speedscope *w, struct ap_str name, const uint32_t *order, size_t n)
{
	const struct ap_sample *rows = w->job->p->samples.p;
	struct ap_buf *out = &w->job->out.buf;
	const char *unit = w->job->o.type->unit;
	uint64_t total = 0;

	ap_buf_puts(out, "{\"type\":\"sampled\",\"name\":");
	ap_json_string(out, name);
	ap_json_key(out, "unit");
	/* The other units that its schema knows are bytes and times. */
	ap_json_string(out,
		       strcmp(unit, "nanoseconds") == 0 ? AP_STR("nanoseconds") : AP_STR("none"));
	ap_buf_puts(out, ",\"samples\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			ap_buf_byte(out, ',');
		put_stack(w, rows[order[i]].stack);
		ap_out_pass(&w->job->out);
	}
	ap_buf_puts(out, "],\"weights\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			ap_buf_byte(out, ',');
		ap_json_u64(out, weight(w->job, &rows[order[i]]));
		total = ap_sum_saturating(total, weight(w->job, &rows[order[i]]));
		ap_out_pass(&w->job->out);
	}
	ap_buf_printf(out, "],\"startValue\":0,\"endValue\":%llu}", (unsigned long long)total);
}

static void put_profiles(struct speedscope *w)
{
	struct ap_buf *out = &w->job->out.buf;
	size_t n = 0, first = 0;

	while (n < ap_intern_count(w->names) && w->processes[n].total)
		n++;
	qsort_r(w->order, w->n_rows, sizeof(*w->order), by_time, w);
	put_profile(w, n == 1 ? w->processes[0].name : AP_STR("all processes"), w->order,
		    w->n_rows);
	if (n < 2)
		return;
	qsort_r(w->order, w->n_rows, sizeof(*w->order), by_process, w);
	for (size_t i = 0; i < n; i++) {
		ap_buf_byte(out, ',');
		put_profile(w, w->processes[i].name, w->order + first, w->processes[i].n_rows);
		first += w->processes[i].n_rows;
	}
}

static void put_file(struct speedscope *w)
{
	struct ap_buf *out = &w->job->out.buf;
	_cleanup_buf_ struct ap_buf title = {0};

	ap_write_title(w->job, &title);
	ap_buf_puts(out, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\","
			 "\"exporter\":\"aperture@" APERTURE_VERSION "\",\"name\":");
	ap_json_string(out, ap_buf_view(&title));
	ap_buf_puts(out, ",\"activeProfileIndex\":0,");
	put_frames(w);
	ap_buf_puts(out, ",\"profiles\":[");
	put_profiles(w);
	ap_buf_puts(out, "]}\n");
}

int ap_write_speedscope(struct ap_write_job *job)
{
	struct speedscope w = {.job = job};
	int r = prepare(&w);

	if (r == 0)
		r = ap_tree_profile_symbols(w.symbols, job->p, &w.sym_of_frame);
	if (r == 0)
		put_file(&w);
	ap_tree_builder_free(w.symbols);
	ap_intern_free(w.names);
	free(w.sym_of_frame);
	free(w.process_of_labels);
	free(w.processes);
	free(w.order);
	return r;
}
