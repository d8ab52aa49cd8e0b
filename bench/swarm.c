/* SPDX-License-Identifier: Apache-2.0 */
/* Many agents in one process: each has an id, sequences and, unless they are to share, a connection of its own,
 * and pushes batches with the agent's own client until the aggregator has acknowledged each. Prints one JSON line
 * of what that took. The batches of one service share their dictionaries; their rows differ.
 *
 * A thread serves many agents in turn, so a slow answer makes those behind it late: `late_p99_ms` tells. */
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/config.h"
#include "bench.h"
#include "wire/batch.h"
#include "wire/client.h"

#define METHOD	   "/aperture.aggregator.v1.Aggregator/Push"
#define TIMEOUT_NS (30 * AP_NSEC_PER_SEC)

struct settings {
	char *server;
	uint64_t agents, epoch, batches, rows, connections, threads, interval_ns, span_ns;
	bool prepare;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct ap_option options[] = {
	{.name = "server",
	 .group = "Load",
	 .type = AP_OPT_STRING,
	 .metavar = "HOST:PORT",
	 .value = "127.0.0.1:50051",
	 .help = "the aggregator",
	 .offset = FIELD(server)},
	{.name = "agents",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "50",
	 .min = 1,
	 .max = 100000,
	 .help = "how many there are",
	 .offset = FIELD(agents)},
	{.name = "epoch",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "1",
	 .min = 1,
	 .max = 1000000,
	 .help = "which start of theirs it is: what they pushed at an earlier one is not pushed again",
	 .offset = FIELD(epoch)},
	{.name = "batches",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "40",
	 .min = 1,
	 .max = 1000000,
	 .help = "that each of them pushes",
	 .offset = FIELD(batches)},
	{.name = "rows",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "10000",
	 .min = 1,
	 .max = 1000000,
	 .help = "of a batch",
	 .offset = FIELD(rows)},
	{.name = "connections",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "0",
	 .help = "that the agents share; 0: each has its own",
	 .offset = FIELD(connections)},
	{.name = "threads",
	 .group = "Load",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "16",
	 .min = 1,
	 .max = 4096,
	 .help = "pushes under way at once",
	 .offset = FIELD(threads)},
	{.name = "interval",
	 .group = "Load",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "0",
	 .help = "between an agent's batches; 0: as soon as the last one was acknowledged",
	 .offset = FIELD(interval_ns)},
	{.name = "span",
	 .group = "Load",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "0",
	 .help = "the past that an agent's batches tell of, up to now; 0: the last ten seconds each",
	 .offset = FIELD(span_ns)},
	{.name = "prepare",
	 .group = "Load",
	 .type = AP_OPT_BOOL,
	 .help = "make all batches before the first is pushed",
	 .offset = FIELD(prepare)},
};

static const struct ap_program program = {
	.name = "swarm",
	.section = "swarm",
	.summary = "pushes made-up profiles as many agents do",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

/* The profile that all batches of a service are made of. */
struct service {
	pthread_mutex_t lock; /* guards all of it */
	struct ap_profile *profile;
	uint32_t *stacks; /* of its rows as they were made, to draw from */
	uint64_t random;
};

struct swarm {
	struct settings set;
	struct service services[BENCH_SERVICES];
	struct ap_client **clients;
	struct ap_buf *prepared; /* by agent and batch; NULL: made when they are due */
	int64_t now_ns;		 /* Unix, whole seconds: where the span ends */
	uint64_t begin_ns;	 /* monotonic */
};

/* What a thread measured. */
struct worker {
	pthread_t thread;
	struct swarm *swarm;
	uint64_t number;
	uint64_t *ack_ns, *late_ns; /* of each batch */
	size_t n;
	uint64_t pushed_back, failures, bytes;
};

static void must(int r, const char *what)
{
	if (r < 0)
		bench_fail(what, ap_strerror(r));
}

static void service_init(struct service *s, unsigned int number, uint32_t rows)
{
	pthread_mutex_init(&s->lock, NULL);
	s->random = number;
	s->profile = bench_profile(number, rows, 0, 1, number);
	s->stacks = calloc(rows, sizeof(*s->stacks));
	if (!s->stacks)
		bench_fail("service", "out of memory");
	for (uint32_t i = 0; i < rows; i++)
		s->stacks[i] = s->profile->samples.p[i].stack;
}

static void service_free(struct service *s)
{
	ap_profile_free(s->profile);
	free(s->stacks);
	pthread_mutex_destroy(&s->lock);
}

/* When an agent's batch begins, in Unix nanoseconds, and for how many seconds it is. */
static int64_t time_of(const struct swarm *w, uint64_t batch, uint32_t *ret_seconds)
{
	uint64_t seconds = w->set.span_ns / AP_NSEC_PER_SEC / w->set.batches;

	if (!w->set.span_ns) {
		*ret_seconds = 10;
		return (ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC - 10) *
		       (int64_t)AP_NSEC_PER_SEC;
	}
	*ret_seconds = (uint32_t)AP_MAX(seconds, 1u);
	return w->now_ns - (int64_t)((w->set.batches - batch) * *ret_seconds * AP_NSEC_PER_SEC);
}

/* Appends the bytes of the agent's batch. */
static void make_request(struct swarm *w, uint64_t agent, uint64_t batch, struct ap_buf *out)
{
	struct service *s = &w->services[agent % BENCH_SERVICES];
	struct ap_batch_meta meta = {.epoch = w->set.epoch, .sequence = batch + 1, .cpus = 2};
	uint32_t seconds;
	int r;

	snprintf(meta.agent_id, sizeof(meta.agent_id), "5aa70000-0000-4000-8000-%012llx",
		 (unsigned long long)agent);
	snprintf(meta.host, sizeof(meta.host), "host-%llu", (unsigned long long)agent);
	meta.start_ns = time_of(w, batch, &seconds);
	meta.end_ns = meta.start_ns + seconds * (int64_t)AP_NSEC_PER_SEC;
	pthread_mutex_lock(&s->lock);
	meta.period_ns = s->profile->period_ns;
	for (size_t i = 0; i < s->profile->samples.n; i++) {
		struct ap_sample *row = &s->profile->samples.p[i];

		row->time_ns = meta.start_ns + (int64_t)(i % seconds * AP_NSEC_PER_SEC);
		row->stack = s->stacks[bench_random(&s->random) % s->profile->samples.n];
	}
	r = ap_batch_encode(s->profile, &meta, out);
	pthread_mutex_unlock(&s->lock);
	must(r, "encode");
}

static void wait_until(uint64_t mono_ns)
{
	const struct timespec t = {(time_t)(mono_ns / AP_NSEC_PER_SEC),
				   (long)(mono_ns % AP_NSEC_PER_SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* One try: whether the batch was acknowledged, or for how long to wait. */
static bool try_push(struct worker *k, struct ap_client *client, struct ap_str request,
		     uint64_t *ret_wait_ns)
{
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_push_result result = {0};
	struct ap_rpc_status status;

	*ret_wait_ns = AP_NSEC_PER_SEC / 10;
	must(ap_client_call(client, METHOD, request, TIMEOUT_NS, &reply, &status), "call");
	if (status.code != AP_RPC_OK) {
		k->failures++;
		return false;
	}
	must(ap_push_result_decode(ap_buf_view(&reply), &result), "answer");
	if (result.status == AP_PUSH_OK || result.status == AP_PUSH_DUPLICATE)
		return true;
	if (result.status != AP_PUSH_BACKPRESSURE)
		bench_fail("push", result.text);
	k->pushed_back++;
	*ret_wait_ns = result.retry_after_ms * AP_NSEC_PER_MSEC;
	return false;
}

static void push(struct worker *k, uint64_t agent, uint64_t batch)
{
	struct swarm *w = k->swarm;
	struct ap_client *client = w->clients[agent % w->set.connections];
	_cleanup_buf_ struct ap_buf made = {0};
	struct ap_buf *request = &made;
	uint64_t due, begin, wait_ns;

	/* The agents' turns are spread over the interval. */
	due = w->begin_ns + batch * w->set.interval_ns + agent * w->set.interval_ns / w->set.agents;
	if (w->set.interval_ns)
		wait_until(due);
	if (w->prepared)
		request = &w->prepared[agent * w->set.batches + batch];
	else
		make_request(w, agent, batch, request);
	begin = ap_clock_mono_ns();
	while (!try_push(k, client, ap_buf_view(request), &wait_ns)) {
		wait_until(ap_clock_mono_ns() + wait_ns);
		begin = ap_clock_mono_ns();
	}
	k->bytes += request->n;
	k->ack_ns[k->n] = ap_clock_mono_ns() - begin;
	k->late_ns[k->n++] = w->set.interval_ns ? begin - AP_MIN(begin, due) : 0;
}

static void *work(void *arg)
{
	struct worker *k = arg;
	const struct settings *set = &k->swarm->set;

	for (uint64_t batch = 0; batch < set->batches; batch++)
		for (uint64_t agent = k->number; agent < set->agents; agent += set->threads)
			push(k, agent, batch);
	return NULL;
}

static void prepare(struct swarm *w)
{
	w->prepared = calloc(w->set.agents * w->set.batches, sizeof(*w->prepared));
	if (!w->prepared)
		bench_fail("prepare", "out of memory");
	for (uint64_t agent = 0; agent < w->set.agents; agent++)
		for (uint64_t batch = 0; batch < w->set.batches; batch++)
			make_request(w, agent, batch, &w->prepared[agent * w->set.batches + batch]);
}

static void swarm_init(struct swarm *w)
{
	const struct ap_client_config config = {.target = w->set.server};
	struct rlimit files;

	/* A connection is a file. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	w->set.threads = AP_MIN(w->set.threads, w->set.agents);
	if (!w->set.connections || w->set.connections > w->set.agents)
		w->set.connections = w->set.agents;
	w->now_ns = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC * (int64_t)AP_NSEC_PER_SEC;
	for (unsigned int i = 0; i < BENCH_SERVICES; i++)
		service_init(&w->services[i], i, (uint32_t)w->set.rows);
	w->clients = calloc(w->set.connections, sizeof(struct ap_client *));
	if (!w->clients)
		bench_fail("connections", "out of memory");
	for (uint64_t i = 0; i < w->set.connections; i++)
		must(ap_client_new(&config, &w->clients[i], NULL), "connection");
	if (w->set.prepare)
		prepare(w);
}

static void swarm_free(struct swarm *w)
{
	for (uint64_t i = 0; w->prepared && i < w->set.agents * w->set.batches; i++)
		ap_buf_free(&w->prepared[i]);
	free(w->prepared);
	for (uint64_t i = 0; i < w->set.connections; i++)
		ap_client_free(w->clients[i]);
	free(w->clients);
	for (unsigned int i = 0; i < BENCH_SERVICES; i++)
		service_free(&w->services[i]);
}

static void report(const struct swarm *w, struct worker *workers, uint64_t took_ns)
{
	size_t n = (size_t)(w->set.agents * w->set.batches), at = 0;
	uint64_t *ack = calloc(n, sizeof(*ack)), *late = calloc(n, sizeof(*late));
	struct worker all = {0};
	struct rusage usage;
	double p50, p99, late99;

	if (!ack || !late)
		bench_fail("report", "out of memory");
	for (uint64_t t = 0; t < w->set.threads; at += workers[t++].n) {
		memcpy(ack + at, workers[t].ack_ns, workers[t].n * sizeof(*ack));
		memcpy(late + at, workers[t].late_ns, workers[t].n * sizeof(*late));
		all.pushed_back += workers[t].pushed_back;
		all.failures += workers[t].failures;
		all.bytes += workers[t].bytes;
	}
	p50 = bench_quantile_ms(ack, n, 0.5);
	p99 = bench_quantile_ms(ack, n, 0.99);
	late99 = bench_quantile_ms(late, n, 0.99);
	getrusage(RUSAGE_SELF, &usage);
	bench_report("swarm",
		     "\"agents\":%llu,\"connections\":%llu,\"batches\":%zu,\"samples\":%llu,"
		     "\"bytes\":%llu,\"seconds\":%.2f,\"samples_per_s\":%.0f,\"ack_p50_ms\":%.2f,"
		     "\"ack_p99_ms\":%.2f,\"late_p99_ms\":%.2f,\"pushed_back\":%llu,"
		     "\"failures\":%llu,\"peak_rss_mib\":%ld",
		     (unsigned long long)w->set.agents, (unsigned long long)w->set.connections, n,
		     (unsigned long long)(n * w->set.rows), (unsigned long long)all.bytes,
		     (double)took_ns / 1e9, (double)(n * w->set.rows) / ((double)took_ns / 1e9),
		     p50, p99, late99, (unsigned long long)all.pushed_back,
		     (unsigned long long)all.failures, usage.ru_maxrss / 1024);
	free(ack);
	free(late);
}

static void run(struct swarm *w)
{
	struct worker *workers = calloc(w->set.threads, sizeof(*workers));

	if (!workers)
		bench_fail("threads", "out of memory");
	w->begin_ns = ap_clock_mono_ns();
	for (uint64_t t = 0; t < w->set.threads; t++) {
		struct worker *k = &workers[t];
		size_t most = (size_t)((w->set.agents / w->set.threads + 1) * w->set.batches);

		k->swarm = w;
		k->number = t;
		k->ack_ns = calloc(most, sizeof(*k->ack_ns));
		k->late_ns = calloc(most, sizeof(*k->late_ns));
		if (!k->ack_ns || !k->late_ns)
			bench_fail("threads", "out of memory");
		must(-pthread_create(&k->thread, NULL, work, k), "thread");
	}
	for (uint64_t t = 0; t < w->set.threads; t++)
		pthread_join(workers[t].thread, NULL);
	report(w, workers, ap_clock_mono_ns() - w->begin_ns);
	for (uint64_t t = 0; t < w->set.threads; t++) {
		free(workers[t].ack_ns);
		free(workers[t].late_ns);
	}
	free(workers);
}

int main(int argc, char **argv)
{
	static struct swarm w;
	_cleanup_config_ struct ap_config cfg = {0};
	struct ap_error err = {0};

	if (ap_config_parse(&cfg, &program, &w.set, argc, argv, environ, &err) < 0) {
		fprintf(stderr, "swarm: %s\n", err.msg);
		return AP_EXIT_USAGE;
	}
	if (cfg.action != AP_CONFIG_RUN)
		return ap_config_show(&cfg, STDOUT_FILENO) < 0;
	swarm_init(&w);
	run(&w);
	swarm_free(&w);
	return 0;
}
