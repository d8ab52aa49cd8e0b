/* SPDX-License-Identifier: Apache-2.0 */
#include "http/prometheus.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"

const double ap_prom_latency_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
					 0.05,	 0.1,	  0.25,	  0.5,	 1,	 2.5,	5,    10};
const size_t ap_prom_latency_bound_count = AP_ARRAY_SIZE(ap_prom_latency_bounds);

static bool name_ok(const char *s, bool colon)
{
	if (!*s || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++) {
		bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_';

		if (!letter && !(*s >= '0' && *s <= '9') && !(colon && *s == ':'))
			return false;
	}
	return true;
}

static void fail(struct ap_prom *p, int err)
{
	if (p->err == 0)
		p->err = err;
}

/* HELP escapes the backslash and the newline, a label's value the quotation mark as well. What is
 * not UTF-8 is replaced a byte at a time, since the format is UTF-8. */
static void escaped(struct ap_buf *b, struct ap_str s, bool quote)
{
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if (c == '\n') {
			ap_buf_puts(b, "\\n");
		} else if (c == '\\' || (quote && c == '"')) {
			ap_buf_byte(b, '\\');
			ap_buf_byte(b, c);
		} else if (len <= s.n - i && ap_str_utf8_ok((struct ap_str){s.p + i, len})) {
			ap_buf_append(b, s.p + i, len);
		} else {
			ap_buf_puts(b, "\xef\xbf\xbd");
			len = 1;
		}
		i += len;
	}
}

void ap_prom_family(struct ap_prom *p, const char *name, enum ap_prom_kind kind, const char *help)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram", "summary"};
	bool total = ap_str_ends(ap_str_of(name), AP_STR("_total"));

	if (!name_ok(name, true) || total != (kind == AP_PROM_COUNTER) ||
	    p->n_families == AP_PROM_FAMILIES_MAX)
		return fail(p, -EINVAL);
	for (size_t i = 0; i < p->n_families; i++) {
		if (strcmp(p->families[i], name) == 0)
			return fail(p, -EINVAL);
	}
	p->families[p->n_families++] = name;
	p->kind = kind;
	ap_buf_printf(p->out, "# HELP %s ", name);
	escaped(p->out, ap_str_of(help), false);
	ap_buf_printf(p->out, "\n# TYPE %s %s\n", name, kinds[kind]);
}

static void number(struct ap_buf *b, double v)
{
	if (isnan(v))
		ap_buf_puts(b, "NaN");
	else if (isinf(v))
		ap_buf_puts(b, v > 0 ? "+Inf" : "-Inf");
	else
		ap_buf_printf(b, "%.17g", v);
}

/* The sample's name and labels; `le` adds a bucket's bound. */
static bool head(struct ap_prom *p, const char *suffix, const struct ap_prom_label *labels,
		 size_t n, const double *le)
{
	if (p->n_families == 0) {
		fail(p, -EINVAL);
		return false;
	}
	ap_buf_printf(p->out, "%s%s", p->families[p->n_families - 1], suffix);
	if (n == 0 && !le)
		return true;
	ap_buf_byte(p->out, '{');
	for (size_t i = 0; i < n; i++) {
		if (!name_ok(labels[i].name, false)) {
			fail(p, -EINVAL);
			return false;
		}
		ap_buf_printf(p->out, "%s%s=\"", i ? "," : "", labels[i].name);
		escaped(p->out, labels[i].value, true);
		ap_buf_byte(p->out, '"');
	}
	if (le) {
		char text[32];

		/* Shortest form, the one that Prometheus itself gives ("0.1", not its 17 digits). */
		snprintf(text, sizeof(text), isinf(*le) ? "+Inf" : "%g", *le);
		ap_buf_printf(p->out, "%sle=\"%s\"", n ? "," : "", text);
	}
	ap_buf_byte(p->out, '}');
	return true;
}

void ap_prom_u64(struct ap_prom *p, const struct ap_prom_label *labels, size_t n, uint64_t v)
{
	if (head(p, "", labels, n, NULL))
		ap_buf_printf(p->out, " %llu\n", (unsigned long long)v);
}

void ap_prom_double(struct ap_prom *p, const struct ap_prom_label *labels, size_t n, double v)
{
	if (!head(p, "", labels, n, NULL))
		return;
	ap_buf_byte(p->out, ' ');
	number(p->out, v);
	ap_buf_byte(p->out, '\n');
}

static void sum_and_count(struct ap_prom *p, const struct ap_prom_label *labels, size_t n,
			  uint64_t count, uint64_t sum_ns)
{
	if (head(p, "_sum", labels, n, NULL)) {
		ap_buf_byte(p->out, ' ');
		number(p->out, (double)sum_ns / (double)AP_NSEC_PER_SEC);
		ap_buf_byte(p->out, '\n');
	}
	if (head(p, "_count", labels, n, NULL))
		ap_buf_printf(p->out, " %llu\n", (unsigned long long)count);
}

