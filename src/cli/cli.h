/* SPDX-License-Identifier: Apache-2.0 */
/* The command line program: one file per subcommand, and what they share. Data goes to stdout only
 * where it was asked for; everything said to a person goes to stderr. */
#ifndef AP_CLI_CLI_H
#define AP_CLI_CLI_H

#include <stdio.h>

#include "base/config.h"

/* Exit statuses, the same for all subcommands; documented in aperture(1). `record` and `stat`
 * with a command that ran end with the command's own status. */
enum ap_exit {
	AP_EXIT_OK = 0,
	AP_EXIT_ERROR = 1,
	/* AP_EXIT_USAGE = 2 is in base/config.h */
	AP_EXIT_PERMISSION = 4,
	AP_EXIT_NO_SAMPLES = 5,
};

struct ap_command {
	const char *name;
	const char *summary;		   /* one line, for the list in `aperture --help` */
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name; exit status */
};

int ap_cmd_record(int argc, char **argv);
int ap_cmd_stat(int argc, char **argv);
int ap_cmd_top(int argc, char **argv);
int ap_cmd_report(int argc, char **argv);
int ap_cmd_agents(int argc, char **argv);
int ap_cmd_symbols(int argc, char **argv);
int ap_cmd_alerts(int argc, char **argv);
int ap_cmd_annotate(int argc, char **argv);
int ap_cmd_callers(int argc, char **argv);
int ap_cmd_callees(int argc, char **argv);
int ap_cmd_heatmap(int argc, char **argv);
int ap_cmd_doctor(int argc, char **argv);

/* Names of all subcommands, NULL-terminated: the sections within `cli:` in the file. */
extern const char *const ap_cli_sections[];

/* Parses a subcommand's options. False: there is nothing more to do, since it failed (said on
 * stderr) or was --help or the like; the process ends with `*ret_status`. */
bool ap_cli_parse(struct ap_config *cfg, const struct ap_program *program, void *values, int argc,
		  char **argv, int *ret_status);

/* "aperture record: MESSAGE" on stderr. */
void ap_cli_say(const struct ap_program *program, const char *fmt, ...) AP_PRINTF(2, 3);
/* Says the error; returns the exit status that goes with its code. */
int ap_cli_fail(const struct ap_program *program, const struct ap_error *err);

/* What may be written to a stream. */
struct ap_terminal {
	bool tty;
	bool colour;	  /* a terminal, not TERM=dumb, and NO_COLOR is not set or empty */
	unsigned columns; /* 80 where it is no terminal */
};

struct ap_terminal ap_terminal_of(int fd);

/* The dashboard's files, for ap_files_find(). */
#define AP_UI_INSTALLED "../share/aperture/ui"
#define AP_UI_IN_TREE	"ui/dist"

/* One of the dashboard's files: in folder `given` (--ui-dir) if not NULL, else beside this program
 * or in the build tree that it lies in. A path to free. 0, -ENOMEM, or -ENOENT with `err` saying
 * where it was looked for. */
int ap_cli_ui_file(const char *given, const char *file, char **ret, struct ap_error *err);

#endif
