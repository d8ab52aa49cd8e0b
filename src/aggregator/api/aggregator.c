/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator about itself: whether it is ready, how it is, and how it has been for the last hours. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "aggregator/api/access.h"
#include "aggregator/api/answer.h"
#include "base/clock.h"

#define DISK_ROOM (8u << 20) /* with less than that left the disk counts as full */
#define POINTS	  240	     /* of the history, at most */
#define HOURS_MAX 24

/* ---- Ready. ---- */

struct check {
	const char *name;
	char text[480]; /* "ok", or why not */
};

static void fail(struct check *c, const char *fmt, ...) AP_PRINTF(2, 3);

static void fail(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

static bool is_ok(const struct check *c)
{
	return strcmp(c->text, "ok") == 0;
}

const char *ap_api_pause(const struct ap_api *api)
{
	switch ((enum ap_api_phase)atomic_load(api->phase)) {
	case AP_API_OPENING:
		return "starting: the store is being opened";
	case AP_API_REPLAYING:
		return "replaying the log: what an earlier run took in is being read";
	case AP_API_STORING:
		return "replaying the log: what it held is being stored";
	case AP_API_RUNNING:
		break;
	case AP_API_DRAINING:
		return "stopping: what has arrived is being stored";
	}
	return NULL;
}

static void check_store(const struct ap_api *api, struct check *c)
{
	struct ap_writer_stats w;

	if (!ap_api_is_complete(api)) {
		fail(c, "not opened yet");
		return;
	}
	ap_writer_get_stats(api->writer, &w);
	if (w.last_error[0])
		fail(c, "%s", w.last_error);
	else if (!atomic_load(&api->store->ready))
		fail(c, "not reached yet");
}

/* `store`: why it does not take what is in the log, if it does not. */
static void check_log(const struct ap_api *api, const struct check *store, struct check *c)
{
	struct ap_wal_stats w;

	if (!ap_api_is_complete(api)) {
		fail(c, "not opened yet");
		return;
	}
	ap_wal_get_stats(api->wal, &w);
	if (w.journal.last_error[0])
		fail(c, "the write-ahead log cannot be written: %s", w.journal.last_error);
	else if (ap_wal_is_full(&w))
		fail(c,
		     "the write-ahead log is full until the store has caught up (--wal-bytes)%s%s",
		     is_ok(store) ? "" : ": ", is_ok(store) ? "" : store->text);
}

static void check_disk(const struct ap_api *api, struct check *c)
{
	struct statvfs disk;

	if (statvfs(api->data_dir, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < DISK_ROOM)
		fail(c, "the data folder's disk is full: free some of it, or keep less "
			"(--retention)");
}

/* Everybody may ask whether it is ready. Why it is not may name hosts and folders: that is for those who would
 * be let in elsewhere, too. */
static void keep_from_strangers(struct ap_http_request *req, const struct ap_api *api,
				struct check *c)
{
	struct ap_caller caller;

	if (is_ok(c) || !ap_guard_required(api->guard) ||
	    (ap_api_identify(req, api, &caller) == 0 && ap_role_may(caller.role, AP_ACCESS_READ)))
		return;
	fail(c, "failing");
}

/* A store that does not take what arrives keeps nobody from pushing: the log has it. */
void ap_api_readyz(struct ap_http_request *req, void *ctx)
{
	struct check phase = {"phase", "ok"}, store = {"store", "ok"}, log = {"log", "ok"},
		     disk = {"disk", "ok"};
	const struct check *const checks[] = {&phase, &log, &disk, &store};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	const char *pause = ap_api_pause(api);
	const struct check *why = NULL;

	if (pause)
		fail(&phase, "%s", pause);
	check_store(api, &store);
	check_log(api, &store, &log);
	check_disk(api, &disk);
	keep_from_strangers(req, api, &store);
	keep_from_strangers(req, api, &log);
	for (size_t i = 0; i < AP_ARRAY_SIZE(checks) - 1 && !why; i++)
		why = is_ok(checks[i]) ? NULL : checks[i];
	ap_buf_byte(&b, '{');
	ap_answer_bool(&b, "ready", !why);
	if (why)
		ap_answer_str(&b, "reason", ap_str_of(why->text));
	else
		ap_answer_null(&b, "reason");
	ap_answer_object(&b, "checks");
	for (size_t i = 0; i < AP_ARRAY_SIZE(checks); i++)
		ap_answer_str(&b, checks[i]->name, ap_str_of(checks[i]->text));
	ap_buf_puts(&b, "}}");
	ap_http_reply_json(req, why ? 503 : 200, &b);
}

/* ---- How it is. ---- */

static void answer_wal(struct ap_buf *b, const struct ap_api *api, const struct ap_vitals *v)
{
	struct ap_wal_stats w;

	ap_wal_get_stats(api->wal, &w);
	ap_answer_object(b, "wal");
	ap_answer_u64(b, "bytes", w.journal.bytes);
	ap_answer_u64(b, "max_bytes", w.journal.max_bytes);
	ap_answer_u64(b, "files", w.journal.files);
	ap_answer_u64(b, "records", w.journal.live);
	ap_json_key(b, "oldest_s");
	ap_json_double(b, v->lag_s);
	ap_answer_u64(b, "commits", w.journal.commits);
	ap_answer_u64(b, "commit_ns", w.journal.commit_ns);
	ap_answer_u64(b, "failures", w.journal.failures);
	ap_answer_u64(b, "damaged_bytes", w.journal.damaged_bytes);
	if (w.journal.last_error[0])
		ap_answer_str(b, "error", ap_str_of(w.journal.last_error));
	else
		ap_answer_null(b, "error");
	ap_buf_byte(b, '}');
}

static void answer_store(struct ap_buf *b, const struct ap_api *api, const struct ap_vitals *v)
{
	struct ap_writer_stats w;

	ap_writer_get_stats(api->writer, &w);
	ap_answer_object(b, "store");
	ap_answer_str(b, "driver", ap_str_of(api->store->driver->name));
	ap_answer_str(b, "version", ap_str_of(api->store->version));
	ap_answer_bool(b, "reached", atomic_load(&api->store->ready));
	ap_answer_u64(b, "rows", w.rows);
	ap_answer_u64(b, "flushes", w.flushes_ok);
	ap_answer_u64(b, "flush_errors", w.flushes_failed);
	ap_answer_u64(b, "flush_ns", w.flush_ns);
	ap_answer_u64(b, "last_flush_ns", w.last_flush_ns);
	if (w.last_error[0])
		ap_answer_str(b, "error", ap_str_of(w.last_error));
	else
		ap_answer_null(b, "error");
	ap_answer_u64(b, "disk_free_bytes", v->disk_free);
	ap_answer_u64(b, "disk_bytes", v->disk_all);
	ap_buf_byte(b, '}');
}

static void answer_buffer(struct ap_buf *b, const struct ap_api *api, const struct ap_vitals *v)
{
	struct ap_buffer_stats s;

	ap_buffer_get_stats(api->buffer, &s);
	ap_answer_object(b, "buffer");
	ap_answer_u64(b, "batches", s.batches);
	ap_answer_u64(b, "bytes", s.bytes);
	ap_answer_u64(b, "pending_bytes", s.pending_bytes);
	ap_answer_u64(b, "max_bytes", s.capacity_bytes);
	ap_answer_u64(b, "pending_rows", s.pending_rows);
	ap_answer_u64(b, "hidden_rows", s.hidden_rows);
	ap_answer_u64(b, "restored_rows", s.restored_rows);
	ap_json_key(b, "lag_s");
	ap_json_double(b, v->lag_s);
	ap_buf_byte(b, '}');
}

static void answer_pushes(struct ap_buf *b, const struct ap_vitals *v)
{
	ap_answer_object(b, "pushes");
	for (int i = AP_PUSH_OK; i < AP_PUSH_STATUS_MAX; i++)
		ap_answer_u64(b, ap_push_status_name((enum ap_push_status)i), v->pushes[i]);
	ap_answer_u64(b, "rows", v->rows);
	ap_buf_byte(b, '}');
}

static void answer_queries(struct ap_buf *b, const struct ap_api *api)
{
	struct ap_query_stats s;
	uint64_t ns = 0;

	ap_query_engine_get_stats(api->query, &s);
	ap_answer_object(b, "queries");
	ap_answer_u64(b, "running", s.running);
	ap_answer_u64(b, "waiting", s.waiting);
	for (int status = 0; status < AP_QUERY_STATUSES; status++) {
		uint64_t sum = 0;

		for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
			sum += s.total[kind][status];
		ap_answer_u64(b, ap_query_status_name((enum ap_query_status)status), sum);
	}
	for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
		ns += s.seconds[kind].sum_ns;
	ap_answer_u64(b, "ns", ns);
	ap_buf_byte(b, '}');
}

static void answer_agents(struct ap_buf *b, const struct ap_vitals *v)
{
	ap_answer_object(b, "agents");
	for (int i = AP_AGENT_OK; i <= AP_AGENT_LEFT; i++)
		ap_answer_u64(b, ap_agent_state_name((enum ap_agent_state)i), v->agents[i]);
	ap_buf_byte(b, '}');
}

static void answer_small_state(struct ap_buf *b, const struct ap_api *api)
{
	struct ap_deploys_stats deploys;
	struct ap_notifier_stats n;
	char error[480];

	ap_deploys_get_stats(api->deploys, &deploys);
	ap_notifier_get_stats(api->notifier, &n);
	ap_answer_object(b, "state");
	if (ap_alert_engine_error(api->alerts, error, sizeof(error)))
		ap_answer_str(b, "error", ap_str_of(error));
	else
		ap_answer_null(b, "error");
	ap_answer_u64(b, "notifications_waiting", n.waiting);
	ap_answer_u64(b, "notifications_dropped", n.dropped);
	ap_answer_u64(b, "programs", deploys.programs);
	ap_answer_u64(b, "programs_forgotten", deploys.forgotten);
	ap_buf_byte(b, '}');
}

/* ---- How it has been. ---- */

typedef double (*point_fn)(const struct ap_vitals *before, const struct ap_vitals *v);

static double per_second(const struct ap_vitals *before, const struct ap_vitals *v, uint64_t from,
			 uint64_t to)
{
	double s = (double)(v->at_ms - before->at_ms) / 1000;

	return s > 0 ? (double)(to - from) / s : 0;
}

static double wal_bytes(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)v->wal_bytes;
}

static double lag(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return v->lag_s;
}

static double pending_rows(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)v->pending_rows;
}

