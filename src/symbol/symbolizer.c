/* SPDX-License-Identifier: Apache-2.0 */
/* Files by key, each with its answers and, while it is in use, the source that gives new ones. The
 * two have budgets of their own: sources are costly and can be opened again, answers are small and
 * save opening them. Both are let go of whole, least recently used first, at the start of a call,
 * so that what a call returns stays valid until the next. */
#include "symbol/symbolizer.h"

#include <fcntl.h>
#include <malloc.h>
#include <uthash.h>

#include "base/clock.h"
#include "symbol/jit.h"
#include "symbol/kallsyms.h"
#include "symbol/resident.h"
#include "symbol/source.h"

#define CACHE_BYTES	  (16u << 20)
#define OPEN_SOURCES_MAX  64u
#define SOURCE_BYTES_MAX  (16u << 20)
#define SOURCE_IDLE_NS	  (60 * AP_NSEC_PER_SEC)
#define SOURCE_LARGE	  (4u << 20) /* its memory goes back to the system at once */
#define DEBUG_INFO_MAX	  (1ull << 30)
#define KALLSYMS_RENEW_NS (60 * AP_NSEC_PER_SEC) /* at first, then ever more seldom */
#define KALLSYMS_HOUR_NS  (3600 * AP_NSEC_PER_SEC)

struct file {
	UT_hash_handle hh;
	struct ap_answers *answers;
	struct ap_answers *data; /* of variables; NULL: nobody asked */
	struct ap_source *source;
	bool refused;  /* cannot be opened as a source: not tried again */
	char *lacks;   /* build-id of a debug file to fetch; NULL: none */
	char *fetched; /* the last one that came, so that one of no use is not taken twice */
	uint64_t used; /* CLOCK_MONOTONIC, ns */
	char key[];
};

struct ap_symbolizer {
	struct file *files;
	struct ap_source_opts source_opts;
	const struct ap_debug_fetcher *fetcher;
	size_t cache_max, source_max;
	struct ap_kallsyms *kallsyms;
	char *kallsyms_path;
	uint64_t kallsyms_ns;	 /* when it was read */
	uint64_t kallsyms_renew; /* after how long it may be read again */
	int kallsyms_err;
	struct ap_answers *kernel;
	struct ap_answers *kernel_data;
	uint64_t kernel_data_ns; /* since when they have been kept */
	struct ap_jit *jit;
	struct ap_answers *jit_answers; /* of the last call */
	struct ap_symbolizer_stats stats;
};

/* With `last` after them, if that is not NULL. */
static int copy_dirs(const char *const *dirs, const char *last, char ***ret)
{
	static const char *const standard[] = {"/usr/lib/debug", NULL};
	size_t n = 0;
	char **copy;

	if (!dirs)
		dirs = standard;
	while (dirs[n])
		n++;
	copy = calloc(n + 2, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	for (size_t i = 0; i < n; i++)
		if (!(copy[i] = strdup(dirs[i])))
			return -ENOMEM;
	return last && !(copy[n] = strdup(last)) ? -ENOMEM : 0;
}

struct ap_symbolizer *ap_symbolizer_new(const struct ap_symbolizer_opts *opts)
{
	static const struct ap_symbolizer_opts defaults;
	struct ap_symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!opts)
		opts = &defaults;
	s->cache_max = opts->cache_bytes ? opts->cache_bytes : CACHE_BYTES;
	s->source_max = opts->source_bytes ? opts->source_bytes : SOURCE_BYTES_MAX;
	s->source_opts.no_debug_info = opts->no_debug_info;
	s->source_opts.max_debug_info =
		opts->max_debug_info ? opts->max_debug_info : DEBUG_INFO_MAX;
	s->kallsyms_path = strdup(opts->kallsyms ? opts->kallsyms : "/proc/kallsyms");
	s->jit = ap_jit_new();
	s->fetcher = opts->fetcher;
	if (!s->kallsyms_path || !s->jit ||
	    copy_dirs(opts->debug_dirs, s->fetcher ? s->fetcher->dir : NULL,
		      &s->source_opts.debug_dirs) < 0) {
		ap_symbolizer_free(s);
		return NULL;
	}
	for (char **d = s->source_opts.debug_dirs; s->fetcher && *d; d++)
		s->source_opts.download_dir = *d;
	return s;
}

