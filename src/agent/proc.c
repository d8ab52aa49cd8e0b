/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proc.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/io.h"

#define MAPS_BYTES_MAX (16u << 20)
#define PF_KTHREAD     0x00200000 /* linux/sched.h; shown as the 9th field of stat */

static int read_proc(int32_t pid, const char *name, size_t max, struct ap_buf *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return ap_read_file(AT_FDCWD, path, max, ret);
}

int ap_proc_stat_parse(struct ap_str text, struct ap_proc_stat *ret)
{
	uint64_t tick_ns = AP_NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	struct ap_proc_stat st = {0};
	uint64_t field[23] = {0};
	const char *open, *close;
	struct ap_str rest, name;

	/* The name may hold anything, parentheses too: it ends at the last one. */
	open = memchr(text.p, '(', text.n);
	close = memrchr(text.p, ')', text.n);
	if (!open || !close || close < open || close + 2 > text.p + text.n)
		return -EINVAL;
	name = (struct ap_str){open + 1, (size_t)(close - open - 1)};
	memcpy(st.comm, name.p, AP_MIN(name.n, sizeof(st.comm) - 1));
	rest = (struct ap_str){close + 2, (size_t)(text.p + text.n - close - 2)};
	ap_str_cut(&rest, ' '); /* state, the third field */
	for (size_t i = 4; i < AP_ARRAY_SIZE(field); i++) {
		struct ap_str f = ap_str_cut(&rest, ' ');
		int64_t v;

		if (ap_parse_i64(f, &v) < 0)
			return -EINVAL;
		field[i] = (uint64_t)v;
	}
	st.ppid = (int32_t)field[4];
	st.group = (int32_t)field[5];
	st.kernel = field[9] & PF_KTHREAD;
	st.start_time = field[22] * tick_ns;
	*ret = st;
	return 0;
}

int ap_proc_stat(int32_t pid, struct ap_proc_stat *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = read_proc(pid, "stat", 4096, &b);

	return r < 0 ? r : ap_proc_stat_parse(ap_buf_view(&b), ret);
}

static int read_link(const char *path, char *buf, struct ap_str *ret)
{
	ssize_t n = readlink(path, buf, PATH_MAX);

	if (n < 0)
		return -errno;
	*ret = (struct ap_str){buf, (size_t)n};
	return 0;
}

int ap_proc_mapped_path(int32_t pid, uint64_t start, uint64_t end, char *buf, struct ap_str *ret)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)start, (unsigned long long)end);
	return read_link(path, buf, ret);
}

int ap_proc_exe(int32_t pid, char **ret)
{
	char path[64], exe[PATH_MAX];
	struct ap_str s;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	r = read_link(path, exe, &s);
	if (r < 0)
		return r;
	if (ap_str_ends(s, AP_STR(" (deleted)")))
		s.n -= strlen(" (deleted)");
	*ret = ap_str_dup(s);
	return *ret ? 0 : -ENOMEM;
}

int ap_proc_cgroup(int32_t pid, char **ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = read_proc(pid, "cgroup", 64 << 10, &b);

	if (r < 0)
		return r;
	*ret = ap_str_dup(ap_buf_view(&b));
	return *ret ? 0 : -ENOMEM;
}

static bool parse_hex(struct ap_str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 16)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else
			return false;
		v = v << 4 | digit;
	}
	*ret = v;
	return true;
}

int ap_proc_map_parse(struct ap_str line, struct ap_proc_map *ret)
{
	struct ap_str end = ap_str_cut(&line, ' '), start = ap_str_cut(&end, '-');
	struct ap_str mode = ap_str_cut(&line, ' '), pgoff = ap_str_cut(&line, ' ');
	struct ap_str minor = ap_str_cut(&line, ' '), major = ap_str_cut(&minor, ':');
	struct ap_str inode = ap_str_cut(&line, ' ');
	struct ap_proc_map m = {0};
	uint64_t dev_major, dev_minor;

	if (!parse_hex(start, &m.start) || !parse_hex(end, &m.end) || m.start >= m.end ||
	    mode.n < 4 || !parse_hex(pgoff, &m.pgoff) || !parse_hex(major, &dev_major) ||
	    !parse_hex(minor, &dev_minor) || ap_parse_u64(inode, &m.inode) < 0)
		return -EINVAL;
	m.dev = dev_major << 32 | dev_minor;
	m.exec = mode.p[2] == 'x';
	m.write = mode.p[1] == 'w';
	/* A path may end in blanks of its own: only the padding before it goes. */
	while (line.n && line.p[0] == ' ') {
		line.p++;
		line.n--;
	}
	m.path = line;
	*ret = m;
	return 0;
}

bool ap_proc_is_file(struct ap_str path)
{
	return ap_str_starts(path, AP_STR("/")) && !ap_str_starts(path, AP_STR("//")) &&
	       !ap_str_starts(path, AP_STR("/memfd:")) && !ap_str_starts(path, AP_STR("/dev/")) &&
	       !ap_str_starts(path, AP_STR("/SYSV"));
}

/* Programs run from memory files too, but most of those hold what a JIT compiler wrote. */
static bool is_program_in_memory(const struct ap_file_source *s)
{
	char path[128], magic[SELFMAG];
	_cleanup_fd_ int fd = -1;

	if (!ap_str_starts(s->path, AP_STR("/memfd:")))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)s->pid,
		 (unsigned long long)s->start, (unsigned long long)s->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && pread(fd, magic, SELFMAG, 0) == SELFMAG &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

int ap_proc_code_file(struct ap_file_table *files, const struct ap_file_source *s,
		      struct ap_file **ret)
{
	*ret = NULL;
	if (ap_str_is(s->path, "[vdso]")) {
		*ret = ap_file_table_vdso(files);
		return 0;
	}
	if (!ap_proc_is_file(s->path) && !is_program_in_memory(s))
		return 0;
	*ret = ap_file_table_get(files, s);
	return *ret ? 0 : -ENOMEM;
}

static int add_line(int32_t pid, const struct ap_proc_map *m, struct ap_file_table *files,
		    bool needed, struct ap_maps *maps)
{
	struct ap_map_range range = {.start = m->start, .end = m->end, .pgoff = m->pgoff};
	struct ap_file_source source = {.path = m->path,
					.pid = pid,
					.start = m->start,
					.end = m->end,
					.dev = m->dev,
					.inode = m->inode,
					.needed = needed};
	int r;

	r = ap_proc_code_file(files, &source, &range.file);
	if (r < 0)
		return r;
	r = ap_maps_add(maps, &range);
	ap_file_unref(range.file);
	return r;
}

int ap_proc_maps_text(int32_t pid, struct ap_buf *ret)
{
	return read_proc(pid, "maps", MAPS_BYTES_MAX, ret);
}

int ap_proc_maps(int32_t pid, struct ap_file_table *files, bool needed, struct ap_maps *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_maps maps = {0};
	struct ap_str text;
	int r = ap_proc_maps_text(pid, &b);

	if (r < 0)
		return r;
	text = ap_buf_view(&b);
	while (text.n && r == 0) {
		struct ap_proc_map m;

		if (ap_proc_map_parse(ap_str_cut(&text, '\n'), &m) == 0 && m.exec)
			r = add_line(pid, &m, files, needed, &maps);
	}
	if (r < 0 && r != -E2BIG) {
		ap_maps_clear(&maps);
		return r;
	}
	ap_maps_clear(ret);
	*ret = maps;
	return 0;
}
