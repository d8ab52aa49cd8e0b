/* SPDX-License-Identifier: Apache-2.0 */
/* aperture symbols: which modules an aggregator has no symbols of, and sending them. */
#include "cli/symbols.h"

static const char *const formats[] = {"text", "json", NULL};

#define FIELD(f) offsetof(struct ap_symbols_settings, f)

static const struct ap_option options[] = {
	{.name = "server",
	 .type = AP_OPT_STRING,
	 .metavar = "URL",
	 .value = "http://127.0.0.1:9090",
	 .group = "Aggregator",
	 .help = "the aggregator, by the address of its dashboard",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(server)},
	{.name = "format",
	 .type = AP_OPT_ENUM,
	 .choices = formats,
	 .value = "text",
	 .group = "Aggregator",
	 .help = "form of the output",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(format)},
	{.name = "debug-dir",
	 .type = AP_OPT_LIST,
	 .metavar = "DIR",
	 .group = "push",
	 .help = "where separate debug files lie by build-id, besides /usr/lib/debug",
	 .offset = FIELD(debug_dirs)},
	{.name = "from",
	 .type = AP_OPT_STRING,
	 .metavar = "TIME",
	 .value = "now-1h",
	 .group = "missing",
	 .help = "the range's start: now-1h, 2026-11-23T10:00:00Z or Unix milliseconds",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(from)},
	{.name = "to",
	 .type = AP_OPT_STRING,
	 .metavar = "TIME",
	 .value = "now",
	 .group = "missing",
	 .help = "the range's end",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(to)},
	{.name = "filter",
	 .type = AP_OPT_STRING,
	 .metavar = "FILTER",
	 .group = "missing",
	 .help = "which samples, such as {service=\"nginx\"}",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(filter)},
	{.name = "limit",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "20",
	 .min = 1,
	 .max = 10000,
	 .group = "missing",
	 .help = "modules to list",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(limit)},
};

static const struct ap_program program = {
	.name = "aperture symbols",
	.section = "cli.symbols",
	.sections = ap_cli_sections,
	.summary = "Names what an aggregator has without symbols, in what is stored too.",
	.operands = "push FILE… | missing",
	.notes = "push looks up in each FILE (a program, a library, a separate debug file, or a "
		 "folder of them) the addresses that the aggregator lacks, and sends the answers: "
		 "function, file, line and what is inlined there. The file itself stays here.\n"
		 "missing ranks the modules without symbols by the CPU time that they hide.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.file_optional = true,
};

static int run(const struct ap_symbols *s, char *const *operands, size_t n)
{
	static const char *const actions[] = {"push", "missing", NULL};
	const char *near = ap_nearest_name(ap_str_of(operands[0]), actions);

	if (strcmp(operands[0], "push") == 0 && n > 1)
		return ap_symbols_push(s, operands + 1);
	if (strcmp(operands[0], "missing") == 0 && n == 1)
		return ap_symbols_missing(s);
	if (strcmp(operands[0], "push") == 0)
		ap_cli_say(&program, "push needs the FILE to look in: a program or its debug file");
	else if (strcmp(operands[0], "missing") == 0)
		ap_cli_say(&program, "missing takes no operand (%s)", operands[1]);
	else
		ap_cli_say(&program, "'%s' is neither push nor missing%s%s%s", operands[0],
			   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	return AP_EXIT_USAGE;
}

int ap_cmd_symbols(int argc, char **argv)
{
	struct ap_symbols_settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_symbols s = {.program = &program, .set = &set};
	struct ap_error err = {0};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	if (ap_http_client_new(set.server, "--server", &s.client, &err) < 0) {
		ap_cli_fail(&program, &err);
		return err.code == -EINVAL ? AP_EXIT_USAGE : AP_EXIT_ERROR;
	}
	status = run(&s, cfg.operands, cfg.n_operands);
	ap_http_client_free(s.client);
	return status;
}
