/* SPDX-License-Identifier: Apache-2.0 */
/* aperture SUBCOMMAND …: finds the subcommand in the table and hands over. */
#include <string.h>

#include "cli/cli.h"

static int cmd_version(int argc, char **argv)
{
	puts("aperture " APERTURE_VERSION);
	return AP_EXIT_OK;
}

static int cmd_help(int argc, char **argv);

static const struct ap_command commands[] = {
	{"record", "profile the whole machine, processes, a cgroup or a command", ap_cmd_record},
	{"stat", "say on one page where the time of a command, of processes or of the machine went",
	 ap_cmd_stat},
	{"top", "show what runs and waits on this machine, live", ap_cmd_top},
	{"report", "show a recorded profile in the terminal", ap_cmd_report},
	{"agents", "show an aggregator's agents, and change for a time what they profile",
	 ap_cmd_agents},
	{"symbols", "name what an aggregator has without symbols", ap_cmd_symbols},
	{"alerts", "an aggregator's alert rules: list, add, try, silence", ap_cmd_alerts},
	{"annotate", "note at an aggregator what happened, such as a deploy", ap_cmd_annotate},
	{"callers", "show who calls a function, of what an aggregator has", ap_cmd_callers},
	{"callees", "show what a function calls, of what an aggregator has", ap_cmd_callees},
	{"heatmap", "draw when it was, of what an aggregator has", ap_cmd_heatmap},
	{"doctor", "check what this machine permits, and say how to permit the rest",
	 ap_cmd_doctor},
	{"version", "show the version", cmd_version},
	{"help", "show this text, or the help of a subcommand", cmd_help},
};

const char *const ap_cli_sections[] = {"record",  "stat",   "top",	"report",  "agents",
				       "symbols", "alerts", "annotate", "callers", "callees",
				       "heatmap", "doctor", NULL};

static const struct ap_command *find(const char *name)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void usage(FILE *out)
{
	fputs("Usage: aperture SUBCOMMAND [OPTION…]\n\n"
	      "Profiles Linux: where did the time go?\n\n",
	      out);
	for (size_t i = 0; i < AP_ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\naperture SUBCOMMAND --help shows its options; man aperture-SUBCOMMAND tells more.\n"
	      "A first profile:  sudo aperture record -d 10 -o profile.html\n",
	      out);
}

/* For shells' completion: by a tab name and summary. */
static int print_commands(void)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(commands); i++)
		printf("%s\t%s\n", commands[i].name, commands[i].summary);
	return AP_EXIT_OK;
}

static int unknown(const char *name)
{
	const char *names[AP_ARRAY_SIZE(commands) + 1] = {NULL}, *near;

	for (size_t i = 0; i < AP_ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = ap_nearest_name(ap_str_of(name), names);
	fprintf(stderr, "aperture: '%s' is no subcommand%s%s%s (aperture --help lists them)\n",
		name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	return AP_EXIT_USAGE;
}

static int cmd_help(int argc, char **argv)
{
	const struct ap_command *c = argc > 1 ? find(argv[1]) : NULL;
	char help[] = "--help", *args[] = {argc > 1 ? argv[1] : NULL, help, NULL};

	if (argc > 1 && !c)
		return unknown(argv[1]);
	if (c && c->run != cmd_help && c->run != cmd_version)
		return c->run(2, args);
	usage(stdout);
	return AP_EXIT_OK;
}

int main(int argc, char **argv)
{
	const struct ap_command *c;

	if (argc < 2) {
		usage(stderr);
		return AP_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(1, argv);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return cmd_version(1, argv);
	if (strcmp(argv[1], "--print-commands") == 0)
		return print_commands();
	c = find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : unknown(argv[1]);
}