static double buffer_bytes(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)v->buffer_bytes;
}

static double rows_in(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return per_second(before, v, before->rows, v->rows);
}

static double rows_stored(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return per_second(before, v, before->stored_rows, v->stored_rows);
}

static double refused(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return per_second(before, v, before->pushes[AP_PUSH_BACKPRESSURE],
			  v->pushes[AP_PUSH_BACKPRESSURE]);
}

static double errors(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)(v->flush_errors - before->flush_errors + v->pushes[AP_PUSH_ERROR] -
			before->pushes[AP_PUSH_ERROR]);
}

static double queries(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return per_second(before, v, before->queries, v->queries);
}

static double query_failures(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)(v->query_failures - before->query_failures);
}

static double disk_free(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return (double)v->disk_free;
}

static double agents_ok(const struct ap_vitals *before, const struct ap_vitals *v)
{
	return v->agents[AP_AGENT_OK];
}

static const struct {
	const char *name;
	point_fn point;
} columns[] = {
	{"wal_bytes", wal_bytes},	{"lag_s", lag},
	{"pending_rows", pending_rows}, {"buffer_bytes", buffer_bytes},
	{"rows_in", rows_in},		{"rows_stored", rows_stored},
	{"refused", refused},		{"errors", errors},
	{"queries", queries},		{"query_failures", query_failures},
	{"disk_free_bytes", disk_free}, {"agents_ok", agents_ok},
};

