/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <unistd.h>

#include "base/config.h"
#include "base/config_internal.h"
#include "base/io.h"

struct settings {
	uint64_t frequency, size, interval;
	bool all, colour;
	char *host, *output;
	struct ap_strings labels, errors;
	uint32_t format;
};

static const char *const formats[] = {"collapsed", "svg", "pprof", NULL};

#define FIELD(f) .offset = offsetof(struct settings, f), .group = "Test"
static const struct ap_option options[] = {
	{.name = "frequency",
	 .short_name = 'F',
	 .type = AP_OPT_UINT,
	 .metavar = "HZ",
	 .value = "99",
	 .min = 1,
	 .max = 10000,
	 .help = "samples per second",
	 FIELD(frequency)},
	{.name = "buffer-size",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "8MiB",
	 .min = 4096,
	 .max = 1ull << 30,
	 .help = "memory",
	 FIELD(size)},
	{.name = "flush-interval",
	 .short_name = 'i',
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "10s",
	 .min = 1000000,
	 .help = "time between batches",
	 FIELD(interval)},
	{.name = "all", .short_name = 'a', .type = AP_OPT_BOOL, .help = "everything", FIELD(all)},
	{.name = "colour", .type = AP_OPT_BOOL, .value = "true", .help = "colours", FIELD(colour)},
	{.name = "host", .type = AP_OPT_STRING, .metavar = "NAME", .help = "name", FIELD(host)},
	{.name = "label", .type = AP_OPT_LIST, .metavar = "K=V", .help = "labels", FIELD(labels)},
	{.name = "errors",
	 .type = AP_OPT_LIST,
	 .metavar = "NAME",
	 .bare = "any",
	 .help = "which",
	 FIELD(errors)},
	{.name = "format",
	 .type = AP_OPT_ENUM,
	 .metavar = "FORMAT",
	 .choices = formats,
	 .value = "pprof",
	 .help = "form of the output",
	 FIELD(format)},
	{.name = "output",
	 .short_name = 'o',
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .help = "where to",
	 FIELD(output)},
};

static const char *const subcommands[] = {"record", "report", NULL};
static char path[64];
static struct ap_program program = {
	.name = "aperture record",
	.section = "cli.record",
	.sections = subcommands,
	.summary = "Profiles a while.",
	.operands = "[-- COMMAND ARG…]",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.path = path,
	.max_operands = 10,
	.operands_end_options = true,
};

struct fixture {
	struct settings set;
	struct ap_config cfg;
	struct ap_error err;
};

#define ARGS(...) ((char *[]){"aperture record", ##__VA_ARGS__, NULL})
#define ENV(...)  ((char *[]){__VA_ARGS__, NULL})
#define NO_ENV	  ((char *[]){NULL})

static int parse(struct fixture *f, char **argv, char **envp, const char *yaml)
{
	int argc = 0;

	*f = (struct fixture){0};
	unlink(path);
	if (yaml)
		assert_int_equal(ap_write_file_atomic(path, yaml, strlen(yaml), 0600, false), 0);
	while (argv[argc])
		argc++;
	return ap_config_parse(&f->cfg, &program, &f->set, argc, argv, envp, &f->err);
}

static void test_defaults(void **state)
{
	struct fixture f;

	assert_int_equal(parse(&f, ARGS(), NO_ENV, NULL), 0);
	assert_int_equal(f.cfg.action, AP_CONFIG_RUN);
	assert_int_equal(f.set.frequency, 99);
	assert_int_equal(f.set.size, 8 << 20);
	assert_int_equal(f.set.interval, 10000000000ull);
	assert_true(f.set.colour);
	assert_false(f.set.all);
	assert_null(f.set.host);
	assert_int_equal(f.set.labels.n, 0);
	assert_int_equal(f.set.format, 2);
	assert_int_equal(f.cfg.n_operands, 0);
	ap_config_free(&f.cfg);
}

