/* SPDX-License-Identifier: Apache-2.0 */
/* What is written, read back or looked at; other programs' views are in
 * tests/system/test_formats.py. */
#include "profile/format.h"

#include "profile/flamegraph_json.h"
#include "profile/value.h"
#include "sample_profile.h"

static void write_to(enum ap_format f, const struct ap_profile *p,
		     const struct ap_format_options *o, struct ap_buf *out)
{
	struct ap_error err = {0};

	if (ap_format_write(f, p, o, (struct ap_sink){ap_sink_buf, out}, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct ap_profile *read_back(const struct ap_buf *b)
{
	struct ap_profile *p = NULL;
	struct ap_error err = {0};

	if (ap_profile_read(ap_buf_view(b), 0, &p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void round_trips(void **state)
{
	static const enum ap_format formats[] = {AP_FORMAT_JSON, AP_FORMAT_PPROF};

	for (size_t i = 0; i < AP_ARRAY_SIZE(formats); i++) {
		_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
		_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
		_cleanup_buf_ struct ap_buf once = {0}, twice = {0};

		write_to(formats[i], p, NULL, &once);
		q = read_back(&once);
		assert_same_profile(p, q);
		write_to(formats[i], q, NULL, &twice);
		if (formats[i] == AP_FORMAT_JSON) {
			assert_int_equal(once.n, twice.n);
			assert_memory_equal(once.p, twice.p, once.n);
		}
	}
}

static void add_call(struct ap_profile *p, const char *name, uint64_t n, uint32_t error)
{
	struct ap_syscall_stat stat = {.count = n, .sum_ns = UINT64_MAX, .max_ns = 77};
	struct ap_syscall row = {.time_ns = -5,
				 .oldest_ns = 9,
				 .in_flight = 3,
				 .labels = ap_intern_count(p->label_sets) - 1,
				 .name = sample_string(p, name),
				 .abi = sample_string(p, "x86-64")};

	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(ap_syscall_counts_add(&stat.buckets, (uint32_t)i * 3, i + 1), 0);
	assert_int_equal(ap_syscall_counts_add(&stat.buckets, AP_LATENCY_BUCKETS - 1, 1), 0);
	if (error)
		assert_int_equal(ap_syscall_counts_add(&stat.errors, error, 2), 0);
	assert_int_equal(ap_profile_add_syscall(p, &row, &stat), 0);
	ap_syscall_stat_free(&stat);
}

static void json_keeps_system_calls(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf once = {0}, twice = {0};

	add_call(p, "read", 3, 0);
	add_call(p, "openat", 0, AP_SYSCALL_ERRNO_MAX);
	add_call(p, "close", 2, 1);
	write_to(AP_FORMAT_JSON, p, NULL, &once);
	q = read_back(&once);
	assert_int_equal(q->syscalls.n, 3);
	assert_int_equal(q->syscall_counts.n, p->syscall_counts.n);
	for (size_t i = 0; i < 3; i++) {
		const struct ap_syscall *x = &p->syscalls.p[i], *y = &q->syscalls.p[i];

		assert_true(x->time_ns == y->time_ns && x->count == y->count &&
			    x->sum_ns == y->sum_ns && x->max_ns == y->max_ns &&
			    x->oldest_ns == y->oldest_ns && x->in_flight == y->in_flight &&
			    x->first == y->first && x->n_buckets == y->n_buckets &&
			    x->n_errors == y->n_errors);
		assert_true(ap_str_eq(ap_profile_str(p, x->name), ap_profile_str(q, y->name)));
		assert_true(ap_str_eq(ap_profile_str(p, x->abi), ap_profile_str(q, y->abi)));
		assert_true(ap_str_eq(ap_profile_label_value(p, x->labels, AP_STR("pid")),
				      ap_profile_label_value(q, y->labels, AP_STR("pid"))));
	}
	assert_memory_equal(p->syscall_counts.p, q->syscall_counts.p,
			    p->syscall_counts.n * sizeof(*p->syscall_counts.p));
	write_to(AP_FORMAT_JSON, q, NULL, &twice);
	assert_int_equal(once.n, twice.n);
	assert_memory_equal(once.p, twice.p, once.n);
}

#define CALLS_HEAD                                                                                \
	"{\"format\":\"aperture-profile\",\"version\":1,\"strings\":[\"\",\"read\"],"             \
	"\"label_sets\":{\"size\":[0]},\"syscalls\":{\"time_ns\":[1],\"label_set\":[0],"          \
	"\"name\":[1],\"abi\":[1],\"count\":[3],\"sum_ns\":[1],\"max_ns\":[1],\"in_flight\":[0]," \
	"\"oldest_ns\":[0],"

/* What no writer writes is refused, with the entry that is wrong. */
static void json_of_system_calls_is_checked(void **state)
{
	static const struct {
		const char *columns, *wrong;
	} files[] = {
		{"\"buckets\":[1],\"errors\":[0],\"bucket\":[496],\"bucket_count\":[1]",
		 "syscalls.bucket[0] is out of range"},
		{"\"buckets\":[2],\"errors\":[0],\"bucket\":[5,5],\"bucket_count\":[1,1]",
		 "syscalls.bucket[1] is out of range"},
		{"\"buckets\":[1],\"errors\":[0],\"bucket\":[5],\"bucket_count\":[0]",
		 "syscalls.bucket_count[0] is out of range"},
		{"\"buckets\":[2],\"errors\":[0],\"bucket\":[5],\"bucket_count\":[1]",
		 "syscalls.buckets[0] is out of range"},
		{"\"buckets\":[1],\"errors\":[0],\"bucket\":[5],\"bucket_count\":[]",
		 "syscalls.bucket_count[0] is missing"},
		{"\"buckets\":[0],\"errors\":[1],\"error\":[0],\"error_count\":[1]",
		 "syscalls.error[0] is out of range"},
		{"\"buckets\":[0],\"errors\":[1],\"error\":[4096],\"error_count\":[1]",
		 "syscalls.error[0] is out of range"},
		{"\"buckets\":[0]", "syscalls.errors[0] is missing"},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++) {
		_cleanup_buf_ struct ap_buf b = {0};
		struct ap_profile *p = NULL;
		struct ap_error err = {0};

		ap_buf_printf(&b, CALLS_HEAD "%s}}", files[i].columns);
		assert_int_equal(ap_profile_read(ap_buf_view(&b), 0, &p, &err), -EINVAL);
		if (!strstr(err.msg, files[i].wrong))
			fail_msg("%zu: %s", i, err.msg);
	}
}

static void json_keeps_what_no_row_refers_to(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf out = {0};

	sample_string(p, "unused");
	sample_mapping(p, "/x", "y");
	p->start_ns = INT64_MIN;
	p->period_ns = UINT64_MAX;
	write_to(AP_FORMAT_JSON, p, NULL, &out);
	q = read_back(&out);
	assert_int_equal(ap_intern_count(q->strings), ap_intern_count(p->strings));
	assert_int_equal(ap_intern_count(q->mappings), 2);
	assert_true(q->start_ns == INT64_MIN && q->period_ns == UINT64_MAX);
}

static void large_json_passes_its_sink_in_pieces(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf out = {0};

	for (uint32_t i = 0; i < 30000; i++)
		sample_row(p, i % 4, 0, AP_EVENT_CPU, SAMPLE_START_NS + i, i, i);
	write_to(AP_FORMAT_JSON, p, NULL, &out);
	q = read_back(&out);
	assert_same_profile(p, q);
}

static void pprof_merges_rows_without_exact_times(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(false);
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf out = {0};

	for (int i = 0; i < 10; i++)
		sample_row(p, p->samples.p[0].stack, p->samples.p[0].labels, AP_EVENT_CPU,
			   SAMPLE_START_NS + 1000000000ll * i, 1, 7);
	write_to(AP_FORMAT_PPROF, p, NULL, &out);
	q = read_back(&out);
	assert_int_equal(q->samples.n, 5);
	assert_int_equal(q->samples.p[0].count, 11);
	assert_int_equal(q->samples.p[0].value, SAMPLE_PERIOD_NS + 70);
	assert_true(q->samples.p[0].time_ns == SAMPLE_START_NS);
}

static void assert_text(struct ap_buf *b, const char *want)
{
	ap_buf_byte(b, 0);
	assert_string_equal((char *)b->p, want);
}

static void collapsed_lines_have_one_meaning(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(false);
	_cleanup_buf_ struct ap_buf samples = {0}, value = {0};
	struct ap_format_options o = {.type = ap_profile_type_find(AP_STR("lock:nanoseconds"))};

	write_to(AP_FORMAT_COLLAPSED, p, NULL, &samples);
	assert_text(&samples,
		    "web;libc.so.6+0x29d90;main;work<int, char>(a:b);inlined & <near>;innermost 1\n"
		    "worker:1;libc.so.6+0x29d90;main;do_syscall_64_[k] 2\n"
		    "web;work<int, char>(a:b) 3\n"
		    "web;libc.so.6+0x29d90;main;main;main 1\n");
	write_to(AP_FORMAT_COLLAPSED, p, &o, &value);
	assert_text(&value, "web;libc.so.6+0x29d90;main;do_syscall_64_[k] 5000000\n");
}

static void collapsed_names_hold_no_line_ends(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_buf_ struct ap_buf out = {0};
	uint32_t frame = sample_frame(p, 0, 1, "a\nb\r;\xff", AP_FRAME_NATIVE, 0), stack;

	ap_profile_stack(p, &frame, 1, 0, &stack);
	sample_row(p, stack, 0, AP_EVENT_CPU, 0, 1, 1);
	write_to(AP_FORMAT_COLLAPSED, p, NULL, &out);
	assert_text(&out, "[unknown];a b :\xef\xbf\xbd 1\n");
}

static void collapsed_adds_up_lines_that_look_alike(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_buf_ struct ap_buf out = {0};
	uint32_t stacks[3], frames[] = {sample_frame(p, 0, 1, "f", AP_FRAME_NATIVE, 0),
					sample_frame(p, 0, 2, "f", AP_FRAME_NATIVE, 0)};

	ap_profile_stack(p, &frames[0], 1, 0, &stacks[0]);
	ap_profile_stack(p, &frames[1], 1, 0, &stacks[1]);
	ap_profile_stack(p, frames, 2, 0, &stacks[2]);
	for (uint32_t i = 0; i < 3; i++)
		sample_row(p, stacks[i], 0, AP_EVENT_CPU, i, 10 + i, 1);
	write_to(AP_FORMAT_COLLAPSED, p, NULL, &out);
	assert_text(&out, "[unknown];f 21\n[unknown];f;f 12\n");
}

static void svg_escapes_its_figures(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	_cleanup_buf_ struct ap_buf out = {0};

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t stack,
			frame = sample_frame(p, 0, i, i ? "rare" : "usual", AP_FRAME_NATIVE, 0);

		ap_profile_stack(p, &frame, 1, 0, &stack);
		sample_row(p, stack, 0, AP_EVENT_CPU, i, i ? 1 : 1499, i ? 1 : 1499);
	}
	write_to(AP_FORMAT_SVG, p, NULL, &out);
	ap_buf_byte(&out, 0);
	assert_non_null(strstr((char *)out.p, "rare: 1 ns, &lt;0.1 %"));
	assert_null(strstr((char *)out.p, "<0"));
}

static void an_empty_profile_can_be_written(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();

	for (unsigned int f = 0; f < AP_FORMAT_MAX; f++) {
		_cleanup_buf_ struct ap_buf out = {0};

		if (f != AP_FORMAT_HTML)
			write_to((enum ap_format)f, p, NULL, &out);
	}
}

static int full_disk(void *ctx, const void *p, size_t n)
{
	return -ENOSPC;
}

static void errors_of_the_sink_come_back(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
	struct ap_error err = {0};

	for (unsigned int f = 0; f < AP_FORMAT_HTML; f++)
		assert_int_equal(ap_format_write((enum ap_format)f, p, NULL,
						 (struct ap_sink){full_disk, NULL}, &err),
				 -ENOSPC);
	assert_non_null(strstr(err.msg, "svg"));
}

static void html_needs_its_template(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
	_cleanup_buf_ struct ap_buf out = {0};
	char path[] = "/tmp/ap-template-XXXXXX";
	static const char page[] = "<html><!--APERTURE_PROFILE_DATA--></html>";
	uint64_t lost = 3;
	struct ap_format_options o = {.html_template = path, .lost = &lost};
	struct ap_error err = {0};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, page, strlen(page)), strlen(page));
	close(fd);
	write_to(AP_FORMAT_HTML, p, &o, &out);
	unlink(path);
	ap_buf_byte(&out, 0);
	assert_non_null(strstr((char *)out.p, "<script type=\"application/json\""));
	assert_non_null(strstr((char *)out.p, "work\\u003cint, char>(a;b)"));
	assert_null(strstr((char *)out.p, "work<int"));
	assert_non_null(strstr((char *)out.p, "\"samples\":7,\"complete_share\":0.571428"));
	assert_non_null(strstr((char *)out.p, "\"lost\":3,\"reasons\":{\"ok\":4,\"no_table\":3}}"));
	assert_int_equal(
		ap_format_write(AP_FORMAT_HTML, p, &o, (struct ap_sink){ap_sink_buf, &out}, &err),
		-ENOENT);
	assert_non_null(strstr(err.msg, path));
	o.html_template = NULL;
	assert_int_equal(
		ap_format_write(AP_FORMAT_HTML, p, &o, (struct ap_sink){ap_sink_buf, &out}, &err),
		-ENOENT);
}

static void guesses_formats_from_names(void **state)
{
	static const struct {
		const char *name;
		int format;
	} cases[] = {
		{"x.json", AP_FORMAT_JSON}, {"x.speedscope.json", AP_FORMAT_SPEEDSCOPE},
		{"a/b.SVG", AP_FORMAT_SVG}, {"p.pb.gz", AP_FORMAT_PPROF},
		{"x.html", AP_FORMAT_HTML}, {"out.folded", AP_FORMAT_COLLAPSED},
		{"perf.data", -ENOENT},	    {".svg", -ENOENT},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		enum ap_format f = AP_FORMAT_MAX;
		int r = ap_format_guess(ap_str_of(cases[i].name), &f);

		assert_int_equal(r < 0 ? r : (int)f, cases[i].format);
	}
	for (unsigned int i = 0; i < AP_FORMAT_MAX; i++) {
		enum ap_format f = AP_FORMAT_MAX;

		assert_int_equal(
			ap_format_by_name(ap_str_of(ap_format_info((enum ap_format)i)->name), &f),
			0);
		assert_int_equal(f, i);
	}
}

static void flamegraph_json_has_the_columns(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(false);
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_buf_ struct ap_buf json = {0}, binary = {0};
	uint32_t head[5];
	uint64_t total;

	assert_int_equal(
		ap_tree_from_profile(p, ap_profile_type_find(AP_STR("cpu:samples")), 0, &t), 0);
	ap_flamegraph_write_json(t, AP_STR("\"unit\":\"samples\""), &json);
	assert_text(
		&json,
		"{\"unit\":\"samples\",\"total\":7,\"folded_nodes\":0,\"folded_total\":0,"
		"\"nodes\":{\"depth\":[0,1,2,3,3,4,3,4,5,1],\"name\":[1,2,4,6,4,4,8,9,10,8],"
		"\"module\":[0,3,5,7,5,5,5,5,5,5],\"kind\":[0,0,0,1,0,0,0,3,3,0],"
		"\"total\":[7,4,4,2,1,1,1,1,1,3],\"self\":[0,0,0,2,0,1,0,0,1,3]},"
		"\"strings\":[\"\",\"all\",\"libc.so.6+0x29d90\",\"libc.so.6\",\"main\",\"web\","
		"\"do_syscall_64\",\"[kernel]\",\"work<int, char>(a;b)\",\"inlined & <near>\","
		"\"innermost\"]}");
	assert_int_equal(ap_flamegraph_write_binary(t, AP_STR(""), &binary), 0);
	assert_int_equal(ap_buf_error(&binary), 0);
	assert_memory_equal(binary.p, "APFG", 4);
	memcpy(head, binary.p + 4, sizeof(head));
	assert_int_equal(head[0], 1);
	assert_int_equal(head[1], t->n);
	assert_int_equal(head[2], t->n_strings);
	assert_int_equal(head[3] % 8, 0);
	memcpy(&total, binary.p + 24 + head[3], sizeof(total));
	assert_int_equal(total, 7);
}

/* Which sets of labels have this value of comm. */
static bool *sets_of(const struct ap_profile *p, const char *comm)
{
	bool *wanted = calloc(ap_intern_count(p->label_sets), sizeof(*wanted));

	assert_non_null(wanted);
	for (uint32_t i = 0; i < ap_intern_count(p->label_sets); i++)
		wanted[i] = ap_str_is(ap_profile_label_value(p, i, AP_STR("comm")), comm);
	return wanted;
}

static void rows_are_chosen_and_divided_by_a_label(void **state)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = sample_profile(true);
	_cleanup_(ap_cleanup_tree) struct ap_tree *by = NULL, *worker = NULL;
	_cleanup_free_ bool *wanted = sets_of(p, "worker;1");
	struct ap_tree_rows rows = {.type = ap_profile_type_find(AP_STR("cpu:samples")),
				    .by = "comm"};

	assert_int_equal(ap_tree_from_rows(p, &rows, 0, &by), 0);
	assert_true(ap_str_is(by->strings[by->name[1]], "web"));
	assert_int_equal(by->total[0][0], 7);
	assert_int_equal(by->total[0][1], 5);
	rows = (struct ap_tree_rows){.type = rows.type, .wanted = wanted};
	assert_int_equal(ap_tree_from_rows(p, &rows, 0, &worker), 0);
	assert_int_equal(worker->total[0][0], 2);
	assert_true(ap_str_is(worker->strings[worker->name[1]], "libc.so.6+0x29d90"));
}

static const char *default_type(enum ap_format f, const enum ap_event *events, size_t n)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();

	for (size_t i = 0; i < n; i++)
		sample_row(p, 0, 0, events[i], 1, 1, 5);
	return ap_format_type(f, p, NULL)->name;
}

static void the_default_type_is_what_was_recorded(void **state)
{
	static const enum ap_event waits[] = {AP_EVENT_LOCK, AP_EVENT_OFFCPU, AP_EVENT_CPU},
				   locks[] = {AP_EVENT_WAKER, AP_EVENT_LOCK},
				   cpu[] = {AP_EVENT_LOCK, AP_EVENT_CPU};

	assert_string_equal(default_type(AP_FORMAT_SVG, waits, 3), "wall:nanoseconds");
	assert_string_equal(default_type(AP_FORMAT_COLLAPSED, waits, 3), "wall:nanoseconds");
	assert_string_equal(default_type(AP_FORMAT_SVG, waits, 2), "offcpu:nanoseconds");
	assert_string_equal(default_type(AP_FORMAT_SVG, locks, 2), "lock:nanoseconds");
	assert_string_equal(default_type(AP_FORMAT_SVG, cpu, 2), "cpu:nanoseconds");
	assert_string_equal(default_type(AP_FORMAT_COLLAPSED, cpu, 2), "cpu:samples");
	assert_string_equal(default_type(AP_FORMAT_SVG, NULL, 0), "cpu:nanoseconds");
}

static void values_read_well(void **state)
{
	static const struct {
		uint64_t v;
		const char *unit, *want;
	} cases[] = {
		{1234567890, "nanoseconds", "1.23 s"},
		{45600000, "nanoseconds", "45.6 ms"},
		{999, "nanoseconds", "999 ns"},
		{999999, "nanoseconds", "1.00 ms"},
		{0, "nanoseconds", "0 ns"},
		{1234567, "samples", "1,234,567 samples"},
		{1, "samples", "1 sample"},
		{100, "count", "100"},
		{90000000000, "nanoseconds", "1.50 min"},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct ap_buf b = {0};

		ap_value_text(&b, cases[i].v, cases[i].unit);
		assert_text(&b, cases[i].want);
	}
}

/* More numbers than are written at once. */
static void flamegraph_json_has_long_columns(void **state)
{
	enum { N = 1300 };
	static uint64_t totals[N], selfs[N];
	static uint32_t depths[N], names[N], modules[N];
	static uint8_t kinds[N];
	struct ap_str strings[] = {AP_STR("")};
	const struct ap_tree t = {.n = N,
				  .depth = depths,
				  .name = names,
				  .module = modules,
				  .kind = kinds,
				  .total = {totals},
				  .self = {selfs},
				  .strings = strings,
				  .n_strings = 1};
	_cleanup_buf_ struct ap_buf out = {0}, want = {0};

	ap_buf_puts(&want, "\"total\":[");
	for (uint32_t i = 0; i < N; i++) {
		totals[i] = UINT64_MAX - i * 14000000000000000ull;
		ap_buf_printf(&want, "%s%llu", i ? "," : "", (unsigned long long)totals[i]);
	}
	ap_buf_puts(&want, "],\"self\":[0,");
	ap_flamegraph_write_json(&t, AP_STR(""), &out);
	ap_buf_byte(&out, 0);
	ap_buf_byte(&want, 0);
	assert_non_null(strstr((char *)out.p, (char *)want.p));
	assert_int_equal(ap_buf_error(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(json_keeps_what_no_row_refers_to),
		cmocka_unit_test(json_keeps_system_calls),
		cmocka_unit_test(json_of_system_calls_is_checked),
		cmocka_unit_test(large_json_passes_its_sink_in_pieces),
		cmocka_unit_test(pprof_merges_rows_without_exact_times),
		cmocka_unit_test(collapsed_lines_have_one_meaning),
		cmocka_unit_test(collapsed_names_hold_no_line_ends),
		cmocka_unit_test(collapsed_adds_up_lines_that_look_alike),
		cmocka_unit_test(svg_escapes_its_figures),
		cmocka_unit_test(an_empty_profile_can_be_written),
		cmocka_unit_test(errors_of_the_sink_come_back),
		cmocka_unit_test(html_needs_its_template),
		cmocka_unit_test(guesses_formats_from_names),
		cmocka_unit_test(flamegraph_json_has_the_columns),
		cmocka_unit_test(flamegraph_json_has_long_columns),
		cmocka_unit_test(rows_are_chosen_and_divided_by_a_label),
		cmocka_unit_test(the_default_type_is_what_was_recorded),
		cmocka_unit_test(values_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