static void free_file(struct ap_symbolizer *s, struct file *f)
{
	HASH_DEL(s->files, f);
	ap_source_free(f->source);
	ap_answers_free(f->answers);
	ap_answers_free(f->data);
	free(f->lacks);
	free(f->fetched);
	free(f);
}

void ap_symbolizer_free(struct ap_symbolizer *s)
{
	struct file *f, *next;

	if (!s)
		return;
	HASH_ITER(hh, s->files, f, next)
		free_file(s, f);
	for (char **d = s->source_opts.debug_dirs; d && *d; d++)
		free(*d);
	free(s->source_opts.debug_dirs);
	ap_kallsyms_free(s->kallsyms);
	free(s->kallsyms_path);
	ap_answers_free(s->kernel);
	ap_answers_free(s->kernel_data);
	ap_answers_free(s->jit_answers);
	ap_jit_free(s->jit);
	free(s);
}

static void close_source(struct file *f)
{
	bool large = ap_source_bytes(f->source) >= SOURCE_LARGE;

	ap_source_free(f->source);
	f->source = NULL;
	if (large)
		malloc_trim(0);
}

/* Lets go of what is over the budgets and of sources that nobody asks any more, but never of
 * `keep`. */
static void trim(struct ap_symbolizer *s, const struct file *keep, uint64_t now)
{
	for (;;) {
		struct file *f, *next, *oldest = NULL, *oldest_source = NULL;
		size_t answers = 0, sources = 0, n = 0;

		HASH_ITER(hh, s->files, f, next) {
			answers += ap_answers_bytes(f->answers);
			if (f->data)
				answers += ap_answers_bytes(f->data);
			if (f->source) {
				sources += ap_source_bytes(f->source);
				n++;
			}
			if (f == keep)
				continue;
			if (!oldest || f->used < oldest->used)
				oldest = f;
			if (f->source && (!oldest_source || f->used < oldest_source->used))
				oldest_source = f;
		}
		s->stats.cache_bytes = answers;
		s->stats.source_bytes = sources;
		if (oldest_source && (sources > s->source_max || n > OPEN_SOURCES_MAX ||
				      now - oldest_source->used > SOURCE_IDLE_NS))
			close_source(oldest_source);
		else if (oldest && answers > s->cache_max)
			free_file(s, oldest);
		else
			return;
	}
}

static struct file *file_of(struct ap_symbolizer *s, struct ap_str key)
{
	struct file *f;

	HASH_FIND(hh, s->files, key.p, key.n, f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f) + key.n + 1);
	if (!f)
		return NULL;
	f->answers = ap_answers_new();
	if (!f->answers) {
		free(f);
		return NULL;
	}
	memcpy(f->key, key.p, key.n);
	HASH_ADD(hh, s->files, key, key.n, f);
	return f;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The addresses that `a` does not know, sorted, each once. */
static int missing(const struct ap_answers *a, const uint64_t *addrs, size_t n, uint64_t **ret,
		   size_t *ret_n)
{
	uint64_t *m = malloc((n ? n : 1) * sizeof(*m));
	struct ap_symbol unused;
	size_t k = 0, unique = 0;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!ap_answers_get(a, addrs[i], &unused))
			m[k++] = addrs[i];
	qsort(m, k, sizeof(*m), by_value);
	for (size_t i = 0; i < k; i++)
		if (i == 0 || m[i] != m[i - 1])
			m[unique++] = m[i];
	*ret = m;
	*ret_n = unique;
	return 0;
}

static void collect(struct ap_symbolizer *s, const struct ap_answers *a, const uint64_t *addrs,
		    size_t n, struct ap_symbol *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!ap_answers_get(a, addrs[i], &ret[i]))
			ret[i] = (struct ap_symbol){0};
		s->stats.unknown += ret[i].n == 0;
	}
}

/* Asks for the file that would tell more than those that are here, unless it came and is of no
 * use. */
static void note_lack(struct ap_symbolizer *s, struct file *f)
{
	const char *id = ap_source_lacks(f->source);

	if (f->fetched && strcmp(f->fetched, id) == 0)
		return;
	free(f->fetched);
	f->fetched = NULL;
	if (!s->fetcher || !id[0] || f->lacks)
		return;
	f->lacks = strdup(id);
	if (f->lacks)
		s->fetcher->want(s->fetcher->ctx, f->lacks);
}

