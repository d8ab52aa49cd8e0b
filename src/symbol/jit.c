/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/jit.h"

#include <uthash.h>

#include "base/clock.h"
#include "symbol/perf_map.h"

#define MAPS_MAX  64u
#define BYTES_MAX (16u << 20)
#define IDLE_NS	  (60 * AP_NSEC_PER_SEC)

struct map {
	UT_hash_handle hh;
	uint64_t serial; /* of the process */
	uint64_t used;	 /* CLOCK_MONOTONIC, ns */
	struct ap_perf_map *perf;
};

struct ap_jit {
	struct map *maps;
};

struct ap_jit *ap_jit_new(void)
{
	return calloc(1, sizeof(struct ap_jit));
}

static void drop(struct ap_jit *j, struct map *m)
{
	HASH_DEL(j->maps, m);
	ap_perf_map_free(m->perf);
	free(m);
}

void ap_jit_free(struct ap_jit *j)
{
	struct map *m, *next;

	if (!j)
		return;
	HASH_ITER(hh, j->maps, m, next)
		drop(j, m);
	free(j);
}

size_t ap_jit_bytes(const struct ap_jit *j)
{
	size_t n = 0;

	for (const struct map *m = j->maps; m; m = m->hh.next)
		n += ap_perf_map_bytes(m->perf);
	return n;
}

void ap_jit_trim(struct ap_jit *j, uint64_t now)
{
	while (j->maps) {
		struct map *m, *next, *oldest = NULL;

		HASH_ITER(hh, j->maps, m, next)
			if (!oldest || m->used < oldest->used)
				oldest = m;
		if (now - oldest->used <= IDLE_NS && HASH_COUNT(j->maps) <= MAPS_MAX &&
		    (ap_jit_bytes(j) <= BYTES_MAX || HASH_COUNT(j->maps) == 1))
			return;
		drop(j, oldest);
	}
}

/* What a frame is called that the map does not name. */
static const char *why(int err, enum ap_runtime runtime)
{
	switch (err) {
	case 0:
		return ap_runtime_hint(AP_RUNTIME_UNKNOWN);
	case -EPERM:
		return "[jit: perf map of another user]";
	case -ESTALE:
		return "[jit: perf map older than the process]";
	case -EFBIG:
		return "[jit: perf map too large]";
	default:
		return ap_runtime_hint(runtime);
	}
}

/* The process's map, brought up to date; `*ret` is NULL where there is none. */
static int map_of(struct ap_jit *j, const struct ap_symbol_process *p, uint64_t now,
		  struct ap_perf_map **ret)
{
	struct ap_perf_map *perf = NULL;
	struct map *m;
	int err;

	*ret = NULL;
	HASH_FIND(hh, j->maps, &p->serial, sizeof(p->serial), m);
	if (!m) {
		err = p->alive ? ap_perf_map_open(p->pid, p->start_time, &perf) : -ENOENT;
		if (err < 0)
			return err;
		m = calloc(1, sizeof(*m));
		if (!m) {
			ap_perf_map_free(perf);
			return -ENOMEM;
		}
		m->serial = p->serial;
		m->perf = perf;
		HASH_ADD(hh, j->maps, serial, sizeof(m->serial), m);
	}
	m->used = now;
	*ret = m->perf;
	return ap_perf_map_refresh(m->perf);
}

int ap_jit_find(struct ap_jit *j, const struct ap_symbol_process *p, uint64_t now,
		const uint64_t *addrs, size_t n, struct ap_answers *a)
{
	_cleanup_buf_ struct ap_buf name = {0};
	struct ap_perf_map *perf;
	int err, status;

	ap_jit_trim(j, now);
	status = map_of(j, p, now, &perf);
	err = status == -ENOMEM ? status : 0;
	for (size_t i = 0; i < n && err == 0; i++) {
		struct ap_symbol_level level = {.name = ap_str_of(why(status, p->runtime))};

		ap_buf_clear(&name);
		if (perf && ap_perf_map_find(perf, addrs[i], &name) == 0)
			level.name = ap_buf_view(&name);
		err = ap_answers_put(a, addrs[i], &level, 1);
	}
	return err;
}
