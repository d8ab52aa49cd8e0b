/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of all three programs from one table of options. Each option has, by its name
 * alone, a flag (`--flush-interval`), an environment variable (`APERTURE_FLUSH_INTERVAL`) and a
 * key in one YAML file (`flush-interval:` in the program's section). Precedence: flag, then
 * environment, then file, then the default in the table.
 *
 *	struct settings { uint64_t frequency; char *host; struct ap_strings labels; };
 *	static const struct ap_option options[] = {
 *		{.name = "frequency", .short_name = 'F', .type = AP_OPT_UINT, .metavar = "HZ",
 *		 .value = "99", .min = 1, .max = 10000, .group = "Sampling",
 *		 .help = "samples per second and CPU",
 *		 .offset = offsetof(struct settings, frequency)},
 *		…
 *	};
 *	static const struct ap_program program = {
 *		.name = "aperture-agent", .section = "agent", .summary = "…",
 *		.options = options, .n_options = AP_ARRAY_SIZE(options)};
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct settings set = {0};
 *		_cleanup_config_ struct ap_config cfg = {0};
 *		struct ap_error err = {0};
 *
 *		if (ap_config_parse(&cfg, &program, &set, argc, argv, environ, &err) < 0) {
 *			fprintf(stderr, "aperture-agent: %s\n", err.msg);
 *			return AP_EXIT_USAGE;
 *		}
 *		if (cfg.action != AP_CONFIG_RUN)
 *			return ap_config_show(&cfg, STDOUT_FILENO) < 0;
 *
 * Every program also understands --config FILE, --print-config, --help (-h) and --version (-V).
 * All text from outside is hostile: sizes are bounded, and an unknown or repeated key, a wrong type
 * or a value out of range is an error that names the flag, the variable or the file and line. */
#ifndef AP_BASE_CONFIG_H
#define AP_BASE_CONFIG_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"

#define AP_CONFIG_PATH	     "/etc/aperture/aperture.yaml"
#define AP_CONFIG_FILE_MAX   (1u << 20) /* bytes of a configuration file */
#define AP_CONFIG_VALUE_MAX  (1u << 16) /* bytes of one value */
#define AP_CONFIG_LIST_MAX   4096	/* elements of a list */
#define AP_CONFIG_ENV_PREFIX "APERTURE_"

/* Exit status of every program for a wrong flag, variable or configuration file. */
#define AP_EXIT_USAGE 2

enum ap_option_type {		    /* type of the field at `offset`: */
		      AP_OPT_BOOL,  /* bool; `--x`, `--no-x`, `--x=false` */
		      AP_OPT_UINT,  /* uint64_t */
		      AP_OPT_BYTES, /* uint64_t bytes; "64MiB" */
		      AP_OPT_DURATION, /* uint64_t nanoseconds; "250ms", "10s"; a bare number is seconds */
		      AP_OPT_PERCENT, /* uint64_t thousandths of a percent; "0.5", "1%" */
		      AP_OPT_STRING, /* char *, owned by the ap_config, NULL where neither given nor defaulted */
		      AP_OPT_LIST, /* struct ap_strings: the flag may be repeated; "a,b" is two elements */
		      AP_OPT_ENUM, /* uint32_t: index into `choices` */
};

/* NUL-terminated strings, owned by the ap_config. */
struct ap_strings {
	char **p;
	size_t n, cap;
};

enum {
	AP_OPT_F_FLAG_ONLY = 1, /* on the command line only: no variable, no key */
};

struct ap_option {
	const char *name; /* lower case, words joined by '-' */
	const char *metavar;
	const char *value; /* default as the user would write it; NULL: false, 0, NULL, empty */
	const char *const *choices; /* AP_OPT_ENUM: NULL-terminated */
	const char
		*bare; /* what the flag means without a value, which then only follows a '='; NULL:
			     a value must follow */
	const char *group; /* heading in --help, the same for neighbours */
	const char *help;  /* a sentence without full stop; wrapped when shown */
	uint64_t min, max; /* UINT, BYTES, DURATION (ns): inclusive; max 0 = no limit */
	size_t offset;	   /* of the field in the program's own struct of values */
	enum ap_option_type type;
	unsigned int flags; /* AP_OPT_F_* */
	char short_name;    /* 0: none */
};

struct ap_program {
	const char *name;     /* as typed: "aperture-agent", "aperture record" */
	const char *section;  /* in the file: "agent"; "cli.record" is record: within cli: */
	const char *summary;  /* one line */
	const char *operands; /* "[-- COMMAND ARG…]" in the usage line; NULL: none */
	const char *notes;    /* paragraphs after the options in --help; NULL: none */
	const struct ap_option *options;
	size_t n_options;
	const char *const *sections; /* names beside the last part of `section`, NULL-terminated;
					NULL: agent, aggregator, cli */
	const char *path;	     /* the file read without --config; NULL: AP_CONFIG_PATH */
	size_t min_operands, max_operands; /* how many operands are right */
	bool operands_end_options;	   /* the first operand ends the options: it is a command */
	bool file_optional; /* a file at the default path that may not be read is as if absent */
};

enum ap_config_from {
	AP_CONFIG_DEFAULT,
	AP_CONFIG_FILE,
	AP_CONFIG_ENV,
	AP_CONFIG_FLAG,
};

struct ap_config_origin {
	enum ap_config_from from;
	uint32_t line; /* AP_CONFIG_FILE: 1-based */
};

enum ap_config_action {
	AP_CONFIG_RUN,
	AP_CONFIG_HELP,
	AP_CONFIG_VERSION,
	AP_CONFIG_PRINT,   /* --print-config */
	AP_CONFIG_OPTIONS, /* --print-options, for shells' completion: by tabs name, short name (or
			      "-"), type, metavar, choices (by commas), help */
};

struct ap_config {
	const struct ap_program *program;
	void *values;			  /* the program's struct */
	struct ap_config_origin *origins; /* one per option of the table */
	char *file;			  /* the file that was read; NULL: none */
	char **operands;		  /* NULL-terminated; the strings are argv's */
	size_t n_operands;
	enum ap_config_action action;
};

/* Fills `cfg` and `values` (zeroed by the caller) from argv[1…], `envp` ("NAME=value", NULL at its
 * end) and the file. With AP_CONFIG_HELP, _VERSION or _OPTIONS nothing has been read or checked. -EINVAL: what the user wrote is
 * wrong; -ENOMEM; or why the file could not be read. ap_config_free() is due in every case. */
int ap_config_parse(struct ap_config *cfg, const struct ap_program *program, void *values, int argc,
		    char **argv, char *const *envp, struct ap_error *err);
/* Frees what `cfg` and its values own. */
void ap_config_free(struct ap_config *cfg);
#define _cleanup_config_ _cleanup_(ap_config_free)

/* Where the value of an option came from; AP_CONFIG_DEFAULT for a name not in the table. */
enum ap_config_from ap_config_origin(const struct ap_config *cfg, const char *name);

/* Appends what `cfg->action` asks to be shown; `width` in columns. */
void ap_config_render(const struct ap_config *cfg, unsigned int width, struct ap_buf *out);
/* The same, written to `fd` with the width of its terminal (80 where it is none). */
int ap_config_show(const struct ap_config *cfg, int fd);

/* The nearest of `names` (NULL-terminated) to a mistyped word, NULL where none is near. */
const char *ap_nearest_name(struct ap_str word, const char *const *names);

#endif
