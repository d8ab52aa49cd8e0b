/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's path without the network: the bytes of Push requests through validation, buffer
 * and writer into ClickHouse, until all is stored; then queries over it: the embedded one, or with
 * AP_CLICKHOUSE_URL (and _USER, _PASSWORD_FILE, _DATABASE) a server, whose database is to be empty and
 * is left as it is then. The requests are made beforehand, so that only the server's side is timed. */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "aggregator/ingest/ingest.h"
#include "aggregator/query/query.h"
#include "aggregator/store/writer.h"
#include "bench.h"

enum { BATCHES_MAX = 100, QUERIES = 15 };

/* A data set: its batches, ten seconds each, and what its lines are called. */
struct set {
	const char *name;
	uint32_t batches, rows_per_batch;
};

struct server {
	struct ap_store *store;
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_ingest *ingest;
	struct ap_writer *writer;
	struct ap_query_engine *queries;
};

static void must(int r, const char *what, const struct ap_error *err)
{
	if (r < 0)
		bench_fail(what, err && err->msg[0] ? err->msg : ap_strerror(r));
}

static void server_start(struct server *s, const char *folder)
{
	struct ap_store_options o = {
		.driver = getenv("AP_CLICKHOUSE_URL") ? "server" : "embedded",
		.path = folder,
		.library = getenv("AP_CHDB_LIBRARY"),
		.url = getenv("AP_CLICKHOUSE_URL"),
		.user = getenv("AP_CLICKHOUSE_USER"),
		.password_file = getenv("AP_CLICKHOUSE_PASSWORD_FILE"),
		.database = getenv("AP_CLICKHOUSE_DATABASE"),
	};
	struct ap_buffer_config bc = {0};
	struct ap_ingest_config ic = {0};
	struct ap_writer_options wo = {0};
	struct ap_query_engine_options qo = {0};
	struct ap_error err = {0};

	must(ap_store_open(&o, &s->store, &err), "store", &err);
	bc.last_segment = s->store->segment_base;
	must(ap_buffer_new(&bc, &s->buffer), "buffer", NULL);
	must(ap_agents_new(0, &s->agents), "agents", NULL);
	ic.buffer = s->buffer;
	ic.agents = s->agents;
	must(ap_ingest_new(&ic, &s->ingest), "ingest", NULL);
	wo.store = s->store;
	wo.buffer = s->buffer;
	must(ap_writer_start(&wo, &s->writer), "writer", NULL);
	qo.store = s->store;
	qo.buffer = s->buffer;
	must(ap_query_engine_new(&qo, &s->queries), "queries", NULL);
}

static void server_stop(struct server *s)
{
	ap_query_engine_free(s->queries);
	ap_buffer_close(s->buffer);
	ap_writer_stop(s->writer);
	ap_ingest_free(s->ingest);
	ap_agents_free(s->agents);
	ap_buffer_free(s->buffer);
	ap_store_close(s->store);
}

static void make_requests(const struct set *set, struct ap_buf *requests, int64_t start_ns)
{
	struct ap_batch_meta meta = {.agent_id = "7e2d5c7e-8f4b-4f5e-9f43-0d1c2b3a4958",
				     .epoch = 1};

	for (uint64_t i = 0; i < set->batches; i++) {
		_cleanup_(ap_cleanup_profile) struct ap_profile *p =
			bench_profile(i % BENCH_SERVICES, set->rows_per_batch,
				      start_ns + (int64_t)(i * 10 * AP_NSEC_PER_SEC), 10, i);

		snprintf(meta.host, sizeof(meta.host), "host-%u", (unsigned int)(i % 20));
		meta.sequence = i + 1;
		meta.start_ns = p->start_ns;
		meta.end_ns = p->end_ns;
		must(ap_batch_encode(p, &meta, &requests[i]), "encode", NULL);
	}
}

static void ingest(struct server *s, const struct set *set, const struct ap_buf *requests)
{
	uint64_t begin = ap_clock_mono_ns(), cpu = ap_clock_cpu_ns(), ack[BATCHES_MAX], all;
	uint32_t rows = set->batches * set->rows_per_batch;
	struct ap_push_result result;
	struct rusage usage;
	char name[64];

	for (uint32_t i = 0; i < set->batches; i++) {
		uint64_t start = ap_clock_mono_ns();

		ap_ingest_push(s->ingest, ap_buf_view(&requests[i]), &result);
		if (result.status != AP_PUSH_OK)
			bench_fail("push", result.text);
		ack[i] = ap_clock_mono_ns() - start;
	}
	must(ap_writer_flush(s->writer, UINT64_MAX), "flush", NULL);
	all = ap_clock_mono_ns() - begin;
	getrusage(RUSAGE_SELF, &usage);
	snprintf(name, sizeof(name), "ingest_%s", set->name);
	bench_report(name,
		     "\"rows\":%" PRIu32 ",\"rows_per_s\":%.0f,\"cpu_s\":%.2f,"
		     "\"push_p50_ms\":%.2f,\"push_p99_ms\":%.2f,\"peak_rss_mib\":%ld",
		     rows, rows / ((double)all / 1e9), (double)(ap_clock_cpu_ns() - cpu) / 1e9,
		     bench_quantile_ms(ack, set->batches, 0.5),
		     bench_quantile_ms(ack, set->batches, 0.99), usage.ru_maxrss / 1024);
}

