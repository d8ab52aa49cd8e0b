/* SPDX-License-Identifier: Apache-2.0 */
/* Inserts into a ClickHouse server, and what became of those without an answer.
 *
 * An insert that was given up may still come about, and its segment's rows must not be counted before it has.
 * One that runs is in system.processes. One that does not yet, its bytes in a buffer of the server's, would
 * begin after the rows were counted and the block was sent again:
 *  - A cluster's tables are replicated, and so is their memory of the last blocks: of the same block the second
 *    one is left out, whichever replica it came to. A server's own tables have that memory from 22 on.
 *  - At older servers inserts belong to a session of the HTTP interface, which must be there when one begins
 *    and is locked while one runs. After an insert without an answer the session is ended, and nothing is
 *    counted or sent before it is gone: what comes late is refused then. A number in the data folder names the
 *    last session, so that a run ends that of the one before.
 *
 * An insert that takes longer than it is waited for is not killed: the next attempt would take as long. */
#include <stdio.h>

#include "aggregator/store/folder.h"
#include "aggregator/store/server.h"

#define INSERT_NS (30 * AP_NSEC_PER_SEC)

/* A session is over within 3 s of its last statement's timeout of 1 s (measured on 18.16). */
#define ENDING_NS (4 * AP_NSEC_PER_SEC)
#define IDLE_NS	  (60 * AP_NSEC_PER_SEC) /* after that it is asked whether it is still there */

enum { SESSION_S = 600, ID_MAX = 64 };

static bool has_sessions(const struct ap_server *v)
{
	return !v->cluster && !(v->head.caps & AP_STORE_CAP_DEDUPLICATION);
}

/* The last session; `timeout_s` is how long it stays without a statement. */
static void put_session(const struct ap_server *v, bool must_exist, unsigned int timeout_s,
			struct ap_buf *params)
{
	char id[ID_MAX];

	snprintf(id, sizeof(id), "aperture-%u-%llu", v->writer, (unsigned long long)v->session);
	ap_server_param(params, "session_id", ap_str_of(id));
	ap_server_param_u64(params, "session_check", must_exist);
	ap_server_param_u64(params, "session_timeout", timeout_s);
}

/* A statement in the session that does nothing else. -ESRCH: there is no such session; -EBUSY: an insert is
 * in it. */
