/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator itself: alive, healthy; its buffer; its own description. Whether it is ready: aggregator.c. */
#include "aggregator/api/answer.h"
#include "base/clock.h"

/* The status endpoints take no parameters at all. */
static bool no_parameters(struct ap_http_request *req)
{
	static const char *const names[] = {NULL};
	struct ap_params p;

	return ap_params_query(req, names, &p);
}

void ap_api_healthz(struct ap_http_request *req, void *ctx)
{
	struct ap_buf b = {0};

	ap_buf_puts(&b, "ok\n");
	ap_http_reply(req, 200, "text/plain; charset=utf-8", &b);
}

void ap_api_health(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_buffer_stats buffer;
	struct ap_writer_stats w;

	if (!no_parameters(req))
		return;
	ap_buffer_get_stats(api->buffer, &buffer);
	ap_writer_get_stats(api->writer, &w);
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "status", ap_str_of(w.last_error[0] ? "degraded" : "ok"));
	ap_answer_str(&b, "version", AP_STR(APERTURE_VERSION));
	ap_answer_u64(&b, "uptime_s", (ap_clock_mono_ns() - api->start_ns) / AP_NSEC_PER_SEC);
	ap_answer_object(&b, "store");
	ap_answer_str(&b, "driver", ap_str_of(api->store->driver->name));
	ap_answer_str(&b, "version", ap_str_of(api->store->version));
	if (w.last_error[0])
		ap_answer_str(&b, "error", ap_str_of(w.last_error));
	else
		ap_answer_null(&b, "error");
	ap_buf_byte(&b, '}');
	ap_answer_object(&b, "buffer");
	ap_answer_u64(&b, "batches", buffer.batches);
	ap_answer_u64(&b, "bytes", buffer.bytes);
	ap_answer_u64(&b, "capacity_bytes", buffer.capacity_bytes);
	ap_buf_puts(&b, "}}");
	ap_http_reply_json(req, 200, &b);
}

void ap_api_openapi(struct ap_http_request *req, void *ctx)
{
	const struct ap_api *api = ctx;
	struct ap_buf b = {0};

	if (!no_parameters(req))
		return;
	if (api->openapi.n == 0) {
		ap_http_reply_error(req, 404, "not_found", NULL,
				    "openapi.json was not found beside the program "
				    "(share/aperture/openapi.json)");
		return;
	}
	ap_buf_str(&b, api->openapi);
	ap_http_reply_json(req, 200, &b);
}

static void answer_batch(struct ap_buf *b, const struct ap_batch *batch, uint64_t watermark)
{
	const struct ap_batch_meta *m = batch->meta;

	ap_answer_element(b);
	ap_answer_str(b, "agent_id", ap_str_of(m->agent_id));
	ap_answer_str(b, "host", ap_str_of(m->host));
	ap_answer_u64(b, "epoch", m->epoch);
	ap_answer_u64(b, "sequence", m->sequence);
	ap_answer_i64(b, "from", m->start_ns / 1000000);
	ap_answer_i64(b, "to", m->end_ns / 1000000);
	ap_answer_u64(b, "samples", batch->n_rows);
	ap_answer_u64(b, "bytes", batch->bytes);
	ap_answer_bool(b, "stored", batch->segment <= watermark);
	ap_buf_byte(b, '}');
}

void ap_api_batches(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"limit", NULL};
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_params p;
	uint64_t limit, watermark;

	if (!ap_params_query(req, names, &p) || !ap_params_uint(&p, "limit", 1, 10000, 100, &limit))
		return;
	if (ap_buffer_recent(api->buffer, &watermark, &list, NULL) < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	ap_buf_puts(&b, "{\"batches\":[");
	for (size_t i = 0; i < AP_MIN(list.n, limit); i++)
		answer_batch(&b, list.p[list.n - 1 - i], watermark);
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "total", list.n);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}
