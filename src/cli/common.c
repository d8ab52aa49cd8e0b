/* SPDX-License-Identifier: Apache-2.0 */
/* What subcommands share: options, errors, the terminal, the dashboard's files. */
#include <limits.h>
#include <stdarg.h>
#include <sys/ioctl.h>

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

int ap_cli_ui_file(const char *given, const char *file, char *ret, size_t size,
		   struct ap_error *err)
{
	static const char *const places[] = {"../share/aperture/ui", "../../../../ui/dist"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (given) {
		if ((size_t)snprintf(ret, size, "%s/%s", given, file) < size &&
		    access(ret, R_OK) == 0)
			return 0;
		return ap_error_set(err, -ENOENT, "%s/%s cannot be read: %s", given, file,
				    ap_strerror(errno));
	}
	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < AP_ARRAY_SIZE(places); i++) {
		int w = snprintf(ret, size, "%s/%s/%s", exe, places[i], file);

		if (w > 0 && (size_t)w < size && access(ret, R_OK) == 0)
			return 0;
	}
	return ap_error_set(err, -ENOENT,
			    "the dashboard's %s is neither in %s/%s nor in %s/%s: install the "
			    "dashboard or give its folder with --ui-dir",
			    file, exe, places[0], exe, places[1]);
}