static int touch(struct ap_server *v, bool must_exist, unsigned int timeout_s, struct ap_error *err)
{
	_cleanup_server_answer_ struct ap_server_answer a = {0};
	_cleanup_buf_ struct ap_buf params = {0};
	struct ap_server_request q = {.body = AP_STR("SELECT 1 FORMAT Null"),
				      .deadline = ap_clock_mono_ns() + AP_SERVER_ASK_NS};
	int r;

	put_session(v, must_exist, timeout_s, &params);
	if (ap_buf_error(&params) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	q.params = ap_buf_view(&params);
	r = ap_server_channel_ask(v->watch, &q, &a, err);
	if (r == 0)
		r = ap_server_answer_check(&a, "the session of inserts cannot be asked for", err);
	if (r == 0)
		v->session_used = ap_clock_mono_ns();
	return r;
}

/* Until it returns 0, an insert of the last session may still come about. */
static int end_session(struct ap_server *v, struct ap_error *err)
{
	int r;

	v->session_open = false;
	if (v->session % 2 == 0)
		return 0;
	/* To ask for it keeps it. */
	if (v->ending && ap_clock_mono_ns() < v->session_used + ENDING_NS)
		r = -EBUSY;
	else
		r = touch(v, true, 1, err);
	if (r == 0)
		v->ending = true;
	if (r != 0 && r != -EBUSY && r != -ESRCH)
		return r;
	if (r == -ESRCH) {
		v->ending = false;
		return 0;
	}
	return ap_error_set(err, -EBUSY,
			    "an insert whose end was not waited for may still come about at the "
			    "server");
}

/* One that exists for the next insert. */
static int open_session(struct ap_server *v, struct ap_error *err)
{
	uint64_t next = (v->session + 1) | 1;
	int r = 0;

	if (v->session_open && ap_clock_mono_ns() > v->session_used + IDLE_NS)
		r = touch(v, true, SESSION_S, err);
	if (r < 0 && r != -ESRCH)
		return r;
	if (v->session_open && r == 0)
		return 0;
	r = end_session(v, err);
	if (r == 0)
		r = ap_folder_set_session(v->folder, next, err);
	if (r < 0)
		return r;
	v->session = next;
	r = touch(v, false, SESSION_S, err);
	v->session_open = r == 0;
	return r;
}

void ap_server_leave_session(struct ap_server *v)
{
	if (!v->session_open)
		return;
	touch(v, true, 1, NULL);
	ap_folder_set_session(v->folder, v->session + 1, NULL);
}

static void put_anew(const struct ap_server *v, struct ap_buf *params)
{
	ap_server_param_u64(params, "insert_deduplicate", 0);
	if (v->head.caps & AP_STORE_CAP_DEDUPLICATE_INSERT)
		ap_server_param(params, "deduplicate_insert", AP_STR("disable"));
	if (v->head.caps & AP_STORE_CAP_DEDUPLICATE_SELECT)
		ap_server_param(params, "deduplicate_insert_select", AP_STR("disable"));
}

/* What all inserts have. */
static void put_insert(const struct ap_server *v, const char *token, struct ap_buf *params)
{
	char id[ID_MAX];

	snprintf(id, sizeof(id), "aperture-insert-%u-%llx", v->writer,
		 (unsigned long long)ap_clock_unix_ns());
	ap_server_param(params, "database", ap_str_of(v->database));
	ap_server_param(params, "query_id", ap_str_of(id));
	ap_server_param_u64(params, "wait_end_of_query", 1);
	if (has_sessions(v))
		put_session(v, true, SESSION_S, params);
	if (v->cluster)
		ap_server_param_u64(params, "insert_distributed_sync", 1);
	if (v->head.caps & AP_STORE_CAP_ASYNC)
		ap_server_param_u64(params, "async_insert", 0);
	/* The memory of blocks is the keeper's. Of several replicas another one may still have it. */
	if (token && !*token && atomic_load(&v->replicas) <= 1)
		put_anew(v, params);
	if (token && *token && (v->head.caps & AP_STORE_CAP_DEDUPLICATION))
		ap_server_param(params, "insert_deduplication_token", ap_str_of(token));
	ap_server_put_dialect(v, params);
}

static void insert_params(const struct ap_server *v, const char *table,
			  const struct ap_native_block *block, const char *token,
			  struct ap_buf *params)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	const struct ap_native_spec *specs;
	uint32_t n;

	specs = ap_native_block_specs(block, &n);
	ap_buf_printf(&sql, "INSERT INTO %s (", table);
	for (uint32_t i = 0; i < n; i++)
		ap_buf_printf(&sql, "%s%s", i ? ", " : "", specs[i].name);
	ap_buf_puts(&sql, ") FORMAT Native");
	if (ap_buf_error(&sql) < 0)
		params->err = -ENOMEM;
	put_insert(v, token, params);
	ap_server_param(params, "query", ap_buf_view(&sql));
}

static int send_block(struct ap_server *v, const struct ap_server_request *q, const char *table,
		      size_t rows, struct ap_error *err)
{
	_cleanup_server_answer_ struct ap_server_answer a = {0};
	char what[128];
	int r;

	snprintf(what, sizeof(what), "an insert into %s failed", table);
	r = ap_server_channel_ask(v->insert, q, &a, err);
	if (r == 0)
		r = ap_server_answer_check(&a, what, err);
	/* 0: the block was known, nothing to do. A cluster's servers count on the way as well. */
	if (r == 0 && !v->cluster && a.has_written && a.written != rows && a.written != 0)
		r = ap_error_set(err, -EIO, "%s: %llu of %zu rows were written", what,
				 (unsigned long long)a.written, rows);
	return r;
}

