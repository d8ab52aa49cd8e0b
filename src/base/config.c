/* SPDX-License-Identifier: Apache-2.0 */
/* Command line and environment, and the order in which sources apply: all of argv is scanned first,
 * since --config and --help matter before anything else; then default, file, environment and flags
 * are applied, each over the one before. */
#include "base/config_internal.h"

#include <ctype.h>
#include <stdio.h>

/* One flag as it stood on the command line. */
struct assignment {
	size_t option;
	struct ap_str value;
	char place[56];
};

struct command_line {
	struct ap_config *cfg;
	int argc, i; /* argv[i] is being read */
	char **argv;
	AP_VEC(struct assignment) flags;
	AP_VEC(char *) operands;
	const char *file; /* --config */
	struct ap_error *err;
};

static const char *const builtin_flags[] = {"config", "print-config", "help", "version", NULL};

ssize_t ap_config_find(const struct ap_program *program, struct ap_str name)
{
	for (size_t i = 0; i < program->n_options; i++) {
		if (ap_str_is(name, program->options[i].name))
			return (ssize_t)i;
	}
	return -1;
}

enum ap_config_from ap_config_origin(const struct ap_config *cfg, const char *name)
{
	ssize_t i = ap_config_find(cfg->program, ap_str_of(name));

	return i < 0 ? AP_CONFIG_DEFAULT : cfg->origins[i].from;
}

const char **ap_config_names(const struct ap_program *program, enum ap_config_from from)
{
	const char **names =
		calloc(program->n_options + AP_ARRAY_SIZE(builtin_flags), sizeof(*names));
	size_t n = 0;

	if (!names)
		return NULL;
	for (size_t i = 0; i < program->n_options; i++) {
		if (from == AP_CONFIG_FLAG || !(program->options[i].flags & AP_OPT_F_FLAG_ONLY))
			names[n++] = program->options[i].name;
	}
	for (size_t i = 0; from == AP_CONFIG_FLAG && builtin_flags[i]; i++)
		names[n++] = builtin_flags[i];
	return names;
}

void ap_config_env_name(const char *option, struct ap_buf *out)
{
	ap_buf_puts(out, AP_CONFIG_ENV_PREFIX);
	for (; *option; option++)
		ap_buf_byte(out, *option == '-' ? '_' : (uint8_t)toupper((unsigned char)*option));
}

static int unknown_flag(struct command_line *c, struct ap_str name, const char *dashes)
{
	_cleanup_free_ const char **names = ap_config_names(c->cfg->program, AP_CONFIG_FLAG);
	char q[72], hint[96] = "";

	if (!names)
		return -ENOMEM;
	if (dashes[1])
		ap_config_hint(name, names, "--", hint);
	return ap_error_set(c->err, -EINVAL, "unknown option %s%s%s (--help lists them all)",
			    dashes, ap_config_quote(name, q), hint);
}

static int add_flag(struct command_line *c, size_t option, struct ap_str value, const char *place)
{
	struct assignment a = {.option = option, .value = value};

	snprintf(a.place, sizeof(a.place), "%s", place);
	return ap_vec_push(&c->flags, a);
}

/* The value that follows in argv. */
static int next_value(struct command_line *c, const char *place, const char *metavar,
		      struct ap_str *ret)
{
	if (c->i + 1 >= c->argc)
		return ap_error_set(c->err, -EINVAL, "%s needs a value (%s)", place,
				    metavar ? metavar : "VALUE");
	*ret = ap_str_of(c->argv[++c->i]);
	return 0;
}

/* --config, --help … : 1 if `name` is one of them, 0 if not. */
static int builtin_long(struct command_line *c, struct ap_str name, bool has_value,
			struct ap_str value)
{
	struct ap_config *cfg = c->cfg;
	int r;

	if (ap_str_is(name, "config")) {
		r = has_value ? 0 : next_value(c, "--config", "FILE", &value);
		c->file = value.p;
		return r < 0 ? r : 1;
	}
	if (has_value)
		return 0;
	if (ap_str_is(name, "help"))
		cfg->action = AP_CONFIG_HELP;
	else if (ap_str_is(name, "version"))
		cfg->action = AP_CONFIG_VERSION;
	else if (ap_str_is(name, "print-config"))
		cfg->action = AP_CONFIG_PRINT;
	else if (ap_str_is(name, "print-options"))
		cfg->action = AP_CONFIG_OPTIONS;
	else
		return 0;
	return 1;
}

