/* SPDX-License-Identifier: Apache-2.0 */
/* aperture symbols push: asks which addresses of a file's build-id lack symbols, looks them up here,
 * and sends the answers in bounded pieces. Large debug files never travel. */
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/symbols.h"
#include "symbol/elf_file.h"
#include "symbol/symbolizer.h"

#define DEBUG_INFO_MAX (16ull << 30)
#define PIECE_BYTES    (1u << 20) /* of a request's body, and of one address in it */
#define BUSY_TRIES     10
#define SYSTEM_DIR     "/usr/lib/debug"

struct push {
	struct ap_remote_call *call;
	struct ap_symbolizer *symbolizer;
	json_t *report;	  /* an array, a member per file that samples are of */
	size_t elsewhere; /* files in folders that no sample is of */
	bool failed;
};

struct outcome {
	uint64_t missing, named, stored, unchanged;
};

/* A piece of the answers on its way. */
struct piece {
	struct push *p;
	const char *build_id;
	struct ap_buf body; /* begun where it is not empty */
	struct outcome *out;
};

/* An aggregator that is busy is asked again a little later. */
static int ask(struct push *p, const char *path, const char *const *query,
	       const struct ap_buf *body, json_t **ret)
{
	const struct timespec second = {.tv_sec = 1};
	int r = -EBUSY;

	for (int i = 0; i < BUSY_TRIES && r == -EBUSY; i++) {
		if (i)
			nanosleep(&second, NULL);
		r = body ? ap_http_client_post(p->call->client, path, ap_buf_view(body), ret,
					       &p->call->err)
			 : ap_http_client_get(p->call->client, path, query, ret, &p->call->err);
	}
	return r;
}

static uint64_t number(const json_t *answer, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(answer, key));

	return v > 0 ? (uint64_t)v : 0;
}

static int send_piece(struct piece *c)
{
	json_t *answer = NULL;
	int r;

	if (c->body.n == 0)
		return 0;
	ap_buf_puts(&c->body, "]}");
	if (ap_buf_error(&c->body))
		return ap_error_set(&c->p->call->err, -ENOMEM, "out of memory");
	r = ask(c->p, "/api/v1/symbols", NULL, &c->body, &answer);
	if (r < 0)
		return r;
	c->out->stored += number(answer, "stored");
	c->out->unchanged += number(answer, "unchanged");
	json_decref(answer);
	ap_buf_clear(&c->body);
	return 0;
}

static void put_text(struct ap_buf *b, const char *key, struct ap_str text)
{
	if (text.n == 0)
		return;
	ap_json_key(b, key);
	ap_json_string(b, text);
}

static void put_number(struct ap_buf *b, const char *key, uint32_t v)
{
	if (v == 0)
		return;
	ap_json_key(b, key);
	ap_json_u64(b, v);
}

static bool fits(const struct ap_symbol *y)
{
	if (y->n == 0 || y->n > AP_SYMBOL_LEVELS_MAX)
		return false;
	for (uint32_t i = 0; i < y->n; i++)
		if (y->levels[i].name.n > AP_SYMBOL_TEXT_MAX ||
		    y->levels[i].system_name.n > AP_SYMBOL_TEXT_MAX ||
		    y->levels[i].file.n > AP_SYMBOL_TEXT_MAX)
			return false;
	return true;
}

static void put_symbol(struct ap_buf *b, uint64_t offset, const struct ap_symbol *y)
{
	ap_buf_printf(b, "{\"offset\":%llu,\"functions\":[", (unsigned long long)offset);
	for (uint32_t i = 0; i < y->n; i++) {
		const struct ap_symbol_level *l = &y->levels[i];

		ap_buf_puts(b, i ? ",{" : "{");
		put_text(b, "name", l->name);
		put_text(b, "system_name", l->system_name);
		put_text(b, "file", l->file);
		put_number(b, "line", l->line);
		put_number(b, "start_line", l->start_line);
		ap_buf_byte(b, '}');
	}
	ap_buf_puts(b, "]}");
}

static int add_symbol(struct piece *c, uint64_t offset, const struct ap_symbol *y)
{
	size_t mark = c->body.n;

	if (!fits(y))
		return 0;
	if (mark == 0)
		ap_buf_printf(&c->body, "{\"build_id\":\"%s\",\"symbols\":[", c->build_id);
	else
		ap_buf_byte(&c->body, ',');
	put_symbol(&c->body, offset, y);
	if (c->body.n - mark > PIECE_BYTES) {
		c->body.n = mark;
		return 0;
	}
	c->out->named++;
	return c->body.n > PIECE_BYTES ? send_piece(c) : 0;
}

