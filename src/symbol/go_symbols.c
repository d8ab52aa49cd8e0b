/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/go_symbols.h"

#include <fcntl.h>

#include "unwind/gopclntab.h"

struct ap_go_symbols {
	struct ap_gopclntab *table;
	int fd;
	bool names_only;
};

int ap_go_symbols_open(int fd, bool names_only, struct ap_go_symbols **ret)
{
	_cleanup_(ap_cleanup_go_symbols) struct ap_go_symbols *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->names_only = names_only;
	g->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (g->fd < 0)
		return -errno;
	err = ap_gopclntab_open(g->fd, &g->table);
	if (err == 0)
		*ret = AP_TAKE_PTR(g);
	return err;
}

void ap_go_symbols_free(struct ap_go_symbols *g)
{
	if (!g)
		return;
	ap_gopclntab_free(g->table);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

/* Appends name and file, which begins at `ret_file`. 0; -EBADMSG: no name; -ENOMEM. */
static int read_level(struct ap_go_symbols *g, const struct ap_go_level *l, struct ap_buf *text,
		      size_t *ret_file)
{
	size_t before = text->n;
	int err = ap_gopclntab_name(g->table, l->name, text);

	if (err == 0 && text->n == before)
		err = -EBADMSG;
	*ret_file = text->n;
	if (err < 0 || g->names_only || !l->file)
		return err;
	if (ap_gopclntab_file(g->table, l->file, text) == -EBADMSG)
		text->n = *ret_file;
	return ap_buf_error(text);
}

/* 0; -ENOENT: not in a function of Go's; -ENOMEM. */
static int find(struct ap_go_symbols *g, uint64_t addr, struct ap_buf *text, struct ap_answers *a)
{
	struct ap_go_level found[AP_GO_INLINE_MAX];
	struct ap_symbol_level levels[AP_GO_INLINE_MAX] = {0};
	size_t names[AP_GO_INLINE_MAX + 1] = {0}, files[AP_GO_INLINE_MAX];
	int n = ap_gopclntab_levels(g->table, addr, found);
	int first = g->names_only ? n - 1 : 0;

	if (n <= 0)
		return -ENOENT;
	ap_buf_clear(text);
	for (int i = first; i < n; i++) {
		int err = read_level(g, &found[i], text, &files[i]);

		if (err < 0)
			return err == -ENOMEM ? err : -ENOENT;
		names[i + 1] = text->n;
	}
	for (int i = first; i < n; i++) {
		const char *p = (const char *)text->p;

		levels[n - 1 - i] = (struct ap_symbol_level){
			.name = {p + names[i], files[i] - names[i]},
			.system_name = AP_STR(""),
			.file = {p + files[i], names[i + 1] - files[i]},
			.line = g->names_only ? 0 : (uint32_t)found[i].line,
			.start_line = g->names_only ? 0 : (uint32_t)AP_MAX(found[i].start_line, 0),
		};
	}
	return ap_answers_put(a, addr, levels, (uint32_t)(n - first));
}

ssize_t ap_go_symbols_find(struct ap_go_symbols *g, uint64_t *addrs, size_t n, struct ap_answers *a)
{
	_cleanup_buf_ struct ap_buf text = {0};
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		int err = find(g, addrs[i], &text, a);

		if (err == -ENOENT)
			addrs[left++] = addrs[i];
		else if (err < 0)
			return err;
	}
	return (ssize_t)left;
}
