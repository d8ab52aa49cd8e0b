/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/source.h"

#include <blazesym.h>
#include <elf.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/io.h"
#include "symbol/elf_file.h"
#include "symbol/guard.h"
#include "symbol/symbol_table.h"

#define PATH_BYTES   4096
#define INLINE_MAX   64u /* levels at one address; deeper ones are hostile */
#define SOURCE_BYTES (64u << 10)

struct ap_source {
	const struct ap_source_opts *opts;
	blaze_symbolizer *blaze;
	struct ap_elf elf;
	int fd;
	char path[32]; /* of fd, under /proc/self/fd */
	bool debug_info;
	bool damaged;	   /* not to be read any more */
	size_t dwarf_held; /* by what blazesym parsed, as far as malloc tells */
};

static int open_vdso(void)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	_cleanup_fd_ int fd = -1;
	int err;

	if (!h)
		return -ENOENT;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = ap_write_all(fd, h, h->e_shoff + (size_t)h->e_shnum * h->e_shentsize);
	return err < 0 ? err : AP_TAKE_FD(fd);
}

/* The separate debug file of `elf`, if there is one with the same build-id. */
static int open_debug_file(const struct ap_source_opts *opts, const struct ap_elf *elf,
			   struct ap_elf *ret_elf)
{
	char path[PATH_BYTES];

	if (strlen(elf->build_id) < 4)
		return -ENOENT;
	for (char **dir = opts->debug_dirs; *dir; dir++) {
		_cleanup_fd_ int fd = -1;

		snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", *dir, elf->build_id,
			 elf->build_id + 2);
		fd = ap_open_regular(path);
		if (fd < 0 || ap_elf_read(fd, opts->max_debug_info, AP_ELF_OF_SYSTEM, ret_elf) < 0)
			continue;
		if (strcmp(elf->build_id, ret_elf->build_id) == 0 && !ret_elf->has_bomb &&
		    (ret_elf->has_debug_info || ret_elf->symtab.size))
			return AP_TAKE_FD(fd);
	}
	return -ENOENT;
}

static int start_blaze(struct ap_source *s)
{
	size_t n = 0;
	blaze_symbolizer_opts o = {
		.type_size = sizeof(o),
		.debug_dirs = (const char *const *)s->opts->debug_dirs,
		.code_info = true,
		.inlined_fns = true,
		.demangle = true,
	};

	while (s->opts->debug_dirs[n])
		n++;
	o.debug_dirs_len = n;
	s->blaze = blaze_symbolizer_new_opts(&o);
	return s->blaze ? 0 : -ENOMEM;
}

int ap_source_open(const struct ap_source_opts *opts, const char *path, struct ap_source **ret)
{
	_cleanup_(ap_cleanup_source) struct ap_source *s = calloc(1, sizeof(*s));
	struct ap_elf separate;
	int err, fd;

	if (!s)
		return -ENOMEM;
	s->opts = opts;
	s->fd = strcmp(path, "[vdso]") == 0 ? open_vdso() : ap_open_regular(path);
	if (s->fd < 0)
		return s->fd;
	err = ap_elf_read(s->fd, opts->max_debug_info, AP_ELF_STRANGER, &s->elf);
	if (err < 0)
		return err;
	s->debug_info = s->elf.has_debug_info && !s->elf.has_links && !s->elf.has_bomb;
	fd = s->debug_info || opts->no_debug_info ? -1 : open_debug_file(opts, &s->elf, &separate);
	if (fd >= 0) {
		close(s->fd);
		s->fd = fd;
		s->elf = separate;
		s->debug_info = separate.has_debug_info;
	}
	if (opts->no_debug_info || s->elf.debug_bytes > opts->max_debug_info)
		s->debug_info = false;
	if (!s->debug_info && !s->elf.symtab.size && !s->elf.dynsym.size)
		return -ENODATA;
	snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", s->fd);
	err = start_blaze(s);
	if (err == 0)
		*ret = AP_TAKE_PTR(s);
	return err;
}

static void free_guarded(void *blaze)
{
	blaze_symbolizer_free(blaze);
}

static void stop_blaze(struct ap_source *s)
{
	if (s->blaze)
		ap_guard_run(free_guarded, s->blaze);
	s->blaze = NULL;
}