/* One question of the dashboard: its answer's size, after it is thrown away. */
typedef uint32_t (*ask_fn)(struct server *s, const struct ap_query *q);

static uint32_t ask_flamegraph(struct server *s, const struct ap_query *q)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_coverage cov;
	struct ap_error err = {0};

	must(ap_query_flamegraph(s->queries, q, &t, &cov, &err), "flamegraph", &err);
	return t->n;
}

static uint32_t ask_top(struct server *s, const struct ap_query *q)
{
	_cleanup_(ap_cleanup_top) struct ap_top *t = NULL;
	struct ap_coverage cov;
	struct ap_error err = {0};

	must(ap_query_top(s->queries, q, AP_TOP_SELF, 100, &t, &cov, &err), "top", &err);
	return t->n;
}

static uint32_t ask_series(struct server *s, const struct ap_query *q)
{
	_cleanup_(ap_cleanup_series) struct ap_series *series = NULL;
	struct ap_coverage cov;
	struct ap_error err = {0};

	must(ap_query_series(s->queries, q, AP_STR("service"), 0, 0, &series, &cov, &err), "series",
	     &err);
	return series->n_rows;
}

static uint32_t ask_services(struct server *s, const struct ap_query *q)
{
	_cleanup_(ap_cleanup_services) struct ap_services *services = NULL;
	struct ap_coverage cov;
	struct ap_error err = {0};

	must(ap_query_services(s->queries, q, &services, &cov, &err), "services", &err);
	return services->n;
}

static void query(struct server *s, const char *name, ask_fn ask, const char *selector,
		  int64_t from_ms, int64_t to_ms)
{
	struct ap_query q = {.from_ms = from_ms,
			     .to_ms = to_ms,
			     .type = ap_profile_type_find(AP_STR("cpu:nanoseconds"))};
	struct ap_filter *filter = NULL;
	struct ap_error err = {0};
	uint64_t ns[QUERIES], cpu[QUERIES];
	uint32_t rows = 0;
	double first;

	must(ap_filter_parse(ap_str_of(selector), &filter, NULL, &err), "selector", &err);
	q.filter = filter;
	for (int i = 0; i < QUERIES; i++) {
		uint64_t begin = ap_clock_mono_ns(), cpu_begin = ap_clock_cpu_ns();

		rows = ask(s, &q);
		ns[i] = ap_clock_mono_ns() - begin;
		cpu[i] = ap_clock_cpu_ns() - cpu_begin;
	}
	ap_filter_free(filter);
	first = (double)ns[0] / 1e6;
	bench_report(name,
		     "\"rows\":%" PRIu32 ",\"first_ms\":%.2f,\"p50_ms\":%.2f,\"max_ms\":%.2f,"
		     "\"cpu_p50_ms\":%.2f",
		     rows, first, bench_quantile_ms(ns, QUERIES, 0.5),
		     bench_quantile_ms(ns, QUERIES, 1), bench_quantile_ms(cpu, QUERIES, 0.5));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void measure(const struct set *set)
{
	static const struct {
		const char *name, *selector;
		ask_fn ask;
	} questions[] = {
		{"flamegraph_one_service", "{service=\"service-7\"}", ask_flamegraph},
		{"flamegraph_all_services", "", ask_flamegraph},
		{"top_all_services", "", ask_top},
		{"series_by_service", "", ask_series},
		{"services", "", ask_services},
	};
	int64_t now = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC * (int64_t)AP_NSEC_PER_SEC;
	int64_t start = now - set->batches * 10ll * (int64_t)AP_NSEC_PER_SEC;
	char folder[] = "/tmp/aperture-bench-XXXXXX", name[64];
	struct ap_buf *requests = calloc(set->batches, sizeof(*requests));
	struct server s = {0};

	if (!requests || !mkdtemp(folder))
		bench_fail("store", "no temporary folder");
	make_requests(set, requests, start);
	server_start(&s, folder);
	ingest(&s, set, requests);
	for (size_t i = 0; i < AP_ARRAY_SIZE(questions); i++) {
		snprintf(name, sizeof(name), "%s_%s", questions[i].name, set->name);
		query(&s, name, questions[i].ask, questions[i].selector, start / 1000000,
		      now / 1000000);
	}
	server_stop(&s);
	for (uint32_t i = 0; i < set->batches; i++)
		ap_buf_free(&requests[i]);
	free(requests);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void bench_store(void)
{
	static const struct set sets[] = {{"5k", 50, 100}, {"1m", 100, 10000}};

	for (size_t i = 0; i < AP_ARRAY_SIZE(sets); i++)
		measure(&sets[i]);
}