static int long_flag(struct command_line *c, struct ap_str text)
{
	const struct ap_program *prog = c->cfg->program;
	struct ap_str value = text, name = ap_str_cut(&value, '=');
	bool has_value = value.p != NULL, negated;
	char place[56];
	ssize_t i;
	int r;

	r = builtin_long(c, name, has_value, value);
	if (r)
		return r < 0 ? r : 0;
	i = ap_config_find(prog, name);
	negated = i < 0 && !has_value && ap_str_starts(name, AP_STR("no-"));
	if (negated)
		i = ap_config_find(prog, (struct ap_str){name.p + 3, name.n - 3});
	if (i < 0 || (negated && prog->options[i].type != AP_OPT_BOOL))
		return unknown_flag(c, name, "--");
	snprintf(place, sizeof(place), "--%.*s", AP_STR_ARG(name));
	if (prog->options[i].type == AP_OPT_BOOL) {
		if (!has_value)
			value = negated ? AP_STR("false") : AP_STR("true");
	} else if (!has_value && prog->options[i].bare) {
		value = ap_str_of(prog->options[i].bare);
	} else if (!has_value) {
		r = next_value(c, place, prog->options[i].metavar, &value);
	}
	return r < 0 ? r : add_flag(c, (size_t)i, value, place);
}

/* A bundle of short options: "-a", "-F99", "-aF", "99". */
static int short_flags(struct command_line *c, struct ap_str text)
{
	const struct ap_program *prog = c->cfg->program;

	for (size_t k = 0; k < text.n; k++) {
		struct ap_str value = {text.p + k + 1, text.n - k - 1};
		char place[3] = {'-', text.p[k], '\0'};
		size_t i = 0;
		int r = 0;

		while (i < prog->n_options && prog->options[i].short_name != text.p[k])
			i++;
		if (i == prog->n_options && (text.p[k] == 'h' || text.p[k] == 'V')) {
			c->cfg->action = text.p[k] == 'h' ? AP_CONFIG_HELP : AP_CONFIG_VERSION;
			continue;
		}
		if (i == prog->n_options)
			return unknown_flag(c, (struct ap_str){text.p + k, 1}, "-");
		if (prog->options[i].type == AP_OPT_BOOL) {
			r = add_flag(c, i, AP_STR("true"), place);
			if (r < 0)
				return r;
			continue;
		}
		if (value.n == 0)
			r = next_value(c, place, prog->options[i].metavar, &value);
		return r < 0 ? r : add_flag(c, i, value, place);
	}
	return 0;
}

static int scan(struct command_line *c)
{
	bool options = true;
	int r = 0;

	for (c->i = 1; c->i < c->argc && r == 0; c->i++) {
		struct ap_str a = ap_str_of(c->argv[c->i]);

		if (options && ap_str_is(a, "--")) {
			options = false;
		} else if (options && ap_str_starts(a, AP_STR("--"))) {
			r = long_flag(c, (struct ap_str){a.p + 2, a.n - 2});
		} else if (options && a.n > 1 && a.p[0] == '-') {
			r = short_flags(c, (struct ap_str){a.p + 1, a.n - 1});
		} else {
			options = options && !c->cfg->program->operands_end_options;
			r = ap_vec_push(&c->operands, c->argv[c->i]);
		}
	}
	return r == 0 ? ap_vec_push(&c->operands, NULL) : r;
}

static int check_operands(struct command_line *c)
{
	const struct ap_program *prog = c->cfg->program;
	size_t n = c->operands.n - 1;
	char q[72];

	if (n > prog->max_operands)
		return ap_error_set(
			c->err, -EINVAL, "unexpected argument '%s' (--help shows usage)",
			ap_config_quote(ap_str_of(c->operands.p[prog->max_operands]), q));
	if (n < prog->min_operands)
		return ap_error_set(c->err, -EINVAL, "missing argument: %s (--help shows usage)",
				    prog->operands);
	return 0;
}