void ap_source_free(struct ap_source *s)
{
	if (!s)
		return;
	stop_blaze(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

size_t ap_source_bytes(const struct ap_source *s)
{
	return SOURCE_BYTES + s->elf.symbol_bytes / 3 + s->dwarf_held;
}

/* DWARF is parsed unit by unit as it is asked for, up to 3.5 times its size (libc's 9.6 MB: 33 MB
 * after 10,000 addresses); so what it takes is read off the allocator, other threads' share
 * included. */
static size_t allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Takes "." and "name/.." out of a path, as a build's relative folders leave them in DWARF. */
static struct ap_str plain_path(char *path)
{
	struct ap_str rest = ap_str_of(path);
	bool absolute = *path == '/';
	size_t n = 0, fixed = 0; /* what ".." must not take back */

	while (rest.p) {
		struct ap_str part = ap_str_cut(&rest, '/');
		bool up = ap_str_is(part, "..");

		if (!part.n || ap_str_is(part, "."))
			continue;
		if (up && n > fixed) {
			while (n > 0 && path[--n] != '/')
				;
			continue;
		}
		if (n || absolute)
			path[n++] = '/';
		memmove(path + n, part.p, part.n);
		n += part.n;
		if (up)
			fixed = n;
	}
	return (struct ap_str){path, n};
}

static struct ap_str file_name(const blaze_symbolize_code_info *c, char *buf, size_t n)
{
	if (!c->file)
		return AP_STR("");
	if (!c->dir || c->file[0] == '/')
		snprintf(buf, n, "%s", c->file);
	else
		snprintf(buf, n, "%s/%s", c->dir, c->file);
	return plain_path(buf);
}

static int put_symbol(struct ap_answers *a, uint64_t addr, const blaze_sym *sym,
		      const char *system_name, uint32_t start_line)
{
	struct ap_symbol_level levels[1 + INLINE_MAX] = {0};
	_cleanup_free_ char *paths = NULL;
	uint32_t n = 1;

	if (!sym || !sym->name || !sym->name[0])
		return ap_answers_put(a, addr, NULL, 0);
	n += (uint32_t)AP_MIN(sym->inlined_cnt, (size_t)INLINE_MAX);
	paths = malloc((size_t)n * PATH_BYTES);
	if (!paths)
		return -ENOMEM;
	levels[0] = (struct ap_symbol_level){
		.name = ap_str_of(sym->name),
		.system_name = ap_str_of(system_name),
		.file = file_name(&sym->code_info, paths, PATH_BYTES),
		.line = sym->code_info.line,
		.start_line = start_line,
	};
	for (uint32_t i = 1; i < n; i++) {
		const blaze_symbolize_inlined_fn *in = &sym->inlined[i - 1];

		levels[i] = (struct ap_symbol_level){
			.name = in->name && in->name[0] ? ap_str_of(in->name) : AP_STR("[inlined]"),
			.file = file_name(&in->code_info, paths + (size_t)i * PATH_BYTES,
					  PATH_BYTES),
			.line = in->code_info.line,
		};
	}
	return ap_answers_put(a, addr, levels, n);
}

struct question {
	const struct ap_source *source;
	const uint64_t *addrs;
	size_t n;
	const blaze_syms *ret;
};

static void ask_guarded(void *arg)
{
	struct question *q = arg;
	blaze_symbolize_src_elf src = {.type_size = sizeof(src),
				       .path = q->source->path,
				       .debug_syms = q->source->debug_info};

	q->ret = blaze_symbolize_elf_virt_offsets(q->source->blaze, &src, q->addrs, q->n);
}

/* NULL: no answer. Where reading the file fails for good, DWARF is given up first, then the file. */
static const blaze_syms *ask(struct ap_source *s, const uint64_t *addrs, size_t n)
{
	struct question q = {s, addrs, n, NULL};
	size_t before = s->debug_info ? allocated() : 0, after;
	int err = s->damaged ? -EFAULT : ap_guard_run(ask_guarded, &q);

	after = s->debug_info ? allocated() : 0;
	s->dwarf_held += after > before ? after - before : 0;
	if (err == 0)
		return q.ret;
	if (q.ret)
		blaze_syms_free(q.ret);
	if (s->damaged)
		return NULL;
	stop_blaze(s);
	s->damaged = !s->debug_info || err != -ECANCELED || start_blaze(s) < 0;
	s->debug_info = false;
	return ask(s, addrs, n);
}

/* The places where the functions begin, or NULL: none is known by its line. */
static const blaze_syms *ask_starts(struct ap_source *s, const blaze_syms *syms, size_t n)
{
	_cleanup_free_ uint64_t *starts = calloc(n, sizeof(*starts));
	bool any = false;

	for (size_t i = 0; i < n && starts; i++) {
		starts[i] = syms->syms[i].addr;
		any |= syms->syms[i].code_info.line != 0;
	}
	return any ? ask(s, starts, n) : NULL;
}

static int put_all(struct ap_source *s, const blaze_syms *syms, const uint64_t *addrs, size_t n,
		   struct ap_answers *a)
{
	_cleanup_(ap_symbol_names_free) struct ap_symbol_names names = {0};
	const blaze_syms *starts = ask_starts(s, syms, n);
	int err = ap_symbol_names_reserve(&names, n);

	for (size_t i = 0; i < n && err == 0; i++)
		if (syms->syms[i].name && strpbrk(syms->syms[i].name, ":(<{ "))
			err = ap_symbol_names_want(&names, syms->syms[i].addr);
	if (err == 0)
		err = ap_symbol_names_read(&names, s->fd, &s->elf);
	for (size_t i = 0; i < n && err == 0; i++)
		err = put_symbol(a, addrs[i], &syms->syms[i],
				 ap_symbol_names_get(&names, syms->syms[i].addr),
				 starts ? starts->syms[i].code_info.line : 0);
	if (starts)
		blaze_syms_free(starts);
	return err;
}

static int put_none(const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++)
		err = ap_answers_put(a, addrs[i], NULL, 0);
	return err;
}

/* One damaged entry fails the whole question, so it is asked again in halves. */
static int find_range(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	const blaze_syms *syms = ask(s, addrs, n);
	int err;

	if (syms)
		err = put_all(s, syms, addrs, n, a);
	else if (s->damaged || n == 1)
		err = put_none(addrs, n, a);
	else if ((err = find_range(s, addrs, n / 2, a)) == 0)
		err = find_range(s, addrs + n / 2, n - n / 2, a);
	if (syms)
		blaze_syms_free(syms);
	return err;
}

int ap_source_find(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	return n ? find_range(s, addrs, n, a) : 0;
}