/* Each n-th reading, so that there are POINTS at most; rates are between those. */
static void answer_history(struct ap_buf *b, const struct ap_vitals *v, size_t n)
{
	size_t every = (n + POINTS - 1) / POINTS;

	ap_answer_object(b, "history");
	ap_answer_array(b, "times");
	for (size_t i = every; every && i < n; i += every) {
		ap_json_next(b);
		ap_json_i64(b, v[i].at_ms);
	}
	ap_buf_byte(b, ']');
	for (size_t c = 0; c < AP_ARRAY_SIZE(columns); c++) {
		ap_answer_array(b, columns[c].name);
		for (size_t i = every; every && i < n; i += every) {
			ap_json_next(b);
			ap_json_double(b, columns[c].point(&v[i - every], &v[i]));
		}
		ap_buf_byte(b, ']');
	}
	ap_buf_byte(b, '}');
}

void ap_api_aggregator(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"hours", NULL};
	_cleanup_free_ struct ap_vitals *past = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	int64_t now_ms = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC;
	struct ap_vitals now;
	struct ap_params p;
	uint64_t hours;
	size_t n;

	if (!ap_params_query(req, names, &p) ||
	    !ap_params_uint(&p, "hours", 1, HOURS_MAX, 1, &hours))
		return;
	past = calloc(AP_VITALS_KEPT, sizeof(*past));
	if (!past) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	ap_vitals_take(api->vitals, now_ms, &now);
	n = ap_vitals_since(api->vitals, now_ms - (int64_t)hours * 3600000, past);
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "version", AP_STR(APERTURE_VERSION));
	ap_answer_u64(&b, "uptime_s", (ap_clock_mono_ns() - api->start_ns) / AP_NSEC_PER_SEC);
	ap_answer_i64(&b, "at", now_ms);
	answer_wal(&b, api, &now);
	answer_store(&b, api, &now);
	answer_buffer(&b, api, &now);
	answer_pushes(&b, &now);
	answer_queries(&b, api);
	answer_agents(&b, &now);
	answer_small_state(&b, api);
	answer_history(&b, past, n);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}
