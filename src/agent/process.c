/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/process.h"

#include <limits.h>
#include <sys/stat.h>

#include "agent/cgroup_cache.h"
#include "agent/proc.h"

/* A start time read from /proc is cut to the clock tick. */
#define START_SLACK_NS 20000000ull

struct ap_process_table {
	struct ap_process *processes; /* by pid */
	struct ap_file_table *files;
	struct ap_cgroup_cache *cgroups;
	enum ap_process_scope scope;
	uint32_t max_processes;
	uint64_t next_serial;
	uint64_t sampled, evicted, events_lost;
};

struct ap_process_table *ap_process_table_new(uint32_t max_processes, uint32_t max_fds)
{
	struct ap_process_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->next_serial = 1;
	t->max_processes = AP_MAX(max_processes, 1u);
	t->files = ap_file_table_new(max_fds);
	t->cgroups = ap_cgroup_cache_new(NULL);
	if (!t->files || !t->cgroups) {
		ap_process_table_free(t);
		return NULL;
	}
	return t;
}

void ap_process_table_set_scope(struct ap_process_table *t, enum ap_process_scope scope)
{
	t->scope = scope;
}

/* Forgets what a process runs, as exec() does. */
static void reset_program(struct ap_process *p)
{
	ap_maps_clear(&p->maps);
	ap_data_maps_free(&p->data);
	p->runtime = AP_RUNTIME_UNKNOWN;
	ap_file_unref(p->exe_file);
	p->exe_file = NULL;
	free(p->exe);
	p->exe = NULL;
}

static void drop(struct ap_process_table *t, struct ap_process *p)
{
	HASH_DEL(t->processes, p);
	reset_program(p);
	free(p->cgroup);
	free(p->group_exe);
	free(p);
}

void ap_process_table_free(struct ap_process_table *t)
{
	struct ap_process *p, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->processes, p, next)
		drop(t, p);
	ap_file_table_free(t->files);
	ap_cgroup_cache_free(t->cgroups);
	free(t);
}

struct ap_process *ap_process_table_find(struct ap_process_table *t, int32_t pid)
{
	struct ap_process *p;

	HASH_FIND_INT(t->processes, &pid, p);
	return p;
}

/* Makes room by forgetting the process that was seen least recently, ended ones first. */
static void evict(struct ap_process_table *t)
{
	struct ap_process *p, *next, *victim = NULL;

	HASH_ITER(hh, t->processes, p, next) {
		if (!victim || p->exited > victim->exited ||
		    (p->exited == victim->exited && p->seen < victim->seen))
			victim = p;
	}
	if (!victim)
		return;
	t->evicted += !victim->exited;
	drop(t, victim);
}

static struct ap_process *add(struct ap_process_table *t, int32_t pid, uint64_t now)
{
	struct ap_process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (HASH_COUNT(t->processes) >= t->max_processes)
		evict(t);
	p->pid = pid;
	p->seen = now;
	p->serial = t->next_serial++;
	p->needed = t->scope == AP_SCOPE_ALL;
	HASH_ADD_INT(t->processes, pid, p);
	return p;
}

static void copy_comm(char to[16], struct ap_str from)
{
	memset(to, 0, 16);
	if (from.n)
		memcpy(to, from.p, AP_MIN(from.n, (size_t)15));
}

/* The file mapped from `exe`: the executable, whose build id the samples are labelled with. */
static struct ap_file *find_exe_file(const struct ap_process *p)
{
	for (size_t i = 0; p->exe && i < p->maps.ranges.n; i++) {
		struct ap_file *f = p->maps.ranges.p[i].file;

		if (f && strcmp(f->path, p->exe) == 0)
			return ap_file_ref(f);
	}
	return NULL;
}

/* A process that starts another's runtime in itself is told by what it mapped first. */
static void note_runtime(struct ap_process *p, const struct ap_file *f)
{
	if (p->runtime != AP_RUNTIME_UNKNOWN || !f)
		return;
	p->runtime = ap_runtime_of_file(ap_str_of(f->path));
	p->changed |= p->runtime != AP_RUNTIME_UNKNOWN;
}

