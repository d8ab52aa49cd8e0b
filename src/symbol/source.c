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
#include "symbol/data_symbols.h"
#include "symbol/debug_file.h"
#include "symbol/debug_link.h"
#include "symbol/demangle.h"
#include "symbol/go_symbols.h"
#include "symbol/guard.h"
#include "symbol/mini_debug.h"
#include "symbol/symbol_table.h"

#define PATH_BYTES   4096
#define INLINE_MAX   64u /* levels at one address; deeper ones are hostile */
#define SOURCE_BYTES (64u << 10)
#define GO_BYTES     (256u << 10)
#define IMAGES_MAX   3u
#define MINI_MAX     (64ull << 20) /* of MiniDebugInfo, unpacked */

/* A file with symbols: the program, its separate debug file, or what is packed in it. */
struct image {
	struct ap_elf elf;
	int fd;
	char path[32]; /* of fd, under /proc/self/fd */
	bool dwarf;
	bool damaged; /* not to be read any more */
};

struct ap_source {
	const struct ap_source_opts *opts;
	blaze_symbolizer *blaze;
	struct ap_go_symbols *go;	 /* of a Go program; asked first */
	struct image images[IMAGES_MAX]; /* each asked for what those before it do not know */
	size_t n_images;
	size_t dwarf_held;  /* by what blazesym parsed, as far as malloc tells */
	bool hostile_names; /* one took too long to read: D's are left as they are */
	char lacks[2 * AP_BUILD_ID_MAX + 1];
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

/* Takes over `fd`. */
static void add_image(struct ap_source *s, int fd, const struct ap_elf *elf, bool dwarf)
{
	struct image *i = &s->images[s->n_images++];

	*i = (struct image){.elf = *elf, .fd = fd};
	i->dwarf = dwarf && elf->debug_bytes <= s->opts->max_debug_info;
	snprintf(i->path, sizeof(i->path), "/proc/self/fd/%d", fd);
}

static bool open_mini(int fd, const struct ap_elf *elf, int *ret_fd, struct ap_elf *ret)
{
	_cleanup_fd_ int mini = elf->mini.size ? ap_mini_debug_open(fd, &elf->mini, MINI_MAX) : -1;

	if (mini < 0 || ap_elf_read(mini, 0, AP_ELF_STRANGER, ret) < 0 || !ret->symtab.size)
		return false;
	*ret_fd = AP_TAKE_FD(mini);
	return true;
}

/* A separate file whose DWARF cannot be read for want of the one that it shares it with lacks that. */
static void note_lack(struct ap_source *s, const struct ap_elf *elf,
		      const struct ap_debug_file *separate)
{
	struct ap_alt_link alt;

	if (!separate)
		memcpy(s->lacks, elf->build_id, sizeof(s->lacks));
	else if (!separate->dwarf && ap_alt_link_read(separate->fd, &separate->elf, &alt) == 0)
		memcpy(s->lacks, alt.build_id, sizeof(s->lacks));
}

/* Takes over `fd` where it adds it. */
static void add_images(struct ap_source *s, const struct ap_source_file *file, int *fd,
		       const struct ap_elf *elf)
{
	bool dwarf = elf->has_debug_info && !s->opts->no_debug_info &&
		     ap_debug_file_whole(s->opts, *fd, elf);
	struct ap_debug_file separate;
	struct ap_elf mini;
	int mini_fd = -1;
	bool found = !dwarf && !s->opts->no_debug_info &&
		     ap_debug_file_find(s->opts, file, *fd, elf, &separate) == 0;

	if (!elf->has_debug_info)
		note_lack(s, elf, found ? &separate : NULL);
	if (found)
		add_image(s, separate.fd, &separate.elf, separate.dwarf);
	if (found && separate.elf.symtab.size)
		return;
	if (!elf->symtab.size)
		open_mini(*fd, elf, &mini_fd, &mini);
	if (dwarf || elf->symtab.size || elf->dynsym.size)
		add_image(s, AP_TAKE_FD(*fd), elf, dwarf);
	if (mini_fd >= 0)
		add_image(s, mini_fd, &mini, false);
}

int ap_source_open(const struct ap_source_opts *opts, const struct ap_source_file *file,
		   struct ap_source **ret)
{
	_cleanup_(ap_cleanup_source) struct ap_source *s = calloc(1, sizeof(*s));
	_cleanup_fd_ int fd = -1;
	struct ap_elf elf;
	int err;

