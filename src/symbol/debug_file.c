/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/debug_file.h"

#include <stdio.h>

#include "symbol/debug_link.h"
#include "symbol/root.h"

#define PATH_BYTES (2 * PATH_MAX)

struct search {
	const struct ap_source_opts *opts;
	const struct ap_elf *elf; /* the program's */
	struct ap_debug_link link;
	bool linked;
	struct ap_debug_file *ret;
};

static void build_id_path(char *to, const char *dir, const char *build_id)
{
	snprintf(to, PATH_BYTES, "%s/.build-id/%.2s/%s.debug", dir, build_id, build_id + 2);
}

static enum ap_elf_trust trust_in(const struct ap_source_opts *opts, const char *dir)
{
	return dir == opts->download_dir ? AP_ELF_STRANGER : AP_ELF_OF_SYSTEM;
}

/* A file of the debug directories that has that build-id. */
static bool have_build_id(const struct ap_source_opts *opts, const char *dir, const char *build_id)
{
	char path[PATH_BYTES];
	_cleanup_fd_ int fd = -1;
	struct ap_elf elf;

	build_id_path(path, dir, build_id);
	fd = ap_open_regular(path);
	return fd >= 0 && ap_elf_read(fd, opts->max_debug_info, trust_in(opts, dir), &elf) == 0 &&
	       strcmp(elf.build_id, build_id) == 0 && !elf.has_bomb && !elf.has_sup &&
	       !elf.alt_link.size && !elf.debug_link.size;
}

bool ap_debug_file_whole(const struct ap_source_opts *opts, int fd, const struct ap_elf *elf)
{
	struct ap_alt_link alt;

	if (elf->has_bomb || elf->has_sup || elf->debug_link.size)
		return false;
	if (!elf->alt_link.size)
		return true;
	/* The parser looks there first, so the path that the link names is never tried. */
	if (ap_alt_link_read(fd, elf, &alt) < 0 || strlen(alt.build_id) < 16)
		return false;
	for (char **dir = opts->debug_dirs; *dir; dir++)
		if (have_build_id(opts, *dir, alt.build_id))
			return true;
	return false;
}

static bool is_debug_file_of(const struct search *s, int fd, const struct ap_elf *found)
{
	uint32_t crc;

	if (!found->has_debug_info && !found->symtab.size)
		return false;
	if (s->elf->build_id[0] && found->build_id[0])
		return strcmp(s->elf->build_id, found->build_id) == 0;
	return s->linked && ap_debug_link_crc(fd, s->opts->max_debug_info, &crc) == 0 &&
	       crc == s->link.crc;
}

/* Takes over `fd`, which may be an error. */
static bool try_file(struct search *s, int opened, enum ap_elf_trust trust)
{
	_cleanup_fd_ int fd = opened;
	struct ap_elf found;

	if (fd < 0 || ap_elf_read(fd, s->opts->max_debug_info, trust, &found) < 0 ||
	    !is_debug_file_of(s, fd, &found))
		return false;
	*s->ret = (struct ap_debug_file){
		.elf = found,
		.dwarf = found.has_debug_info && !found.has_bomb &&
			 (trust == AP_ELF_OF_SYSTEM || ap_debug_file_whole(s->opts, fd, &found)),
	};
	s->ret->fd = AP_TAKE_FD(fd);
	return true;
}

static bool try_build_id(struct search *s)
{
	char path[PATH_BYTES];

	for (char **dir = s->opts->debug_dirs; *dir; dir++) {
		build_id_path(path, *dir, s->elf->build_id);
		if (try_file(s, ap_open_regular(path), trust_in(s->opts, *dir)))
			return true;
	}
	return false;
}

/* Of the debug directories only those of the system are also a container's. */
static bool try_root(struct search *s, int root, const char *file_path, bool own)
{
	enum ap_elf_trust trust = own ? AP_ELF_OF_SYSTEM : AP_ELF_STRANGER;
	const char *slash = file_path ? strrchr(file_path, '/') : NULL;
	int n = slash ? (int)(slash - file_path) : 0;
	char path[PATH_BYTES];
	bool found = false;

	for (char **dir = s->opts->debug_dirs; *dir && !own && s->elf->build_id[0] && !found;
	     dir++) {
		build_id_path(path, *dir, s->elf->build_id);
		found = *dir != s->opts->download_dir &&
			try_file(s, ap_root_open_regular(root, path), trust);
	}
	if (found || !s->linked || !slash || n >= PATH_MAX || strstr(file_path, "/../"))
		return found;
	snprintf(path, sizeof(path), "%.*s/%s", n, file_path, s->link.name);
	if (try_file(s, ap_root_open_regular(root, path), AP_ELF_STRANGER))
		return true;
	snprintf(path, sizeof(path), "%.*s/.debug/%s", n, file_path, s->link.name);
	if (try_file(s, ap_root_open_regular(root, path), AP_ELF_STRANGER))
		return true;
	for (char **dir = s->opts->debug_dirs; *dir && !found; dir++) {
		if (snprintf(path, sizeof(path), "%s%.*s/%s", *dir, n, file_path, s->link.name) <
		    (int)sizeof(path))
			found = *dir != s->opts->download_dir &&
				try_file(s, ap_root_open_regular(root, path), trust);
	}
	return found;
}

int ap_debug_file_find(const struct ap_source_opts *opts, const struct ap_source_file *file, int fd,
		       const struct ap_elf *elf, struct ap_debug_file *ret)
{
	struct search s = {.opts = opts, .elf = elf, .ret = ret};
	_cleanup_fd_ int root = -1;

	s.linked = ap_debug_link_read(fd, elf, &s.link) == 0;
	if (strlen(elf->build_id) >= 4 && try_build_id(&s))
		return 0;
	root = file->pid ? ap_root_open(file->pid) : -1;
	/* Of a process that has ended the path may still be one of ours. */
	if (root < 0)
		root = ap_root_open(0);
	if (root >= 0 && try_root(&s, root, file->path, ap_root_is_own(root)))
		return 0;
	return -ENOENT;
}