/* Reads from /proc what runs there now. Leaves it as it is where the process has gone. */
static void read_program(struct ap_process_table *t, struct ap_process *p)
{
	struct ap_proc_stat st;
	struct ap_maps maps = {0};
	char *exe = NULL;

	p->mapped = true;
	if (ap_proc_stat(p->pid, &st) < 0)
		return;
	if (p->start_time && st.start_time + START_SLACK_NS < p->start_time)
		return;
	if (p->start_time && st.start_time > p->start_time + START_SLACK_NS)
		return;
	p->start_time = p->start_time ? p->start_time : st.start_time;
	p->ppid = st.ppid;
	p->kernel = st.kernel;
	memcpy(p->comm, st.comm, sizeof(p->comm));
	if (st.kernel || ap_proc_maps(p->pid, t->files, p->needed, &maps) < 0)
		return;
	reset_program(p);
	p->maps = maps;
	if (ap_proc_exe(p->pid, &exe) == 0)
		p->exe = exe;
	p->exe_file = find_exe_file(p);
	AP_VEC_FOREACH(&p->maps.ranges, r)
		note_runtime(p, r->file);
}

static struct ap_process *find_or_add(struct ap_process_table *t, int32_t pid, uint64_t now)
{
	struct ap_process *p = ap_process_table_find(t, pid);

	return p ? p : add(t, pid, now);
}

void ap_process_table_learn(struct ap_process_table *t, int32_t pid, uint64_t now)
{
	struct ap_process *p = find_or_add(t, pid, now);

	if (!p)
		return;
	p->needed = true;
	p->learned = now;
	if (!p->mapped)
		read_program(t, p);
}

/* By its real path, under which the kernel will tell of it. */
static struct ap_file *expect(struct ap_process_table *t, const char *path)
{
	struct ap_file_source source = {.needed = true};
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0)
		return NULL;
	source.path = ap_str_of(real);
	source.dev = st.st_dev;
	source.inode = st.st_ino;
	return ap_file_table_get(t->files, &source);
}

/* The path after "#!" of a script; NULL: it is none. The caller's to free. */
static char *interpreter(const struct ap_file *f)
{
	char head[256];
	ssize_t n = f->fd >= 0 && !f->elf ? pread(f->fd, head, sizeof(head), 0) : 0;
	struct ap_str text = {head, n > 0 ? (size_t)n : 0}, line = ap_str_cut(&text, '\n');

	if (!ap_str_starts(line, AP_STR("#!")))
		return NULL;
	line = ap_str_trim((struct ap_str){line.p + 2, line.n - 2});
	return ap_str_dup(ap_str_cut(&line, ' '));
}

void ap_process_table_expect(struct ap_process_table *t, const char *path)
{
	struct ap_file *f = expect(t, path);
	_cleanup_free_ char *by = f ? interpreter(f) : NULL;

	ap_file_unref(f);
	if (by)
		ap_file_unref(expect(t, by));
}

static char *dup_text(const char *s)
{
	return s ? ap_str_dup(ap_str_of(s)) : NULL;
}

/* The executable of the process group's leader; of a group whose leader has ended, the parent's
 * view of it. */
static char *group_exe(struct ap_process_table *t, const struct ap_process *p)
{
	struct ap_process *leader, *parent = ap_process_table_find(t, p->ppid);
	struct ap_proc_stat st;
	char *exe;

	if (ap_proc_stat(p->pid, &st) < 0)
		return dup_text(p->group_exe ? p->group_exe : parent ? parent->group_exe : NULL);
	if (st.group == p->pid)
		return dup_text(p->exe);
	leader = ap_process_table_find(t, st.group);
	if (leader && leader->exe)
		return dup_text(leader->exe);
	if (ap_proc_exe(st.group, &exe) == 0)
		return exe;
	return dup_text(parent ? parent->group_exe : NULL);
}

static char *cgroup_of(struct ap_process_table *t, const struct ap_process *p, uint64_t cgroup_id)
{
	struct ap_process *parent = ap_process_table_find(t, p->ppid);
	const char *known = ap_cgroup_cache_get(t->cgroups, cgroup_id);
	char *text = NULL;

	if (known)
		return dup_text(known);
	if (ap_proc_cgroup(p->pid, &text) == 0)
		ap_cgroup_cache_put(t->cgroups, cgroup_id, text);
	else if (!p->cgroup && parent && parent->cgroup)
		return dup_text(parent->cgroup);
	else if (!p->cgroup && p->ppid > 0)
		ap_proc_cgroup(p->ppid, &text);
	return text;
}

