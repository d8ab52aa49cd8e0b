/* SPDX-License-Identifier: Apache-2.0 */
/* What --help, --version, --print-config and --print-options show, from the table of options. */
#include "base/config_internal.h"

#include <stdio.h>
#include <sys/ioctl.h>

#include "base/io.h"
#include "base/text.h"

#define LEFT_MAX 30 /* columns of the flags before their help starts on a line of its own */

static const struct ap_option builtins[] = {
	{.name = "config",
	 .metavar = "FILE",
	 .type = AP_OPT_STRING,
	 .value = AP_CONFIG_PATH,
	 .help = "read this configuration file"},
	{.name = "print-config", .help = "show each setting and where it came from, and exit"},
	{.name = "help", .short_name = 'h', .help = "show this text and exit"},
	{.name = "version", .short_name = 'V', .help = "show the version and exit"},
};

static const char *metavar(const struct ap_option *o)
{
	return o->metavar ? o->metavar : o->type == AP_OPT_BOOL ? "" : "VALUE";
}

static void option_flags(const struct ap_option *o, struct ap_buf *out)
{
	if (o->short_name)
		ap_buf_printf(out, "  -%c, --%s", o->short_name, o->name);
	else
		ap_buf_printf(out, "      --%s", o->name);
	if (o->bare)
		ap_buf_printf(out, "[=%s]", metavar(o));
	else if (o->type != AP_OPT_BOOL)
		ap_buf_printf(out, " %s", metavar(o));
}

static void option_text(const struct ap_option *o, struct ap_buf *out)
{
	ap_buf_puts(out, o->help);
	if (o->type == AP_OPT_ENUM) {
		for (size_t i = 0; o->choices[i]; i++)
			ap_buf_printf(out, "%s%s", i ? ", " : ": ", o->choices[i]);
	}
	if (o->value && o->type != AP_OPT_BOOL)
		ap_buf_printf(out, " (default %s)", o->value);
	else if (o->value && strcmp(o->value, "true") == 0)
		ap_buf_printf(out, " (on; --no-%s turns it off)", o->name);
}

static void option_help(const struct ap_option *o, size_t left, size_t width, struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf flags = {0}, text = {0};
	size_t n;

	option_flags(o, &flags);
	option_text(o, &text);
	n = ap_text_columns(ap_buf_view(&flags));
	ap_buf_str(out, ap_buf_view(&flags));
	if (n + 2 > left) {
		ap_buf_byte(out, '\n');
		n = 0;
	}
	ap_text_spaces(out, left - n);
	ap_text_wrap(out, ap_buf_view(&text), left, left, width);
}

static size_t left_columns(const struct ap_program *prog)
{
	_cleanup_buf_ struct ap_buf b = {0};
	size_t left = 24;

	for (size_t i = 0; i < prog->n_options; i++) {
		ap_buf_clear(&b);
		option_flags(&prog->options[i], &b);
		if (ap_text_columns(ap_buf_view(&b)) + 2 <= LEFT_MAX)
			left = AP_MAX(left, ap_text_columns(ap_buf_view(&b)) + 2);
	}
	return left;
}

static void help(const struct ap_program *prog, size_t width, struct ap_buf *out)
{
	size_t left = left_columns(prog);
	const char *group = NULL;

	ap_buf_printf(out, "Usage: %s [OPTION…]%s%s\n\n", prog->name, prog->operands ? " " : "",
		      prog->operands ? prog->operands : "");
	ap_text_wrap(out, ap_str_of(prog->summary), 0, 0, width);
	for (size_t i = 0; i < prog->n_options; i++) {
		const struct ap_option *o = &prog->options[i];

		if (!group || strcmp(group, o->group) != 0)
			ap_buf_printf(out, "\n%s:\n", o->group);
		group = o->group;
		option_help(o, left, width, out);
	}
	ap_buf_puts(out, "\nGeneral:\n");
	for (size_t i = 0; i < AP_ARRAY_SIZE(builtins); i++)
		option_help(&builtins[i], left, width, out);
	if (prog->notes) {
		ap_buf_byte(out, '\n');
		ap_text_wrap(out, ap_str_of(prog->notes), 0, 0, width);
	}
}