/* The addresses of one page: `*ret_last` is the last of them. */
static int push_page(struct piece *c, const char *path, const json_t *offsets, uint64_t *ret_last)
{
	const struct ap_symbol_file file = {.key = ap_str_of(path), .open_path = path};
	size_t n = json_array_size(offsets);
	_cleanup_free_ uint64_t *addrs = calloc(n, sizeof(*addrs));
	_cleanup_free_ struct ap_symbol *symbols = calloc(n, sizeof(*symbols));
	int r = 0;

	if (!addrs || !symbols)
		return ap_error_set(&c->p->call->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		addrs[i] = (uint64_t)json_integer_value(json_array_get(offsets, i));
	if (ap_symbolizer_file(c->p->symbolizer, &file, addrs, n, symbols) < 0)
		return ap_error_set(&c->p->call->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_symbol(c, addrs[i], &symbols[i]);
	*ret_last = addrs[n - 1];
	return r == 0 ? send_piece(c) : r;
}

static int push_addresses(struct push *p, const char *path, const char *build_id,
			  struct outcome *out)
{
	_cleanup_free_ char *of = NULL;
	struct piece c = {.p = p, .build_id = build_id, .out = out};
	const char *query[3] = {NULL};
	uint64_t last = 0, before;
	char after[48];
	size_t n;
	int r;

	if (asprintf(&of, "build_id=%s", build_id) < 0)
		return ap_error_set(&p->call->err, -ENOMEM, "out of memory");
	query[0] = of;
	do {
		json_t *answer = NULL, *offsets;

		r = ask(p, "/api/v1/symbols/missing", query, NULL, &answer);
		if (r < 0)
			break;
		offsets = json_object_get(answer, "offsets");
		n = json_array_size(offsets);
		before = last;
		if (!query[1])
			out->missing = number(answer, "total");
		if (n)
			r = push_page(&c, path, offsets, &last);
		json_decref(answer);
		if (r == 0 && n && query[1] && last <= before)
			r = ap_error_set(&p->call->err, -EPROTO,
					 "the aggregator's pages of addresses do not ascend");
		snprintf(after, sizeof(after), "after=%llu", (unsigned long long)last);
		query[1] = after;
	} while (r == 0 && n);
	ap_buf_free(&c.body);
	return r;
}

static void report(struct push *p, const char *path, const char *build_id,
		   const struct outcome *out)
{
	json_t *row;

	if (p->call->remote->format == AP_REMOTE_JSON) {
		row = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "file", path, "build_id", build_id,
				"missing", (json_int_t)out->missing, "named",
				(json_int_t)out->named, "stored", (json_int_t)out->stored,
				"unchanged", (json_int_t)out->unchanged);
		json_array_append_new(p->report, row);
		return;
	}
	if (out->missing == 0)
		printf("%s: nothing is missing\n", path);
	else if (out->named == 0)
		printf("%s: has a symbol for none of the %llu addresses that lack one; is there a "
		       "debug file of build-id %s?\n",
		       path, (unsigned long long)out->missing, build_id);
	else
		printf("%s: named %llu of %llu addresses\n", path, (unsigned long long)out->named,
		       (unsigned long long)out->missing);
}

static void fail_file(struct push *p, const char *path)
{
	ap_error_prefix(&p->call->err, "%s", path);
	ap_cli_fail(p->call->program, &p->call->err);
	p->failed = true;
}

/* `given` by itself, or found in a folder: there, what is no ELF file or is of no sample is not the
 * user's mistake. False: the aggregator cannot be asked, so the rest is in vain. */
static bool push_file(struct push *p, const char *path, bool given)
{
	_cleanup_fd_ int fd = ap_open_regular(path);
	struct ap_elf elf;
	struct outcome out = {0};
	int r = fd < 0 ? fd : ap_elf_read(fd, DEBUG_INFO_MAX, AP_ELF_STRANGER, &elf);

	if (r == -ENOEXEC)
		ap_error_set(&p->call->err, r, "is no ELF file (program, library or debug file)");
	else if (r < 0)
		ap_error_set(&p->call->err, r, "cannot be read: %s", ap_strerror(r));
	else if (!elf.build_id[0])
		r = ap_error_set(&p->call->err, -ENODATA,
				 "has no build-id, by which its samples would be known: link with "
				 "-Wl,--build-id");
	if (r < 0) {
		if (given)
			fail_file(p, path);
		return true;
	}
	r = push_addresses(p, path, elf.build_id, &out);
	if (r == 0)
		report(p, path, elf.build_id, &out);
	else if (r == -ENOENT && !given)
		p->elsewhere++;
	else
		fail_file(p, path);
	return r == 0 || r == -ENOENT;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void walk(struct push *p, char *const *paths)
{
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	bool go_on = true;
	FTSENT *e;

	if (!fts)
		p->failed = true;
	while (fts && go_on && (e = fts_read(fts))) {
		switch (e->fts_info) {
		case FTS_F:
			go_on = push_file(p, e->fts_accpath, e->fts_level == FTS_ROOTLEVEL);
			break;
		case FTS_NS:
		case FTS_DNR:
		case FTS_ERR:
			ap_error_set(&p->call->err, -e->fts_errno, "cannot be read: %s",
				     ap_strerror(e->fts_errno));
			fail_file(p, e->fts_path);
			break;
		}
	}
	if (fts)
		fts_close(fts);
}

static struct ap_symbolizer *new_symbolizer(const struct ap_strings *given)
{
	const char **dirs = calloc(given->n + 2, sizeof(*dirs));
	struct ap_symbolizer_opts opts = {.debug_dirs = dirs, .max_debug_info = DEBUG_INFO_MAX};
	struct ap_symbolizer *s;

	if (!dirs)
		return NULL;
	for (size_t i = 0; i < given->n; i++)
		dirs[i] = given->p[i];
	dirs[given->n] = SYSTEM_DIR;
	s = ap_symbolizer_new(&opts);
	free(dirs);
	return s;
}

int ap_symbols_push(struct ap_remote_call *c)
{
	const struct ap_symbols_settings *set = c->settings;
	struct push p = {
		.call = c, .symbolizer = new_symbolizer(&set->debug_dirs), .report = json_array()};

	if (!p.symbolizer || !p.report) {
		ap_error_set(&c->err, -ENOMEM, "out of memory");
		ap_cli_fail(c->program, &c->err);
		p.failed = true;
	} else {
		walk(&p, c->operands);
	}
	if (c->remote->format == AP_REMOTE_JSON && p.report) {
		json_dumpf(p.report, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (p.elsewhere) {
		printf("%zu more files in those folders: no sample has code of them\n",
		       p.elsewhere);
	}
	ap_symbolizer_free(p.symbolizer);
	json_decref(p.report);
	return p.failed || fflush(stdout) != 0 ? AP_EXIT_ERROR : AP_EXIT_OK;
}