/* Reads what names the process's service, as soon as it is sampled: most live then. */
static void describe(struct ap_process_table *t, struct ap_process *p, uint64_t cgroup_id)
{
	char *text;

	if (p->described && p->cgroup_id == cgroup_id)
		return;
	p->described = true;
	p->changed = true;
	p->cgroup_id = cgroup_id;
	if (p->kernel)
		return;
	text = cgroup_of(t, p, cgroup_id);
	if (text) {
		free(p->cgroup);
		p->cgroup = text;
	}
	text = group_exe(t, p);
	free(p->group_exe);
	p->group_exe = text;
}

/* A pid may have been given to another process since: start times tell. */
static bool is_other(const struct ap_process *p, uint64_t start_time)
{
	uint64_t a = p->start_time, b = start_time;

	return a && b && (a > b ? a - b : b - a) > START_SLACK_NS;
}

struct ap_process *ap_process_table_sampled(struct ap_process_table *t,
					    const struct ap_process_sample *s)
{
	struct ap_process *p = ap_process_table_find(t, s->pid);

	if (p && is_other(p, s->start_time)) {
		drop(t, p);
		p = NULL;
	}
	if (!p) {
		p = add(t, s->pid, s->time);
		if (!p)
			return NULL;
		p->kernel = s->kernel;
		p->start_time = s->start_time;
		copy_comm(p->comm, (struct ap_str){s->comm, strnlen(s->comm, 16)});
	}
	p->start_time = s->start_time ? s->start_time : p->start_time;
	p->seen = s->time;
	p->needed = true;
	if (!p->sampled) {
		p->sampled = true;
		t->sampled++;
	}
	if (!p->mapped)
		read_program(t, p);
	describe(t, p, s->cgroup_id);
	return p;
}

static int apply_mmap(struct ap_process_table *t, const struct ap_sideband_event *e)
{
	struct ap_process *p = ap_process_table_find(t, e->pid);
	struct ap_map_range range = {.start = e->start, .end = e->end, .pgoff = e->pgoff};
	struct ap_file_source source = {.path = e->text,
					.pid = e->pid,
					.start = e->start,
					.end = e->end,
					.dev = e->dev,
					.inode = e->inode,
					.build_id = e->build_id,
					.build_id_bytes = e->build_id_bytes,
					.needed = p && p->needed};
	int r;

	/* A process that is not known yet is read whole when it matters. */
	if (!p || !p->mapped)
		return 0;
	r = ap_proc_code_file(t->files, &source, &range.file);
	if (r < 0)
		return r;
	r = ap_maps_add(&p->maps, &range);
	note_runtime(p, range.file);
	if (p->exec_pending && range.file) {
		p->exec_pending = false;
		p->changed = true;
		p->exe = ap_str_dup(ap_str_of(range.file->path));
		p->exe_file = ap_file_ref(range.file);
	}
	ap_file_unref(range.file);
	return r == -E2BIG || r == -EINVAL ? 0 : r;
}

static int apply_exec(struct ap_process_table *t, const struct ap_sideband_event *e)
{
	struct ap_process *p = ap_process_table_find(t, e->pid);

	if (!p && t->scope == AP_SCOPE_LEARNED)
		return 0;
	p = find_or_add(t, e->pid, e->time);
	if (!p)
		return -ENOMEM;
	reset_program(p);
	p->mapped = true;
	p->exec_pending = true;
	p->described = false;
	p->changed = true;
	p->exited = false;
	copy_comm(p->comm, e->text);
	return 0;
}