void ap_prom_summary(struct ap_prom *p, const struct ap_prom_label *labels, size_t n,
		     uint64_t count, uint64_t sum_ns)
{
	if (p->kind != AP_PROM_SUMMARY)
		return fail(p, -EINVAL);
	sum_and_count(p, labels, n, count, sum_ns);
}

void ap_prom_histogram_init(struct ap_prom_histogram *h, const double *bounds, size_t n)
{
	*h = (struct ap_prom_histogram){
		.bounds = bounds,
		.n_bounds = AP_MIN(n, (size_t)AP_PROM_BUCKETS_MAX),
	};
}

void ap_prom_histogram_observe(struct ap_prom_histogram *h, uint64_t ns)
{
	double seconds = (double)ns / (double)AP_NSEC_PER_SEC;
	size_t i = 0;

	while (i < h->n_bounds && seconds > h->bounds[i])
		i++;
	__atomic_fetch_add(&h->counts[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->sum_ns, ns, __ATOMIC_RELAXED);
}

void ap_prom_histogram_write(struct ap_prom *p, const struct ap_prom_label *labels, size_t n,
			     const struct ap_prom_histogram *h)
{
	uint64_t sum = __atomic_load_n(&h->sum_ns, __ATOMIC_RELAXED), count = 0;

	if (p->kind != AP_PROM_HISTOGRAM)
		return fail(p, -EINVAL);
	for (size_t i = 0; i <= h->n_bounds; i++) {
		double le = i < h->n_bounds ? h->bounds[i] : INFINITY;

		/* _count is the last bucket by construction, whatever is observed meanwhile. */
		count += __atomic_load_n(&h->counts[i], __ATOMIC_RELAXED);
		if (head(p, "_bucket", labels, n, &le))
			ap_buf_printf(p->out, " %llu\n", (unsigned long long)count);
	}
	sum_and_count(p, labels, n, count, sum);
}

/* Resident pages, from /proc/self/statm. */
static bool read_rss(uint64_t *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str rest;
	uint64_t pages;

	if (ap_read_file(AT_FDCWD, "/proc/self/statm", 4096, &b) < 0)
		return false;
	rest = ap_buf_view(&b);
	ap_str_cut(&rest, ' ');
	if (ap_parse_u64(ap_str_cut(&rest, ' '), &pages) < 0)
		return false;
	*ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

/* Unix seconds at which the process began: field 22 of /proc/self/stat, in ticks since boot. */
static bool read_start(double *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str rest;
	struct timespec boot;
	uint64_t ticks;
	double age;

	if (ap_read_file(AT_FDCWD, "/proc/self/stat", 4096, &b) < 0)
		return false;
	rest = ap_buf_view(&b);
	/* The second field, the name in brackets, may itself hold blanks and brackets. */
	for (size_t i = rest.n; i-- > 0;) {
		if (rest.p[i] == ')') {
			rest = (struct ap_str){rest.p + i + 1, rest.n - i - 1};
			break;
		}
	}
	rest = ap_str_trim(rest);
	for (int field = 3; field < 22; field++)
		ap_str_cut(&rest, ' ');
	if (ap_parse_u64(ap_str_cut(&rest, ' '), &ticks) < 0)
		return false;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	age = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
	      (double)ticks / (double)sysconf(_SC_CLK_TCK);
	*ret = (double)ap_clock_unix_ns() / 1e9 - age;
	return true;
}

static bool count_fds(uint64_t *ret)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return false;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	*ret = n - 1; /* the one that reads the folder */
	return true;
}

void ap_prom_process(struct ap_prom *p, const char *program)
{
	uint64_t v;
	double start;

	ap_prom_family(p, "aperture_build_info", AP_PROM_GAUGE,
		       "Always 1; the version is a label.");
	ap_prom_u64(p,
		    AP_PROM_LABELS({"program", ap_str_of(program)},
				   {"version", AP_STR(APERTURE_VERSION)}),
		    1);
	ap_prom_family(p, "process_cpu_seconds_total", AP_PROM_COUNTER,
		       "User and system CPU time of this process.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)ap_clock_cpu_ns() / 1e9);
	if (read_rss(&v)) {
		ap_prom_family(p, "process_resident_memory_bytes", AP_PROM_GAUGE,
			       "Resident memory of this process.");
		ap_prom_u64(p, AP_PROM_NO_LABELS, v);
	}
	if (read_start(&start)) {
		ap_prom_family(p, "process_start_time_seconds", AP_PROM_GAUGE,
			       "When this process began, Unix time.");
		ap_prom_double(p, AP_PROM_NO_LABELS, start);
	}
	if (count_fds(&v)) {
		ap_prom_family(p, "process_open_fds", AP_PROM_GAUGE, "Open file descriptors.");
		ap_prom_u64(p, AP_PROM_NO_LABELS, v);
	}
}

int ap_prom_error(const struct ap_prom *p)
{
	return p->err ? p->err : ap_buf_error(p->out);
}
