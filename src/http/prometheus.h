/* SPDX-License-Identifier: Apache-2.0 */
/* Writes metrics in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 *	struct ap_prom p = {.out = &buf};
 *	ap_prom_family(&p, "aperture_push_total", AP_PROM_COUNTER, "Batches pushed, by answer.");
 *	ap_prom_u64(&p, AP_PROM_LABELS({"status", AP_STR("ok")}), 12);
 *	return ap_prom_error(&p);
 *
 * The shape of the calls keeps the output valid: a family's HELP and TYPE come once, its samples
 * directly below. What would still be invalid (a counter not ending in _total, a family given
 * twice, a malformed name) is a sticky -EINVAL.
 */
#ifndef AP_HTTP_PROMETHEUS_H
#define AP_HTTP_PROMETHEUS_H

#include "base/buf.h"

#define AP_PROM_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define AP_PROM_FAMILIES_MAX 128
#define AP_PROM_BUCKETS_MAX  24

enum ap_prom_kind { AP_PROM_COUNTER, AP_PROM_GAUGE, AP_PROM_HISTOGRAM, AP_PROM_SUMMARY };

struct ap_prom_label {
	const char *name;
	struct ap_str value; /* any bytes; escaped, and what is not UTF-8 becomes U+FFFD */
};

struct ap_prom {
	struct ap_buf *out;
	const char *families[AP_PROM_FAMILIES_MAX]; /* names so far; the strings are borrowed */
	size_t n_families;
	enum ap_prom_kind kind; /* of the family in hand */
	int err;
};

/* Two arguments, (labels, n), from a list of braces; AP_PROM_NO_LABELS for none. */
#define AP_PROM_LABELS(...)                                            \
	((const struct ap_prom_label[]){__VA_ARGS__}),                 \
		(sizeof((const struct ap_prom_label[]){__VA_ARGS__}) / \
		 sizeof(struct ap_prom_label))
#define AP_PROM_NO_LABELS NULL, 0

void ap_prom_family(struct ap_prom *p, const char *name, enum ap_prom_kind kind, const char *help);
void ap_prom_u64(struct ap_prom *p, const struct ap_prom_label *labels, size_t n, uint64_t v);
void ap_prom_double(struct ap_prom *p, const struct ap_prom_label *labels, size_t n, double v);

/* Durations of which only the number and the sum are kept: a summary without quantiles. */
void ap_prom_summary(struct ap_prom *p, const struct ap_prom_label *labels, size_t n,
		     uint64_t count, uint64_t sum_ns);

/* A histogram of durations. Any threads may observe while one writes it out. */
struct ap_prom_histogram {
	const double *bounds; /* upper bounds in seconds, ascending; +Inf is implied */
	size_t n_bounds;      /* at most AP_PROM_BUCKETS_MAX */
	uint64_t counts[AP_PROM_BUCKETS_MAX + 1]; /* per bucket, not cumulated; the last is +Inf */
	uint64_t sum_ns;
};

/* 0.1 ms to 10 s, for what should take milliseconds. */
extern const double ap_prom_latency_bounds[];
extern const size_t ap_prom_latency_bound_count;

void ap_prom_histogram_init(struct ap_prom_histogram *h, const double *bounds, size_t n);
void ap_prom_histogram_observe(struct ap_prom_histogram *h, uint64_t ns);
void ap_prom_histogram_write(struct ap_prom *p, const struct ap_prom_label *labels, size_t n,
			     const struct ap_prom_histogram *h);

/* aperture_build_info{program,version}, and of this process what every Prometheus client gives:
 * process_cpu_seconds_total, process_resident_memory_bytes, process_start_time_seconds,
 * process_open_fds. */
void ap_prom_process(struct ap_prom *p, const char *program);

/* 0, -EINVAL or -ENOMEM. */
int ap_prom_error(const struct ap_prom *p);

#endif
