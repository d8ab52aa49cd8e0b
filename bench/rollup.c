/* SPDX-License-Identifier: Apache-2.0 */
/* What sums by hour and day save long ranges, and cost: flame graphs of one and of all of 50 services with and
 * without them, the job that builds them, and bytes by table. AP_BENCH_DAYS days (1) of AP_BENCH_ROWS samples
 * (2,000,000) are made in the embedded store out of one batch of each service, in 200 segments a day. */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "aggregator/query/query.h"
#include "aggregator/store/parts.h"
#include "aggregator/store/rollup.h"
#include "aggregator/store/writer.h"
#include "bench.h"

enum { DAY_S = 86400, SEEDS = 1000, SEGMENTS_A_DAY = 200, QUERIES = 7 };

struct place {
	struct ap_store *store;
	struct ap_rollup *rollup;
	struct ap_query_engine *raw, *rolled;
	uint64_t segment, last_seed; /* the last ones, of all and of the seeds */
};

static void must(int r, const char *what, const struct ap_error *err)
{
	if (r < 0)
		bench_fail(what, err && err->msg[0] ? err->msg : ap_strerror(r));
}

static uint64_t setting(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

/* A batch of each service, on the day before all others: the stacks that its samples have. */
static void put_seeds(struct place *p, int64_t begin_s)
{
	struct ap_buffer_config bc = {0};
	struct ap_writer_options wo = {.store = p->store};
	struct ap_writer *w;

	must(ap_buffer_new(&bc, &wo.buffer), "buffer", NULL);
	must(ap_writer_start(&wo, &w), "writer", NULL);
	for (unsigned int i = 0; i < BENCH_SERVICES; i++) {
		struct ap_profile *profile =
			bench_profile(i, SEEDS, begin_s * (int64_t)AP_NSEC_PER_SEC, 10, i);
		struct ap_batch_meta meta = {.agent_id = "7e2d5c7e-8f4b-4f5e-9f43-0d1c2b3a4958",
					     .epoch = 1,
					     .sequence = i + 1,
					     .start_ns = profile->start_ns,
					     .end_ns = profile->end_ns};

		must(ap_buffer_add(wo.buffer, &profile, &meta), "buffer", NULL);
	}
	must(ap_writer_flush(w, UINT64_MAX), "flush", NULL);
	p->segment = p->last_seed = ap_buffer_watermark(wo.buffer);
	ap_writer_stop(w);
	ap_buffer_free(wo.buffer);
}

/* A day of samples, each seed as often as it takes, and the names that they need. */
static void put_day(struct place *p, int64_t begin_s, uint64_t rows)
{
	static const char *const dictionaries[] = {"stacks", "frames"};
	struct ap_error err = {0};

	must(ap_store_exec(
		     p->store, &err,
		     "INSERT INTO samples SELECT toDateTime(%lld + rand(r) %% %d) AS time, * EXCEPT "
		     "(time, segment), %llu + 1 + rand(r + 1) %% %d AS segment FROM samples ARRAY "
		     "JOIN range(%llu) AS r WHERE samples.segment <= %llu",
		     (long long)begin_s, DAY_S, (unsigned long long)p->segment, SEGMENTS_A_DAY,
		     (unsigned long long)(rows / (BENCH_SERVICES * SEEDS)),
		     (unsigned long long)p->last_seed),
	     "samples", &err);
	for (size_t i = 0; i < AP_ARRAY_SIZE(dictionaries); i++)
		must(ap_store_exec(
			     p->store, &err,
			     "INSERT INTO %s SELECT toDate(%lld) AS day, * EXCEPT day FROM %s "
			     "WHERE %s.day = (SELECT min(day) FROM %s)",
			     dictionaries[i], (long long)(begin_s / DAY_S), dictionaries[i],
			     dictionaries[i], dictionaries[i]),
		     "dictionaries", &err);
	p->segment += SEGMENTS_A_DAY;
}

static void open_place(struct place *p, const char *folder)
{
	struct ap_store_options o = {.path = folder, .library = getenv("AP_CHDB_LIBRARY")};
	struct ap_query_engine_options q = {0};
	struct ap_error err = {0};

	must(ap_store_open(&o, &p->store, &err), "store", &err);
	must(ap_rollup_new(&(struct ap_rollup_options){.store = p->store}, &p->rollup, &err),
	     "rollups", &err);
	q.store = p->store;
	must(ap_query_engine_new(&q, &p->raw), "queries", NULL);
	q.rollup = p->rollup;
	must(ap_query_engine_new(&q, &p->rolled), "queries", NULL);
}

static void build(struct place *p, enum ap_rollup_level level, const char *name)
{
	uint64_t begin = ap_clock_mono_ns(), cpu = ap_clock_cpu_ns();
	struct ap_rollup_stats stats;
	struct ap_error err = {0};

	must(ap_rollup_run(p->rollup, level, p->segment, &err), name, &err);
	ap_rollup_get_stats(p->rollup, &stats);
	bench_report(name, "\"ranges\":%" PRIu64 ",\"ms\":%.0f,\"cpu_ms\":%.0f",
		     stats.ranges[level], (double)(ap_clock_mono_ns() - begin) / 1e6,
		     (double)(ap_clock_cpu_ns() - cpu) / 1e6);
}

static void report_bytes(struct place *p)
{
	struct ap_store_days days = {0};
	struct ap_error err = {0};
	const char *table = "";
	uint64_t rows = 0, bytes = 0, raw = 0, hours = 0;

	must(ap_store_exec(p->store, &err, "OPTIMIZE TABLE samples FINAL"), "merges", &err);
	must(ap_store_read_days(p->store, &days, &err), "parts", &err);
	for (size_t i = 0; i <= days.v.n; i++) {
		const struct ap_store_day *d = i < days.v.n ? &days.v.p[i] : NULL;

		if (*table && (!d || strcmp(table, d->table) != 0)) {
			bench_report("rollup_bytes",
				     "\"table\":\"%s\",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64,
				     table, rows, bytes);
			rows = bytes = 0;
		}
		if (d && strcmp(d->table, "samples") == 0)
			raw += d->rows;
		if (d && strcmp(d->table, "samples_1h") == 0)
			hours += d->rows;
		if (d) {
			table = d->table;
			rows += d->rows;
			bytes += d->bytes;
		}
	}
	ap_rollup_set_rows(p->rollup, AP_ROLLUP_SAMPLES, raw, hours);
	ap_store_days_free(&days);
}

/* How long it took, and how much CPU time. */
static void ask(struct ap_query_engine *e, const struct ap_query *q, uint64_t *ret_samples,
		uint64_t *ret_ns, uint64_t *ret_cpu)
{
	uint64_t begin = ap_clock_mono_ns(), cpu = ap_clock_cpu_ns();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_coverage cov;
	struct ap_error err = {0};

	must(ap_query_flamegraph(e, q, &t, &cov, &err), "flamegraph", &err);
	*ret_samples = cov.samples;
	*ret_ns = ap_clock_mono_ns() - begin;
	*ret_cpu = ap_clock_cpu_ns() - cpu;
}

/* In turns, so that both meet the same machine. */
static void compare(struct place *p, const char *name, const char *selector, int64_t from_s,
		    int64_t to_s)
{
	struct ap_query q = {.from_ms = from_s * 1000,
			     .to_ms = to_s * 1000,
			     .type = ap_profile_type_find(AP_STR("cpu:nanoseconds"))};
	uint64_t ns[2][QUERIES], cpu[2][QUERIES], samples[2];
	struct ap_filter *filter = NULL;
	struct ap_error err = {0};

	must(ap_filter_parse(ap_str_of(selector), &filter, NULL, &err), "selector", &err);
	q.filter = filter;
	for (int i = 0; i < QUERIES; i++) {
		ask(p->raw, &q, &samples[0], &ns[0][i], &cpu[0][i]);
		ask(p->rolled, &q, &samples[1], &ns[1][i], &cpu[1][i]);
	}
	ap_filter_free(filter);
	if (samples[0] != samples[1])
		bench_fail(name, "the answers differ");
	bench_report(name,
		     "\"samples\":%" PRIu64 ",\"raw_p50_ms\":%.1f,\"rolled_p50_ms\":%.1f,"
		     "\"raw_cpu_ms\":%.1f,\"rolled_cpu_ms\":%.1f",
		     samples[0], bench_quantile_ms(ns[0], QUERIES, 0.5),
		     bench_quantile_ms(ns[1], QUERIES, 0.5),
		     bench_quantile_ms(cpu[0], QUERIES, 0.5),
		     bench_quantile_ms(cpu[1], QUERIES, 0.5));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void bench_rollup(void)
{
	uint64_t days = setting("AP_BENCH_DAYS", 1), rows = setting("AP_BENCH_ROWS", 2000000);
	int64_t begin = 20000ll * DAY_S, end = begin + (int64_t)days * DAY_S - 1234;
	static const char one[] = "{service=\"service-7\"}";
	char folder[] = "/tmp/aperture-bench-XXXXXX";
	struct place p = {0};

	if (!mkdtemp(folder))
		bench_fail("rollup", "no temporary folder");
	open_place(&p, folder);
	put_seeds(&p, begin - DAY_S);
	for (uint64_t i = 0; i < days; i++)
		put_day(&p, begin + (int64_t)i * DAY_S, rows);
	build(&p, AP_ROLLUP_HOUR, "rollup_build_hours");
	build(&p, AP_ROLLUP_DAY, "rollup_build_days");
	report_bytes(&p);
	compare(&p, "flamegraph_one_1h", one, end - 3600, end);
	compare(&p, "flamegraph_all_1h", "", end - 3600, end);
	compare(&p, "flamegraph_one_24h", one, end - 80000, end);
	compare(&p, "flamegraph_all_24h", "", end - 80000, end);
	compare(&p, "flamegraph_one_whole", one, begin + 1234, end);
	compare(&p, "flamegraph_all_whole", "", begin + 1234, end);
	ap_query_engine_free(p.raw);
	ap_query_engine_free(p.rolled);
	ap_rollup_free(p.rollup);
	ap_store_close(p.store);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