	if (!s)
		return -ENOMEM;
	s->opts = opts;
	fd = strcmp(file->open_path, "[vdso]") == 0 ? open_vdso()
						    : ap_open_regular(file->open_path);
	if (fd < 0)
		return fd;
	err = ap_elf_read(fd, opts->max_debug_info, AP_ELF_STRANGER, &elf);
	if (err < 0)
		return err;
	err = ap_go_symbols_open(fd, opts->no_debug_info, &s->go);
	if (err == -ENOMEM)
		return err;
	add_images(s, file, &fd, &elf);
	if (s->go)
		s->lacks[0] = 0;
	if (s->n_images == 0 && !s->lacks[0] && !s->go)
		return -ENODATA;
	err = start_blaze(s);
	if (err == 0)
		*ret = AP_TAKE_PTR(s);
	return err;
}

const char *ap_source_lacks(const struct ap_source *s)
{
	return s->lacks;
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
	ap_go_symbols_free(s->go);
	for (size_t i = 0; i < s->n_images; i++)
		close(s->images[i].fd);
	free(s);
}

size_t ap_source_bytes(const struct ap_source *s)
{
	size_t n = SOURCE_BYTES + s->dwarf_held + (s->go ? GO_BYTES : 0);

	for (size_t i = 0; i < s->n_images; i++)
		n += s->images[i].elf.symbol_bytes / 3;
	return n;
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

/* One image is asked. */
struct question {
	struct ap_source *source;
	struct image *image;
	struct ap_answers *answers;
	uint64_t *unknown; /* what it does not know */
	size_t n_unknown;
};

struct call {
	const struct question *q;
	const uint64_t *addrs;
	size_t n;
	const blaze_syms *ret;
};

static void ask_guarded(void *arg)
{
	struct call *c = arg;
	blaze_symbolize_src_elf src = {.type_size = sizeof(src),
				       .path = c->q->image->path,
				       .debug_syms = c->q->image->dwarf};

	c->ret = blaze_symbolize_elf_virt_offsets(c->q->source->blaze, &src, c->addrs, c->n);
}

/* NULL: no answer. Where reading the file fails for good, DWARF is given up first, then the file. */
static const blaze_syms *ask(const struct question *q, const uint64_t *addrs, size_t n)
{
	struct ap_source *s = q->source;
	struct image *i = q->image;
	struct call c = {q, addrs, n, NULL};
	size_t before = i->dwarf ? allocated() : 0, after;
	int err = i->damaged || !s->blaze ? -EFAULT : ap_guard_run(ask_guarded, &c);

	after = i->dwarf ? allocated() : 0;
	s->dwarf_held += after > before ? after - before : 0;
	if (err == 0)
		return c.ret;
	if (c.ret)
		blaze_syms_free(c.ret);
	if (i->damaged)
		return NULL;
	stop_blaze(s);
	i->damaged = start_blaze(s) < 0 || !i->dwarf || err != -ECANCELED;
	i->dwarf = false;
	return ask(q, addrs, n);
}

/* The places where the functions begin, or NULL: none is known by its line. */
static const blaze_syms *ask_starts(const struct question *q, const blaze_syms *syms, size_t n)
{
	_cleanup_free_ uint64_t *starts = calloc(n, sizeof(*starts));
	bool any = false;

	for (size_t i = 0; i < n && starts; i++) {
		starts[i] = syms->syms[i].addr;
		any |= syms->syms[i].code_info.line != 0;
	}
	return any ? ask(q, starts, n) : NULL;
}

/* Gives the level its name; `*ret_text`, to be freed, holds it where it is D's, which blazesym leaves as
 * the compiler made it. */
static void set_name(struct ap_source *s, struct ap_symbol_level *level, const char *name,
		     char **ret_text)
{
	int err = s->hostile_names ? -ENOENT : ap_demangle_d(name, ret_text);

	level->name = ap_str_of(err == 0 ? *ret_text : name);
	if (err == 0)
		level->system_name = ap_str_of(name);
	if (err == -ETIME)
		s->hostile_names = true;
}

static int put_symbol(const struct question *q, uint64_t addr, const blaze_sym *sym,
		      const char *system_name, uint32_t start_line)
{
	struct ap_symbol_level levels[1 + INLINE_MAX] = {0};
	uint32_t n = 1 + (uint32_t)AP_MIN(sym->inlined_cnt, (size_t)INLINE_MAX);
	_cleanup_free_ char *paths = malloc((size_t)n * PATH_BYTES);
	char *texts[1 + INLINE_MAX] = {0};
	int err;

	if (!paths)
		return -ENOMEM;
	levels[0] = (struct ap_symbol_level){
		.system_name = ap_str_of(system_name),
		.file = file_name(&sym->code_info, paths, PATH_BYTES),
		.line = sym->code_info.line,
		.start_line = start_line,
	};
	set_name(q->source, &levels[0], sym->name, &texts[0]);
	for (uint32_t i = 1; i < n; i++) {
		const blaze_symbolize_inlined_fn *in = &sym->inlined[i - 1];
		const char *name = in->name && in->name[0] ? in->name : "[inlined]";

		levels[i] = (struct ap_symbol_level){
			.file = file_name(&in->code_info, paths + (size_t)i * PATH_BYTES,
					  PATH_BYTES),
			.line = in->code_info.line,
		};
		set_name(q->source, &levels[i], name, &texts[i]);
	}
	err = ap_answers_put(q->answers, addr, levels, n);
	for (uint32_t i = 0; i < n; i++)
		free(texts[i]);
	return err;
}

static int put_all(struct question *q, const blaze_syms *syms, const uint64_t *addrs, size_t n)
{
	_cleanup_(ap_symbol_names_free) struct ap_symbol_names names = {0};
	const blaze_syms *starts = ask_starts(q, syms, n);
	int err = ap_symbol_names_reserve(&names, n);

	for (size_t i = 0; i < n && err == 0; i++)
		if (syms->syms[i].name && strpbrk(syms->syms[i].name, ":(<{ "))
			err = ap_symbol_names_want(&names, syms->syms[i].addr);
	if (err == 0)
		err = ap_symbol_names_read(&names, q->image->fd, &q->image->elf);
	for (size_t i = 0; i < n && err == 0; i++) {
		const blaze_sym *y = &syms->syms[i];

		if (y->name && y->name[0])
			err = put_symbol(q, addrs[i], y, ap_symbol_names_get(&names, y->addr),
					 starts ? starts->syms[i].code_info.line : 0);
		else
			q->unknown[q->n_unknown++] = addrs[i];
	}
	if (starts)
		blaze_syms_free(starts);
	return err;
}

/* One damaged entry fails the whole question, so it is asked again in halves. */
static int find_range(struct question *q, const uint64_t *addrs, size_t n)
{
	const blaze_syms *syms = ask(q, addrs, n);
	int err = 0;

	if (syms) {
		err = put_all(q, syms, addrs, n);
		blaze_syms_free(syms);
	} else if (q->image->damaged || n == 1) {
		memcpy(q->unknown + q->n_unknown, addrs, n * sizeof(*addrs));
		q->n_unknown += n;
	} else if ((err = find_range(q, addrs, n / 2)) == 0) {
		err = find_range(q, addrs + n / 2, n - n / 2);
	}
	return err;
}

int ap_source_find(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	_cleanup_free_ uint64_t *left = malloc((n ? n : 1) * sizeof(*left));
	_cleanup_free_ uint64_t *unknown = malloc((n ? n : 1) * sizeof(*unknown));
	int err = 0;

	if (!left || !unknown)
		return -ENOMEM;
	memcpy(left, addrs, n * sizeof(*left));
	if (s->go) {
		ssize_t others = ap_go_symbols_find(s->go, left, n, a);

		if (others < 0)
			return (int)others;
		n = (size_t)others;
	}
	for (size_t i = 0; i < s->n_images && n > 0 && err == 0; i++) {
		struct question q = {s, &s->images[i], a, unknown, 0};
		uint64_t *asked = left;

		err = find_range(&q, left, n);
		left = unknown;
		unknown = asked;
		n = q.n_unknown;
	}
	for (size_t i = 0; i < n && err == 0; i++)
		err = ap_answers_put(a, left[i], NULL, 0);
	return err;
}

int ap_source_find_data(struct ap_source *s, const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	int err = 0;

	for (size_t i = 0; i < s->n_images && err == 0; i++)
		err = ap_data_symbols_find(s->images[i].fd, &s->images[i].elf, addrs, n, a);
	for (size_t i = 0; i < n && err == 0; i++)
		err = ap_answers_put(a, addrs[i], NULL, 0);
	return err;
}