static void test_precedence(void **state)
{
	const char *yaml = "agent:\n  what: ever\ncli:\n  report: {x: [1, {y: 2}]}\n  record:\n"
			   "    frequency: 10\n    host: file\n    label: [a=1, 'b=2,3']\n";
	struct fixture f;

	assert_int_equal(parse(&f, ARGS(), NO_ENV, yaml), 0);
	assert_int_equal(f.set.frequency, 10);
	assert_string_equal(f.set.host, "file");
	assert_int_equal(f.set.labels.n, 2);
	assert_string_equal(f.set.labels.p[1], "b=2,3");
	assert_int_equal(f.cfg.origins[0].line, 6);
	ap_config_free(&f.cfg);

	assert_int_equal(
		parse(&f, ARGS(), ENV("APERTURE_FREQUENCY=20", "APERTURE_LABEL=c=3, d=4"), yaml),
		0);
	assert_int_equal(f.set.frequency, 20);
	assert_int_equal(f.set.labels.n, 2);
	assert_string_equal(f.set.labels.p[1], "d=4");
	assert_string_equal(f.set.host, "file");
	ap_config_free(&f.cfg);

	assert_int_equal(parse(&f, ARGS("-F", "30", "--label", "e=5", "--label=f=6"),
			       ENV("APERTURE_FREQUENCY=20", "APERTURE_LABEL=c=3"), yaml),
			 0);
	assert_int_equal(f.set.frequency, 30);
	assert_int_equal(f.set.labels.n, 2);
	assert_string_equal(f.set.labels.p[0], "e=5");
	assert_int_equal(ap_config_origin(&f.cfg, "frequency"), AP_CONFIG_FLAG);
	assert_int_equal(ap_config_origin(&f.cfg, "host"), AP_CONFIG_FILE);
	assert_int_equal(ap_config_origin(&f.cfg, "format"), AP_CONFIG_DEFAULT);
	ap_config_free(&f.cfg);
}

static void test_flags(void **state)
{
	struct fixture f;

	assert_int_equal(parse(&f,
			       ARGS("-aF50", "-i", "250ms", "--no-colour", "-o", "-", "ls", "-l",
				    "--", "--help"),
			       ENV("APERTURE_OUTPUT=no"), NULL),
			 0);
	assert_true(f.set.all);
	assert_false(f.set.colour);
	assert_int_equal(f.set.frequency, 50);
	assert_int_equal(f.set.interval, 250000000);
	assert_string_equal(f.set.output, "-");
	assert_int_equal(f.cfg.n_operands, 4);
	assert_string_equal(f.cfg.operands[1], "-l");
	assert_string_equal(f.cfg.operands[3], "--help");
	assert_null(f.cfg.operands[4]);
	ap_config_free(&f.cfg);

	assert_int_equal(parse(&f, ARGS("--format=svg", "--", "-x"), NO_ENV, NULL), 0);
	assert_int_equal(f.set.format, 1);
	assert_string_equal(f.cfg.operands[0], "-x");
	ap_config_free(&f.cfg);
}

static void check_error(char **argv, char **envp, const char *yaml, const char *says)
{
	struct fixture f;

	if (parse(&f, argv, envp, yaml) == 0)
		fail_msg("expected an error that says: %s", says);
	if (!strstr(f.err.msg, says))
		fail_msg("'%s' does not say: %s", f.err.msg, says);
	ap_config_free(&f.cfg);
}

/* A flag that means something by itself takes a value after '=' only. */
static void test_bare_flag(void **state)
{
	struct fixture f;

	assert_int_equal(parse(&f, ARGS("--errors", "program"), NO_ENV, NULL), 0);
	assert_int_equal(f.set.errors.n, 1);
	assert_string_equal(f.set.errors.p[0], "any");
	assert_int_equal(f.cfg.n_operands, 1);
	assert_string_equal(f.cfg.operands[0], "program");
	ap_config_free(&f.cfg);
	assert_int_equal(parse(&f, ARGS("--errors=a,b"), NO_ENV, NULL), 0);
	assert_int_equal(f.set.errors.n, 2);
	assert_string_equal(f.set.errors.p[1], "b");
	ap_config_free(&f.cfg);
	assert_int_equal(parse(&f, ARGS(), ENV("APERTURE_ERRORS=c"), NULL), 0);
	assert_string_equal(f.set.errors.p[0], "c");
	ap_config_free(&f.cfg);
	assert_int_equal(parse(&f, ARGS(), NO_ENV, NULL), 0);
	assert_int_equal(f.set.errors.n, 0);
	ap_config_free(&f.cfg);
}