/* Forgets what is known of a file once there is more to be known. */
static int look_for_fetched(struct ap_symbolizer *s, struct file *f)
{
	struct ap_answers *fresh;

	if (!f->lacks || s->fetcher->want(s->fetcher->ctx, f->lacks) != AP_DEBUG_HERE)
		return 0;
	fresh = ap_answers_new();
	if (!fresh)
		return -ENOMEM;
	ap_answers_free(f->answers);
	ap_answers_free(f->data);
	f->answers = fresh;
	f->data = NULL;
	free(f->fetched);
	f->fetched = AP_TAKE_PTR(f->lacks);
	if (f->source)
		close_source(f);
	return 0;
}

static int open_source(struct ap_symbolizer *s, struct file *f, const struct ap_symbol_file *file)
{
	struct ap_source_file where = {file->open_path, file->path, file->pid};
	int err;

	if (f->source || f->refused || !file->open_path)
		return 0;
	err = ap_source_open(&s->source_opts, &where, &f->source);
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return err == -ENOMEM ? err : 0;
	if (err < 0) {
		f->refused = true;
		s->stats.files_refused += err != -ENODATA;
	} else {
		note_lack(s, f);
	}
	return 0;
}

static int look_up(struct ap_symbolizer *s, const struct ap_symbol_file *file, bool data,
		   const uint64_t *addrs, size_t n, struct ap_symbol *ret)
{
	int (*find)(struct ap_source *, const uint64_t *, size_t, struct ap_answers *) =
		data ? ap_source_find_data : ap_source_find;
	struct file *f = file_of(s, file->key);
	_cleanup_free_ uint64_t *m = NULL;
	struct ap_answers **answers;
	size_t k = 0;
	int err;

	memset(ret, 0, n * sizeof(*ret));
	if (!f)
		return -ENOMEM;
	answers = data ? &f->data : &f->answers;
	f->used = ap_clock_mono_ns();
	trim(s, f, f->used);
	err = look_for_fetched(s, f);
	if (err == 0 && !*answers && !(*answers = ap_answers_new()))
		err = -ENOMEM;
	if (err == 0)
		err = missing(*answers, addrs, n, &m, &k);
	if (err == 0 && k > 0)
		err = open_source(s, f, file);
	if (err == 0 && k > 0 && f->source)
		err = find(f->source, m, k, *answers);
	if (err < 0)
		return err;
	s->stats.lookups += n;
	s->stats.hits += n - AP_MIN(k, n);
	collect(s, *answers, addrs, n, ret);
	return 0;
}

int ap_symbolizer_file(struct ap_symbolizer *s, const struct ap_symbol_file *file,
		       const uint64_t *addrs, size_t n, struct ap_symbol *ret)
{
	return look_up(s, file, false, addrs, n, ret);
}

int ap_symbolizer_data(struct ap_symbolizer *s, const struct ap_symbol_file *file,
		       const uint64_t *addrs, size_t n, struct ap_symbol *ret)
{
	return look_up(s, file, true, addrs, n, ret);
}

static int read_kallsyms(struct ap_symbolizer *s, uint64_t now)
{
	struct ap_kallsyms *k = NULL;
	struct ap_answers *fresh = ap_answers_new();

	if (!fresh)
		return -ENOMEM;
	s->kallsyms_err = ap_kallsyms_read(s->kallsyms_path, &k);
	s->kallsyms_ns = now;
	s->kallsyms_renew = s->kallsyms_renew ? AP_MIN(2 * s->kallsyms_renew, KALLSYMS_HOUR_NS)
					      : KALLSYMS_RENEW_NS;
	if (k) {
		ap_kallsyms_free(s->kallsyms);
		s->kallsyms = k;
	}
	ap_answers_free(s->kernel);
	s->kernel = fresh;
	return 0;
}

static int name_kernel(struct ap_symbolizer *s, const uint64_t *addrs, size_t n, size_t *ret_bad)
{
	_cleanup_buf_ struct ap_buf name = {0};
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		struct ap_symbol_level level = {0};
		bool found;

		ap_buf_clear(&name);
		found = s->kallsyms && ap_kallsyms_find(s->kallsyms, addrs[i], &name) == 0;
		*ret_bad += !found;
		level.name = ap_buf_view(&name);
		err = ap_answers_put(s->kernel, addrs[i], &level, found);
	}
	return err;
}

int ap_symbolizer_kernel(struct ap_symbolizer *s, const uint64_t *addrs, size_t n,
			 struct ap_symbol *ret)
{
	uint64_t now = ap_clock_mono_ns();
	size_t k = 0, bad = 0;
	int err = 0;

