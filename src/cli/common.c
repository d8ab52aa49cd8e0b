/* SPDX-License-Identifier: Apache-2.0 */
/* What subcommands share: options, errors, the terminal, the dashboard's files. */
#include <stdarg.h>
#include <sys/ioctl.h>

#include "base/files.h"
#include "cli/cli.h"

extern char **environ;

bool ap_cli_parse(struct ap_config *cfg, const struct ap_program *program, void *values, int argc,
		  char **argv, int *ret_status)
{
	struct ap_error err = {0};

	if (ap_config_parse(cfg, program, values, argc, argv, environ, &err) < 0) {
		ap_cli_say(program, "%s", err.msg);
		*ret_status = AP_EXIT_USAGE;
		return false;
	}
	if (cfg->action == AP_CONFIG_RUN)
		return true;
	*ret_status = ap_config_show(cfg, STDOUT_FILENO) < 0 ? AP_EXIT_ERROR : AP_EXIT_OK;
	return false;
}

void ap_cli_say(const struct ap_program *program, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program->name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int ap_cli_fail(const struct ap_program *program, const struct ap_error *err)
{
	ap_cli_say(program, "%s", err->msg);
	return err->code == -EPERM || err->code == -EACCES ? AP_EXIT_PERMISSION : AP_EXIT_ERROR;
}

struct ap_terminal ap_terminal_of(int fd)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct ap_terminal t = {.tty = isatty(fd), .columns = 80};
	struct winsize size = {0};

	if (t.tty && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		t.columns = size.ws_col;
	t.colour = t.tty && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
	return t;
}

int ap_cli_ui_file(const char *given, const char *file, char **ret, struct ap_error *err)
{
	_cleanup_free_ char *installed = NULL, *in_tree = NULL;
	int r = -ENOMEM;

	if (given) {
		if (asprintf(&installed, "%s/%s", given, file) < 0)
			return ap_error_set(err, -ENOMEM, "out of memory");
		if (access(installed, R_OK) < 0)
			return ap_error_set(err, -ENOENT, "%s cannot be read: %s", installed,
					    ap_strerror(errno));
		*ret = AP_TAKE_PTR(installed);
		return 0;
	}
	if (asprintf(&installed, AP_UI_INSTALLED "/%s", file) >= 0 &&
	    asprintf(&in_tree, AP_UI_IN_TREE "/%s", file) >= 0)
		r = ap_files_find(installed, in_tree, ret);
	if (r == 0)
		return 0;
	return ap_error_set(err, r,
			    "the dashboard's %s is not beside this program (%s): install the "
			    "dashboard or give its folder with --ui-dir",
			    file, AP_UI_INSTALLED);
}
