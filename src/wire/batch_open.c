/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's bytes to a parsed Batch: version, encoding, decompression and parsing, each with
 * its limit checked before memory is taken. */
#include <stdarg.h>
#include <stdio.h>
#include <zstd.h>

#include "wire/batch_internal.h"

typedef Aperture__Aggregator__V1__PushRequest PushRequest;

int ap_decode_fail(struct ap_decoder *d, enum ap_push_code code, const char *fmt, ...)
{
	static const int errnos[] = {
		[AP_PUSH_CODE_UNSUPPORTED_VERSION] = -EPROTONOSUPPORT,
		[AP_PUSH_CODE_MALFORMED] = -EBADMSG,
		[AP_PUSH_CODE_INVALID_ARGUMENT] = -EINVAL,
		[AP_PUSH_CODE_TOO_LARGE] = -EFBIG,
	};
	va_list ap;

	*d->result = (struct ap_push_result){.status = AP_PUSH_ERROR, .code = code};
	va_start(ap, fmt);
	vsnprintf(d->result->text, sizeof(d->result->text), fmt, ap);
	va_end(ap);
	return errnos[code];
}

int ap_decode_no_memory(struct ap_decoder *d)
{
	*d->result = (struct ap_push_result){
		.status = AP_PUSH_BACKPRESSURE,
		.retry_after_ms = 2000,
		.text = "the aggregator is out of memory; push the same batch again later",
	};
	return -ENOMEM;
}

/* protobuf-c's allocator over the arena; frees nothing. */
struct arena_allocator {
	ProtobufCAllocator base;
	struct ap_arena *arena;
	bool exhausted;
};

static void *arena_alloc(void *data, size_t n)
{
	struct arena_allocator *a = data;
	void *p = ap_arena_alloc(a->arena, n);

	if (!p)
		a->exhausted = true;
	return p;
}

static void arena_free(void *data, void *p)
{
}

void *ap_decode_unpack(struct ap_decoder *d, const ProtobufCMessageDescriptor *type,
		       const char *what, struct ap_str bytes)
{
	struct arena_allocator a = {{arena_alloc, arena_free, &a}, &d->arena, false};
	void *m = protobuf_c_message_unpack(type, &a.base, bytes.n, (const uint8_t *)bytes.p);

	if (m)
		return m;
	if (a.exhausted)
		ap_decode_fail(d, AP_PUSH_CODE_TOO_LARGE,
			       "%s needs more than %zu MiB of memory to decode: push smaller "
			       "batches",
			       what, d->max_memory >> 20);
	else
		ap_decode_fail(d, AP_PUSH_CODE_MALFORMED,
			       "%s of %zu bytes is not a valid protobuf message of type %s", what,
			       bytes.n, type->name);
	return NULL;
}

static int decompress(struct ap_decoder *d, const PushRequest *r, struct ap_str *ret)
{
	unsigned long long frame = ZSTD_getFrameContentSize(r->batch.data, r->batch.len);
	uint8_t *raw;
	size_t n;

	if (frame == ZSTD_CONTENTSIZE_ERROR)
		return ap_decode_fail(d, AP_PUSH_CODE_MALFORMED,
				      "batch: %zu bytes that are not a zstd frame", r->batch.len);
	if (r->raw_size == 0)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "raw_size is not set: it must be the batch's size after "
				      "decompression");
	if (r->raw_size > d->max_raw)
		return ap_decode_fail(
			d, AP_PUSH_CODE_TOO_LARGE,
			"raw_size is %llu, above the limit of %zu bytes: push smaller "
			"batches",
			(unsigned long long)r->raw_size, d->max_raw);
	if (frame != ZSTD_CONTENTSIZE_UNKNOWN && frame != r->raw_size)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "raw_size is %llu but the zstd frame holds %llu bytes",
				      (unsigned long long)r->raw_size, frame);
	raw = ap_arena_alloc(&d->arena, r->raw_size);
	if (!raw)
		return ap_decode_no_memory(d);
	n = ZSTD_decompress(raw, r->raw_size, r->batch.data, r->batch.len);
	if (ZSTD_isError(n))
		return ap_decode_fail(d, AP_PUSH_CODE_MALFORMED,
				      "batch: zstd decompression to %llu bytes failed: %s",
				      (unsigned long long)r->raw_size, ZSTD_getErrorName(n));
	if (n != r->raw_size)
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "raw_size is %llu but the batch decompressed to %zu bytes",
				      (unsigned long long)r->raw_size, n);
	*ret = (struct ap_str){(const char *)raw, n};
	return 0;
}

int ap_decode_open(struct ap_decoder *d, struct ap_str request)
{
	struct ap_str raw;
	PushRequest *r;
	int err;

	r = ap_decode_unpack(d, &aperture__aggregator__v1__push_request__descriptor, "the request",
			     request);
	if (!r)
		return d->result->code == AP_PUSH_CODE_TOO_LARGE ? -EFBIG : -EBADMSG;
	if (r->version != AP_BATCH_VERSION)
		return ap_decode_fail(
			d, AP_PUSH_CODE_UNSUPPORTED_VERSION,
			r->version > AP_BATCH_VERSION
				? "version is %u but this aggregator reads version %u: upgrade the "
				  "aggregator"
				: "version is %u but this aggregator reads version %u: upgrade the "
				  "agent or client",
			r->version, AP_BATCH_VERSION);
	switch (r->encoding) {
	case APERTURE__AGGREGATOR__V1__ENCODING__ENCODING_NONE:
		if (r->batch.len > d->max_raw)
			return ap_decode_fail(d, AP_PUSH_CODE_TOO_LARGE,
					      "batch has %zu bytes, above the limit of %zu: push "
					      "smaller batches",
					      r->batch.len, d->max_raw);
		raw = (struct ap_str){(const char *)r->batch.data, r->batch.len};
		break;
	case APERTURE__AGGREGATOR__V1__ENCODING__ENCODING_ZSTD:
		err = decompress(d, r, &raw);
		if (err < 0)
			return err;
		break;
	default:
		return ap_decode_fail(d, AP_PUSH_CODE_INVALID_ARGUMENT,
				      "encoding %d is not known: use 0 (none) or 1 (zstd)",
				      (int)r->encoding);
	}
	return ap_decode_batch(d, raw);
}