static void test_errors(void **state)
{
	check_error(ARGS("--freqency", "1"), NO_ENV, NULL, "did you mean --frequency?");
	check_error(ARGS("-x"), NO_ENV, NULL, "unknown option -x");
	check_error(ARGS("--no-host"), NO_ENV, NULL, "unknown option --no-host");
	check_error(ARGS("-F"), NO_ENV, NULL, "-F needs a value (HZ)");
	check_error(ARGS("-F", "0"), NO_ENV, NULL, "-F: 0 is out of range (1 to 10000)");
	check_error(ARGS("-F", "9x"), NO_ENV, NULL, "-F: '9x' is not a number");
	check_error(ARGS("--buffer-size=1"), NO_ENV, NULL, "(4KiB to 1GiB)");
	check_error(ARGS("--format", "svgg"), NO_ENV, NULL, "did you mean svg?");
	check_error(ARGS("--all=maybe"), NO_ENV, NULL, "neither true nor false");
	check_error(ARGS(), ENV("APERTURE_FLUSH_INTERVAL=soon"), NULL,
		    "APERTURE_FLUSH_INTERVAL: 'soon' is not a duration");
	check_error(ARGS("--config", "/nonexistent/x"), NO_ENV, NULL, "/nonexistent/x: cannot");
	check_error(ARGS(), ENV("APERTURE_CONFIG=/nonexistent/y"), NULL, "/nonexistent/y");
	check_error(ARGS("--", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11\x1b"), NO_ENV,
		    NULL, "unexpected argument '11?'");
}

static void check_yaml(const char *yaml, const char *says)
{
	check_error(ARGS(), NO_ENV, yaml, says);
}

#define RECORD "cli:\n  record:\n    "
static void test_yaml_errors(void **state)
{
	check_yaml(RECORD "freq: 3\n", ":3: unknown key 'freq'; did you mean frequency?");
	check_yaml(RECORD "output: x\n", ":3: unknown key 'output'");
	check_yaml("clj: {}\n", ":1: unknown section 'clj'; did you mean cli?");
	check_yaml("cli: {recor: {}}\n", "did you mean record?");
	check_yaml("cli: {}\ncli: {}\n", ":2: a section that is there already");
	check_yaml(RECORD "host: a\n    host: b\n", ":4: a key that is there already");
	check_yaml(RECORD "host:\n", "host: has no value");
	check_yaml(RECORD "host: [a]\n", "host: must be a single value");
	check_yaml(RECORD "label: {a: b}\n", "label: must be a list");
	check_yaml(RECORD "label: [[a]]\n", "elements of a list");
	check_yaml(RECORD "frequency: -1\n", ":3: frequency: '-1' is not a number");
	check_yaml(RECORD "host: \"a\\0b\"\n", "holds a zero byte");
	check_yaml(RECORD "host: &x a\n", "anchors and aliases");
	check_yaml("agent: &a [*a]\n", "anchors and aliases");
	check_yaml("agent: {a: !!python x}\n", "not supported");
	check_yaml("- a\n", "must be a mapping of sections");
	check_yaml("cli: 3\n", "a section must be a mapping");
	check_yaml("cli: {}\n---\ncli: {}\n", "more than one document");
	check_yaml("cli: {\n", "not valid YAML");
	check_yaml("cli: \x80\n", "not valid YAML");
	check_yaml("? [a]\n: b\n", "a key must be a single word");
}

static void test_yaml_nesting(void **state)
{
	char yaml[3000] = "agent: {a: ";

	memset(yaml + strlen(yaml), '[', 2000);
	check_yaml(yaml, "nested too deeply");
}

static void test_yaml_empty(void **state)
{
	const char *const texts[] = {"",    "# nothing\n", "---\n",
				     "~\n", "cli:\n",	   "cli: {record: }\n"};
	struct fixture f;

	for (size_t i = 0; i < AP_ARRAY_SIZE(texts); i++) {
		assert_int_equal(parse(&f, ARGS(), NO_ENV, texts[i]), 0);
		assert_string_equal(f.cfg.file, path);
		ap_config_free(&f.cfg);
	}
}

static char *render(struct fixture *f, struct ap_buf *out)
{
	ap_config_render(&f->cfg, 60, out);
	ap_buf_byte(out, '\0');
	assert_int_equal(ap_buf_error(out), 0);
	return (char *)out->p;
}

static void test_print_config(void **state)
{
	_cleanup_buf_ struct ap_buf out = {0}, again = {0};
	struct fixture f;
	char *text;

	assert_int_equal(parse(&f, ARGS("--print-config", "--host", "a\"b\n"),
			       ENV("APERTURE_FLUSH_INTERVAL=1500ms"),
			       RECORD "buffer-size: 64k\n    label: [x]\n"),
			 0);
	text = render(&f, &out);
	assert_non_null(strstr(text, "cli:\n  record:\n    frequency: 99  # default\n"));
	assert_non_null(strstr(text, "    buffer-size: 64KiB  # file line 3\n"));
	assert_non_null(strstr(text, "    flush-interval: 1500ms  # environment "
				     "APERTURE_FLUSH_INTERVAL\n"));
	assert_non_null(strstr(text, "    host: \"a\\\"b\\x0a\"  # flag\n"));
	assert_non_null(strstr(text, "    # output: # not set, default\n"));
	ap_config_free(&f.cfg);

	/* What it prints is a configuration file with the same effect. */
	assert_int_equal(parse(&f, ARGS(), NO_ENV, text), 0);
	assert_string_equal(f.set.host, "a\"b\n");
	assert_int_equal(f.set.interval, 1500000000);
	assert_int_equal(f.set.labels.n, 1);
	ap_config_free(&f.cfg);
}

static void test_help(void **state)
{
	_cleanup_buf_ struct ap_buf out = {0};
	struct fixture f;
	char *text, *line;

	assert_int_equal(parse(&f, ARGS("--bad=1", "-h"), NO_ENV, NULL), -EINVAL);
	ap_config_free(&f.cfg);
	assert_int_equal(parse(&f, ARGS("-F", "x", "--help"), NO_ENV, "bad: ["), 0);
	assert_int_equal(f.cfg.action, AP_CONFIG_HELP);
	text = render(&f, &out);
	assert_non_null(strstr(text, "Usage: aperture record [OPTION…] [-- COMMAND ARG…]\n"));
	assert_non_null(strstr(text, "  -F, --frequency HZ"));
	assert_non_null(strstr(text, "(default 99)"));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 64); /* 60 columns, and "…" is three bytes */
	ap_config_free(&f.cfg);
}

static void test_nearest(void **state)
{
	const char *const names[] = {"record", "report", "doctor", NULL};

	assert_string_equal(ap_nearest_name(AP_STR("rceord"), names), "record");
	assert_string_equal(ap_nearest_name(AP_STR("doc"), names), "doctor");
	assert_null(ap_nearest_name(AP_STR("zzz"), names));
	assert_null(ap_nearest_name(AP_STR(""), names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_flags),	     cmocka_unit_test(test_bare_flag),
		cmocka_unit_test(test_errors),	     cmocka_unit_test(test_yaml_errors),
		cmocka_unit_test(test_yaml_nesting), cmocka_unit_test(test_yaml_empty),
		cmocka_unit_test(test_print_config), cmocka_unit_test(test_help),
		cmocka_unit_test(test_nearest),
	};
	int r;

	snprintf(path, sizeof(path), "/tmp/ap-config-test-%d.yaml", getpid());
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
