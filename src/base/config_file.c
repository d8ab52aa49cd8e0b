/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file, read straight from libyaml's events. libcyaml, which stands on the same
 * parser, wants a second, compiled-in schema beside the table of options, and keeps no line per
 * value for --print-config; over the events the table itself is the schema.
 *
 * The file is a mapping of sections. Anchors, aliases and tags are refused, so that the text cannot
 * grow in memory; nesting is bounded; a repeated key is an error. */
#include "base/config_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <yaml.h>

#include "base/io.h"

#define DEPTH_MAX 16

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; YAML_NO_EVENT where none is held */
	struct ap_config *cfg;
	const char *path;
	struct ap_error *err;
};

static const char *const all_sections[] = {"agent", "aggregator", "cli", NULL};

static uint32_t event_line(const struct reader *r)
{
	return (uint32_t)r->event.start_mark.line + 1;
}

static struct ap_str scalar(const struct reader *r)
{
	return (struct ap_str){(const char *)r->event.data.scalar.value,
			       r->event.data.scalar.length};
}

static int fail(struct reader *r, const char *what)
{
	return ap_error_set(r->err, -EINVAL, "%s:%u: %s", r->path, event_line(r), what);
}

static int check_plain(struct reader *r)
{
	const yaml_event_t *e = &r->event;

	if (e->type == YAML_ALIAS_EVENT ||
	    (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) ||
	    (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor) ||
	    (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor))
		return fail(r, "anchors and aliases are not supported");
	if ((e->type == YAML_SCALAR_EVENT && e->data.scalar.tag) ||
	    (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.tag) ||
	    (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag))
		return fail(r, "tags are not supported");
	return 0;
}

static int next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		int code = r->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
		size_t line = r->parser.problem_mark.line + 1;

		return ap_error_set(r->err, code, "%s:%zu: not valid YAML: %s", r->path, line,
				    r->parser.problem ? r->parser.problem : ap_strerror(code));
	}
	return check_plain(r);
}