static int insert(struct ap_server *v, const char *table, const struct ap_native_block *block,
		  struct ap_str bytes, const char *token, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf params = {0};
	struct ap_server_request q = {.alone = true, .body = bytes};

	insert_params(v, table, block, token, &params);
	if (ap_buf_error(&params) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	q.params = ap_buf_view(&params);
	q.deadline = ap_clock_mono_ns() + INSERT_NS;
	return send_block(v, &q, table, ap_native_block_rows(block), err);
}

/* Without bounds on a block, the rows of all of the pipeline's blocks become one. */
static int insert_select(struct ap_server *v, struct ap_str sql, const char *token,
			 struct ap_error *err)
{
	_cleanup_server_answer_ struct ap_server_answer a = {0};
	_cleanup_buf_ struct ap_buf params = {0};
	struct ap_server_request q = {.alone = true, .body = sql};
	int r;

	put_insert(v, token, &params);
	ap_server_param_u64(&params, "min_insert_block_size_rows", 1000000000);
	ap_server_param_u64(&params, "min_insert_block_size_bytes", 0);
	if (ap_buf_error(&params) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	q.params = ap_buf_view(&params);
	q.deadline = ap_clock_mono_ns() + INSERT_NS;
	r = ap_server_channel_ask(v->insert, &q, &a, err);
	return r == 0 ? ap_server_answer_check(&a, "an insert failed", err) : r;
}

/* Takes the lock, and a session where there are any. */
static int begin_insert(struct ap_server *v, struct ap_error *err)
{
	pthread_mutex_lock(&v->insert_lock);
	return has_sessions(v) ? open_session(v, err) : 0;
}

/* `sent`: an insert was, which came to `r`. */
static int end_insert(struct ap_server *v, bool sent, int r)
{
	if (sent) {
		v->session_used = ap_clock_mono_ns();
		v->session_open &= r == 0;
	}
	pthread_mutex_unlock(&v->insert_lock);
	return r;
}

int ap_server_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			    struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	int r = begin_insert(v, err);

	if (r < 0)
		return end_insert(v, false, r);
	return end_insert(v, true, insert_select(v, sql, token, err));
}

int ap_server_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		     const char *token, struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	_cleanup_buf_ struct ap_buf bytes = {0};
	int r = ap_native_encode(block, &bytes); /* while another's may be on its way */

	if (r < 0)
		return ap_error_set(err, r, "rows for %s cannot be encoded: %s", table,
				    ap_strerror(r));
	r = begin_insert(v, err);
	if (r < 0)
		return end_insert(v, false, r);
	return end_insert(v, true, insert(v, table, block, ap_buf_view(&bytes), token, err));
}

/* Inserts of ours go one after another, so one that still runs is one that was given up. */
static int ask_processes(struct ap_server *v, struct ap_error *err)
{
	uint64_t running = 0;
	char sql[256];
	int r;

	if (v->cluster)
		snprintf(sql, sizeof(sql),
			 "SELECT count() FROM cluster('%s', system, processes) "
			 "WHERE initial_query_id LIKE 'aperture-insert-%u-%%'",
			 v->cluster, v->writer);
	else
		snprintf(sql, sizeof(sql),
			 "SELECT count() FROM system.processes "
			 "WHERE query_id LIKE 'aperture-insert-%u-%%'",
			 v->writer);
	r = ap_server_ask_uint(v->watch, sql, &running, err);
	if (r == 0 && running)
		r = ap_error_set(err, -EBUSY,
				 "an insert whose end was not waited for still runs at the server");
	return r;
}

int ap_server_settled(struct ap_store *s, struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	int r = 0;

	pthread_mutex_lock(&v->insert_lock);
	if (!has_sessions(v))
		r = ask_processes(v, err);
	else if (!v->session_open)
		r = end_session(v, err);
	pthread_mutex_unlock(&v->insert_lock);
	return r;
}
