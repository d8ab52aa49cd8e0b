/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup_procs.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"

#define DEPTH_MAX 32

struct visit {
	uint32_t n, max;
	void (*fn)(void *ctx, int32_t pid);
	void *ctx;
};

static void visit_processes(struct visit *v, int fd)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str text;
	uint64_t pid;

	if (ap_read_file(fd, "cgroup.procs", 1 << 20, &b) < 0)
		return;
	text = ap_buf_view(&b);
	while (v->n < v->max && text.n) {
		if (ap_parse_u64(ap_str_cut(&text, '\n'), &pid) < 0 || pid == 0 || pid > INT32_MAX)
			continue;
		v->n++;
		v->fn(v->ctx, (int32_t)pid);
	}
}

static void visit(struct visit *v, int fd, uint32_t depth)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *e;

	if (!d) {
		if (own >= 0)
			close(own);
		return;
	}
	visit_processes(v, fd);
	while (depth < DEPTH_MAX && v->n < v->max && (e = readdir(d))) {
		_cleanup_fd_ int below = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			visit(v, below, depth + 1);
	}
	closedir(d);
}

uint32_t ap_cgroup_procs(int fd, uint32_t max, void (*fn)(void *ctx, int32_t pid), void *ctx)
{
	struct visit v = {.max = max, .fn = fn, .ctx = ctx};

	visit(&v, fd, 0);
	return v.n;
}
