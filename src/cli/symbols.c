/* SPDX-License-Identifier: Apache-2.0 */
/* aperture symbols: which modules an aggregator has no symbols of, and sending them. */
#include "cli/symbols.h"

#define FIELD(f) offsetof(struct ap_symbols_settings, f)

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct ap_symbols_settings),
	AP_REMOTE_OPTION_FORMAT(struct ap_symbols_settings),
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

int ap_cmd_symbols(int argc, char **argv)
{
	static const struct ap_remote_verb verbs[] = {
		{"push", ap_symbols_push, 1, SIZE_MAX,
		 "needs the FILE to look in: a program or its debug file"},
		{"missing", ap_symbols_missing, 0, 0, "takes no operand"},
	};
	struct ap_symbols_settings set = {0};

	return ap_remote_run(&program, verbs, AP_ARRAY_SIZE(verbs), &set, &set.remote, argc, argv);
}