	memset(ret, 0, n * sizeof(*ret));
	if (!s->kernel || ap_answers_bytes(s->kernel) > s->cache_max)
		err = read_kallsyms(s, now);
	for (int attempt = 0; err == 0 && attempt < 2; attempt++) {
		_cleanup_free_ uint64_t *m = NULL;

		err = missing(s->kernel, addrs, n, &m, &k);
		if (err == 0)
			err = name_kernel(s, m, k, &bad);
		if (err < 0 || bad == 0 || now - s->kallsyms_ns < s->kallsyms_renew)
			break;
		bad = 0;
		err = read_kallsyms(s, now);
	}
	if (err < 0)
		return err;
	s->stats.lookups += n;
	s->stats.hits += n - AP_MIN(k, n);
	collect(s, s->kernel, addrs, n, ret);
	return 0;
}

static int name_data(struct ap_symbolizer *s, const uint64_t *addrs, size_t n)
{
	_cleanup_free_ struct ap_buf *names = calloc(n + 1, sizeof(*names));
	int err = names ? 0 : -ENOMEM;

	if (err == 0 && n)
		err = ap_kallsyms_objects(s->kallsyms_path, addrs, n, names);
	for (size_t i = 0; names && i < n; i++) {
		struct ap_symbol_level level = {.name = ap_buf_view(&names[i])};

		if (err != -ENOMEM)
			err = ap_answers_put(s->kernel_data, addrs[i], &level, level.name.n > 0);
		ap_buf_free(&names[i]);
	}
	return err;
}

int ap_symbolizer_kernel_data(struct ap_symbolizer *s, const uint64_t *addrs, size_t n,
			      struct ap_symbol *ret)
{
	_cleanup_free_ uint64_t *m = NULL;
	uint64_t now = ap_clock_mono_ns();
	size_t k = 0;
	int err;

	memset(ret, 0, n * sizeof(*ret));
	/* Modules come and go. */
	if (!s->kernel_data || now - s->kernel_data_ns >= KALLSYMS_HOUR_NS) {
		ap_answers_free(s->kernel_data);
		s->kernel_data = ap_answers_new();
		s->kernel_data_ns = now;
	}
	err = s->kernel_data ? missing(s->kernel_data, addrs, n, &m, &k) : -ENOMEM;
	if (err == 0)
		err = name_data(s, m, k);
	if (err == -ENOMEM)
		return err;
	s->stats.lookups += n;
	s->stats.hits += n - AP_MIN(k, n);
	collect(s, s->kernel_data, addrs, n, ret);
	return 0;
}

int ap_symbolizer_jit(struct ap_symbolizer *s, const struct ap_symbol_process *p,
		      const uint64_t *addrs, size_t n, struct ap_symbol *ret)
{
	memset(ret, 0, n * sizeof(*ret));
	ap_answers_free(s->jit_answers);
	s->jit_answers = ap_answers_new();
	if (!s->jit_answers ||
	    ap_jit_find(s->jit, p, ap_clock_mono_ns(), addrs, n, s->jit_answers) < 0)
		return -ENOMEM;
	s->stats.lookups += n;
	collect(s, s->jit_answers, addrs, n, ret);
	return 0;
}

void ap_symbolizer_rest(struct ap_symbolizer *s)
{
	uint64_t now = ap_clock_mono_ns();

	trim(s, NULL, now);
	ap_jit_trim(s->jit, now);
	ap_resident_release();
	malloc_trim(0);
}

int ap_symbolizer_kernel_status(struct ap_symbolizer *s, struct ap_error *err)
{
	/* Reading it all takes a while, and is for when a kernel address has to be named. */
	if (!s->kernel)
		s->kallsyms_err = ap_kallsyms_check(s->kallsyms_path);
	if (s->kallsyms_err == -EACCES)
		return ap_error_set(err, -EACCES,
				    "kernel functions cannot be named: %s hides the addresses; "
				    "run with CAP_SYSLOG and sysctl kernel.kptr_restrict at 0 or 1",
				    s->kallsyms_path);
	if (s->kallsyms_err < 0)
		return ap_error_set(err, s->kallsyms_err,
				    "kernel functions cannot be named: cannot read %s: %s",
				    s->kallsyms_path, ap_strerror(s->kallsyms_err));
	return 0;
}

void ap_symbolizer_get_stats(const struct ap_symbolizer *s, struct ap_symbolizer_stats *ret)
{
	*ret = s->stats;
	ret->jit_bytes = ap_jit_bytes(s->jit);
}