/* Passes over the node whose first event is the current one. */
static int skip_node(struct reader *r)
{
	unsigned int depth = 0;

	for (;;) {
		int e;

		switch (r->event.type) {
		case YAML_SEQUENCE_START_EVENT:
		case YAML_MAPPING_START_EVENT:
			if (++depth > DEPTH_MAX)
				return fail(r, "nested too deeply");
			break;
		case YAML_SEQUENCE_END_EVENT:
		case YAML_MAPPING_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
		if (depth == 0)
			return 0;
		e = next(r);
		if (e < 0)
			return e;
	}
}

/* Whether the current scalar is what YAML reads as "nothing": empty, ~ or null, unquoted. */
static bool is_null(const struct reader *r)
{
	struct ap_str s = scalar(r);

	return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (s.n == 0 || ap_str_is(s, "~") || ap_str_is(s, "null"));
}

static int set_scalar(struct reader *r, size_t i, bool split, const char *place)
{
	struct ap_config_origin origin = {AP_CONFIG_FILE, event_line(r)};

	if (is_null(r))
		return ap_error_set(r->err, -EINVAL, "%s: has no value", place);
	return ap_config_set(r->cfg, i, scalar(r), split, origin, place, r->err);
}

/* The value of option `i`; the current event is its first. */
static int read_value(struct reader *r, size_t i)
{
	const struct ap_option *o = &r->cfg->program->options[i];
	struct ap_config_origin origin = {AP_CONFIG_FILE, event_line(r)};
	char place[256];
	int e;

	snprintf(place, sizeof(place), "%s:%u: %s", r->path, event_line(r), o->name);
	if (r->event.type == YAML_SCALAR_EVENT)
		return set_scalar(r, i, true, place);
	if (r->event.type != YAML_SEQUENCE_START_EVENT || o->type != AP_OPT_LIST)
		return ap_error_set(r->err, -EINVAL, "%s: must be %s", place,
				    o->type == AP_OPT_LIST ? "a list" : "a single value");
	ap_config_clear_list(r->cfg, i, origin);
	for (;;) {
		e = next(r);
		if (e < 0 || r->event.type == YAML_SEQUENCE_END_EVENT)
			return e;
		if (r->event.type != YAML_SCALAR_EVENT)
			return fail(r, "elements of a list must be single values");
		e = set_scalar(r, i, false, place);
		if (e < 0)
			return e;
	}
}

static int unknown_key(struct reader *r, const char *what, const char *const *names)
{
	char q[72], hint[96];

	return ap_error_set(r->err, -EINVAL, "%s:%u: unknown %s '%s'%s", r->path, event_line(r),
			    what, ap_config_quote(scalar(r), q),
			    ap_config_hint(scalar(r), names, "", hint));
}

/* One key of the program's own section, and its value. */
static int read_option(struct reader *r)
{
	const struct ap_program *prog = r->cfg->program;
	_cleanup_free_ const char **names = NULL;
	ssize_t i = ap_config_find(prog, scalar(r));
	int e;

	if (i < 0 || (prog->options[i].flags & AP_OPT_F_FLAG_ONLY)) {
		names = ap_config_names(prog, AP_CONFIG_FILE);
		return names ? unknown_key(r, "key", names) : -ENOMEM;
	}
	if (r->cfg->origins[i].from == AP_CONFIG_FILE)
		return fail(r, "a key that is there already");
	e = next(r);
	return e < 0 ? e : read_value(r, (size_t)i);
}

static int read_mapping(struct reader *r, struct ap_str section, const char *const *names);

/* One key of a mapping of sections, and what it holds. `wanted` leads to the program's own. */
static int read_section(struct reader *r, struct ap_str wanted, const char *const *names,
			uint64_t *seen)
{
	struct ap_str rest = wanted, head = ap_str_cut(&rest, '.');
	bool ours = ap_str_eq(scalar(r), head);
	size_t k = 0;
	int e;

	while (names[k] && !ap_str_is(scalar(r), names[k]))
		k++;
	if (!names[k])
		return unknown_key(r, "section", names);
	if (k < 64 && (*seen & (1ull << k)))
		return fail(r, "a section that is there already");
	*seen |= k < 64 ? 1ull << k : 0;
	e = next(r);
	if (e < 0)
		return e;
	if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
		return 0;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fail(r, "a section must be a mapping of keys to values");
	if (!ours)
		return skip_node(r);
	return read_mapping(r, rest, r->cfg->program->sections);
}

/* A mapping of sections, or the program's own where `wanted` is empty; ends at its end event. */
static int read_mapping(struct reader *r, struct ap_str wanted, const char *const *names)
{
	uint64_t seen = 0;
	int e;

	for (;;) {
		e = next(r);
		if (e < 0 || r->event.type == YAML_MAPPING_END_EVENT)
			return e;
		if (r->event.type != YAML_SCALAR_EVENT)
			return fail(r, "a key must be a single word");
		e = wanted.n ? read_section(r, wanted, names, &seen) : read_option(r);
		if (e < 0)
			return e;
	}
}

static int read_stream(struct reader *r)
{
	struct ap_str section = ap_str_of(r->cfg->program->section);
	int e = next(r); /* stream start */

	if (e == 0)
		e = next(r);
	if (e < 0 || r->event.type == YAML_STREAM_END_EVENT)
		return e;
	e = next(r); /* past the document's start */
	if (e < 0)
		return e;
	if (r->event.type == YAML_MAPPING_START_EVENT)
		e = read_mapping(r, section, all_sections);
	else if (r->event.type != YAML_SCALAR_EVENT || !is_null(r))
		e = fail(r, "the file must be a mapping of sections (agent:, aggregator:, cli:)");
	if (e == 0)
		e = next(r); /* document end */
	if (e == 0)
		e = next(r);
	if (e == 0 && r->event.type != YAML_STREAM_END_EVENT)
		e = fail(r, "more than one document");
	return e;
}

int ap_config_read_yaml(struct ap_config *cfg, const char *path, struct ap_str yaml,
			struct ap_error *err)
{
	struct reader r = {.cfg = cfg, .path = path, .err = err};
	int e;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml.p, yaml.n);
	e = read_stream(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return e;
}

int ap_config_read_file(struct ap_config *cfg, const char *path, bool required,
			struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	int e = ap_read_file(AT_FDCWD, path, AP_CONFIG_FILE_MAX, &text);

	if (!required && (e == -ENOENT || e == -ENOTDIR))
		return 0;
	if (!required && e == -EACCES && cfg->program->file_optional)
		return 0;
	if (e == -EFBIG)
		return ap_error_set(err, e, "%s: longer than %u bytes", path, AP_CONFIG_FILE_MAX);
	if (e < 0)
		return ap_error_set(err, e, "%s: cannot be read: %s", path, ap_strerror(e));
	cfg->file = strdup(path);
	if (!cfg->file)
		return -ENOMEM;
	return ap_config_read_yaml(cfg, path, ap_buf_view(&text), err);
}