static int apply_fork(struct ap_process_table *t, const struct ap_sideband_event *e)
{
	struct ap_process *parent, *p = ap_process_table_find(t, e->pid);

	/* A child that was learned since is known better. */
	if (e->pid == e->ppid || (p && p->learned >= e->time))
		return 0;
	if (p)
		drop(t, p);
	if (t->scope == AP_SCOPE_LEARNED && !ap_process_table_find(t, e->ppid))
		return 0;
	/* The parent's mappings are read now: they may be all that is ever known of the child. */
	parent = find_or_add(t, e->ppid, e->time);
	if (parent && !parent->mapped)
		read_program(t, parent);
	p = add(t, e->pid, e->time);
	parent = ap_process_table_find(t, e->ppid);
	if (!p || !parent)
		return -ENOMEM;
	p->ppid = e->ppid;
	p->mapped = true;
	p->needed = parent->needed;
	memcpy(p->comm, parent->comm, sizeof(p->comm));
	p->exe = dup_text(parent->exe);
	p->cgroup = dup_text(parent->cgroup);
	p->group_exe = dup_text(parent->group_exe);
	p->exe_file = ap_file_ref(parent->exe_file);
	p->runtime = parent->runtime;
	return ap_maps_copy(&p->maps, &parent->maps);
}

/* Events of any process may be missing: whoever lives is read again when it matters. */
static void apply_lost(struct ap_process_table *t, const struct ap_sideband_event *e)
{
	struct ap_process *p, *next;

	t->events_lost += e->lost;
	HASH_ITER(hh, t->processes, p, next) {
		p->mapped = false;
		p->described = false;
	}
}

int ap_process_table_apply(struct ap_process_table *t, const struct ap_sideband_event *e)
{
	struct ap_process *p;

	if (e->kind == AP_SIDEBAND_LOST) {
		apply_lost(t, e);
		return 0;
	}
	if (e->pid <= 0)
		return 0;
	switch (e->kind) {
	case AP_SIDEBAND_MMAP:
		return apply_mmap(t, e);
	case AP_SIDEBAND_EXEC:
		return apply_exec(t, e);
	case AP_SIDEBAND_FORK:
		return apply_fork(t, e);
	default:
		break;
	}
	p = ap_process_table_find(t, e->pid);
	if (!p || e->pid != e->tid)
		return 0;
	if (e->kind == AP_SIDEBAND_COMM) {
		copy_comm(p->comm, e->text);
		p->changed = true;
	} else {
		p->exited = true;
		p->seen = e->time;
	}
	return 0;
}

struct ap_file_table *ap_process_table_files(struct ap_process_table *t)
{
	return t->files;
}

/* What the table has of the mapping. */
static struct ap_file *known_mapping(const struct ap_process *p, const struct ap_file_notice *n)
{
	const struct ap_map_range *r = p ? ap_maps_find(&p->maps, n->start) : NULL;

	if (!r || n->start - r->start + r->pgoff != n->pgoff)
		return NULL;
	return ap_file_ref(r->file);
}

struct ap_file *ap_process_table_mapped(struct ap_process_table *t, int32_t pid,
					const struct ap_file_notice *n)
{
	struct ap_process *p = ap_process_table_find(t, pid);
	struct ap_file_source source = {
		.pid = pid, .start = n->start, .end = n->end, .needed = true};
	char path[PATH_MAX];
	struct ap_file *f;

	if (n->key.device == AP_DEVICE_VDSO)
		return ap_file_table_vdso(t->files);
	if (ap_proc_mapped_path(pid, n->start, n->end, path, &source.path) == 0)
		return ap_file_table_get(t->files, &source);
	f = known_mapping(p, n);
	if (f || !p || p->exited)
		return f;
	/* It may have been cut or merged since. */
	read_program(t, p);
	return known_mapping(p, n);
}

void ap_process_table_expire(struct ap_process_table *t, uint64_t now)
{
	struct ap_process *p, *next;

	HASH_ITER(hh, t->processes, p, next)
		if (p->exited && !(p->sampled && p->changed) && now > p->seen &&
		    now - p->seen > AP_PROCESS_GRACE_NS)
			drop(t, p);
	ap_file_table_trim(t->files);
}

void ap_process_table_counts(const struct ap_process_table *t, struct ap_process_counts *ret)
{
	*ret = (struct ap_process_counts){
		.processes = HASH_COUNT(t->processes),
		.files = ap_file_table_count(t->files),
		.sampled = t->sampled,
		.evicted = t->evicted,
		.events_lost = t->events_lost,
	};
}