static int apply_defaults(struct ap_config *cfg, struct ap_error *err)
{
	struct ap_config_origin origin = {AP_CONFIG_DEFAULT, 0};
	int r = 0;

	for (size_t i = 0; i < cfg->program->n_options && r == 0; i++) {
		const struct ap_option *o = &cfg->program->options[i];

		if (o->value)
			r = ap_config_set(cfg, i, ap_str_of(o->value), true, origin, o->name, err);
	}
	return r;
}

/* The value of a variable; NULL where it is not set. */
static const char *env_get(char *const *envp, struct ap_str name)
{
	for (; envp && *envp; envp++) {
		if (strncmp(*envp, name.p, name.n) == 0 && (*envp)[name.n] == '=')
			return *envp + name.n + 1;
	}
	return NULL;
}

static int apply_env(struct ap_config *cfg, char *const *envp, struct ap_error *err)
{
	struct ap_config_origin origin = {AP_CONFIG_ENV, 0};
	_cleanup_buf_ struct ap_buf name = {0};
	int r = 0;

	for (size_t i = 0; i < cfg->program->n_options && r == 0; i++) {
		const char *value;

		if (cfg->program->options[i].flags & AP_OPT_F_FLAG_ONLY)
			continue;
		ap_buf_clear(&name);
		ap_config_env_name(cfg->program->options[i].name, &name);
		value = env_get(envp, ap_buf_view(&name));
		ap_buf_byte(&name, '\0');
		if (ap_buf_error(&name))
			return -ENOMEM;
		if (value)
			r = ap_config_set(cfg, i, ap_str_of(value), true, origin,
					  (const char *)name.p, err);
	}
	return r;
}

static int apply(struct command_line *c, char *const *envp)
{
	const struct ap_program *prog = c->cfg->program;
	const char *file = c->file ? c->file : env_get(envp, AP_STR(AP_CONFIG_ENV_PREFIX "CONFIG"));
	struct ap_config_origin origin = {AP_CONFIG_FLAG, 0};
	int r = apply_defaults(c->cfg, c->err);

	if (r == 0)
		r = ap_config_read_file(c->cfg,
					file	     ? file
					: prog->path ? prog->path
						     : AP_CONFIG_PATH,
					file != NULL, c->err);
	if (r == 0)
		r = apply_env(c->cfg, envp, c->err);
	AP_VEC_FOREACH(&c->flags, a) {
		if (r == 0)
			r = ap_config_set(c->cfg, a->option, a->value, true, origin, a->place,
					  c->err);
	}
	return r;
}

int ap_config_parse(struct ap_config *cfg, const struct ap_program *program, void *values, int argc,
		    char **argv, char *const *envp, struct ap_error *err)
{
	struct command_line c = {.cfg = cfg, .argc = argc, .argv = argv, .err = err};
	int r;

	*cfg = (struct ap_config){.program = program, .values = values};
	cfg->origins = calloc(program->n_options + 1, sizeof(*cfg->origins));
	if (!cfg->origins)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = scan(&c);
	if (r == 0 && (cfg->action == AP_CONFIG_RUN || cfg->action == AP_CONFIG_PRINT))
		r = apply(&c, envp);
	if (r == 0 && cfg->action == AP_CONFIG_RUN)
		r = check_operands(&c);
	if (r == 0) {
		cfg->n_operands = c.operands.n - 1;
		cfg->operands = AP_TAKE_PTR(c.operands.p);
	}
	if (r == -ENOMEM)
		ap_error_set(err, r, "out of memory");
	ap_vec_free(&c.operands);
	ap_vec_free(&c.flags);
	return r;
}

void ap_config_free(struct ap_config *cfg)
{
	const struct ap_program *prog = cfg->program;

	for (size_t i = 0; prog && cfg->origins && i < prog->n_options; i++) {
		char *f = (char *)cfg->values + prog->options[i].offset;

		if (prog->options[i].type == AP_OPT_LIST) {
			ap_config_clear_list(cfg, i, cfg->origins[i]);
		} else if (prog->options[i].type == AP_OPT_STRING) {
			free(*(char **)f);
			*(char **)f = NULL;
		}
	}
	free(cfg->origins);
	free(cfg->file);
	free(cfg->operands);
	*cfg = (struct ap_config){0};
}