static void print_config(const struct ap_config *cfg, struct ap_buf *out)
{
	static const char *const froms[] = {"default", "file", "environment", "flag"};
	struct ap_str section = ap_str_of(cfg->program->section);
	size_t indent = 0;

	ap_buf_printf(out, "# %s %s; file: %s\n", cfg->program->name, APERTURE_VERSION,
		      cfg->file ? cfg->file : "none");
	for (; section.p; indent += 2) {
		struct ap_str part = ap_str_cut(&section, '.');

		ap_text_spaces(out, indent);
		ap_buf_printf(out, "%.*s:\n", AP_STR_ARG(part));
	}
	for (size_t i = 0; i < cfg->program->n_options; i++) {
		const struct ap_option *o = &cfg->program->options[i];
		struct ap_config_origin from = cfg->origins[i];
		_cleanup_buf_ struct ap_buf value = {0}, name = {0};
		bool set = ap_config_value_text(cfg, i, &value);

		ap_text_spaces(out, indent);
		ap_buf_printf(out, "%s%s: ", set && !(o->flags & AP_OPT_F_FLAG_ONLY) ? "" : "# ",
			      o->name);
		if (set)
			ap_buf_str(out, ap_buf_view(&value));
		ap_buf_printf(out, "%s# %s", set ? "  " : "", set ? "" : "not set, ");
		ap_buf_puts(out, froms[from.from]);
		if (from.from == AP_CONFIG_FILE)
			ap_buf_printf(out, " line %u", from.line);
		if (from.from == AP_CONFIG_ENV) {
			ap_config_env_name(o->name, &name);
			ap_buf_printf(out, " %.*s", AP_STR_ARG(ap_buf_view(&name)));
		}
		ap_buf_byte(out, '\n');
	}
}

static void print_options(const struct ap_option *o, size_t n, struct ap_buf *out)
{
	static const char *const types[] = {
		[AP_OPT_BOOL] = "bool",	      [AP_OPT_UINT] = "uint",
		[AP_OPT_BYTES] = "bytes",     [AP_OPT_DURATION] = "duration",
		[AP_OPT_PERCENT] = "percent", [AP_OPT_STRING] = "string",
		[AP_OPT_LIST] = "list",	      [AP_OPT_ENUM] = "enum",
	};

	for (; n--; o++) {
		ap_buf_printf(out, "%s\t%.1s\t%s\t%s\t", o->name,
			      o->short_name ? &o->short_name : "-", types[o->type], metavar(o));
		for (size_t i = 0; o->type == AP_OPT_ENUM && o->choices[i]; i++)
			ap_buf_printf(out, "%s%s", i ? "," : "", o->choices[i]);
		ap_buf_printf(out, "\t%s\n", o->help);
	}
}

void ap_config_render(const struct ap_config *cfg, unsigned int width, struct ap_buf *out)
{
	switch (cfg->action) {
	case AP_CONFIG_HELP:
		help(cfg->program, AP_MIN(AP_MAX(width, 40u), 100u), out);
		break;
	case AP_CONFIG_VERSION:
		ap_buf_printf(out, "aperture %s\n", APERTURE_VERSION);
		break;
	case AP_CONFIG_PRINT:
		print_config(cfg, out);
		break;
	case AP_CONFIG_OPTIONS:
		print_options(cfg->program->options, cfg->program->n_options, out);
		print_options(builtins, AP_ARRAY_SIZE(builtins), out);
		break;
	case AP_CONFIG_RUN:
		break;
	}
}

int ap_config_show(const struct ap_config *cfg, int fd)
{
	_cleanup_buf_ struct ap_buf out = {0};
	struct winsize size = {0};

	ioctl(fd, TIOCGWINSZ, &size);
	ap_config_render(cfg, size.ws_col ? size.ws_col : 80, &out);
	return ap_buf_error(&out) ? -ENOMEM : ap_write_all(fd, out.p, out.n);
}
