/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpm_header.h"

#include <stdio.h>

/* RPMTAG_*, RPM_*_TYPE */
enum { VERSION = 1001, RELEASE = 1002, EPOCH = 1003 };
enum { DIR_INDEXES = 1116, BASE_NAMES = 1117, DIR_NAMES = 1118 };
enum { INT32 = 4, STRING = 6, STRING_ARRAY = 8 };
enum { ENTRY_BYTES = 16 };

struct header {
	const uint8_t *index;
	uint32_t n_index;
	struct ap_str store;
};

/* Of a tag's value: what is left of the store from its beginning on, and how many there are. */
struct value {
	struct ap_str bytes;
	uint32_t count;
};

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool open_header(struct ap_str bytes, struct header *h)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	uint64_t index_bytes;

	if (bytes.n < 8)
		return false;
	h->n_index = big_endian(p);
	h->store.n = big_endian(p + 4);
	index_bytes = (uint64_t)h->n_index * ENTRY_BYTES;
	if (!ap_range_ok(8 + index_bytes, h->store.n, bytes.n))
		return false;
	h->index = p + 8;
	h->store.p = bytes.p + 8 + index_bytes;
	return true;
}

/* An entry of the index is tag, type, offset in the store, count. */
static bool find(const struct header *h, uint32_t tag, uint32_t type, struct value *ret)
{
	for (uint32_t i = 0; i < h->n_index; i++) {
		const uint8_t *e = h->index + (size_t)i * ENTRY_BYTES;
		uint32_t offset = big_endian(e + 8);

		if (big_endian(e) != tag || big_endian(e + 4) != type || offset >= h->store.n)
			continue;
		ret->bytes = (struct ap_str){h->store.p + offset, h->store.n - offset};
		ret->count = big_endian(e + 12);
		return true;
	}
	return false;
}

static bool get_u32(const struct header *h, uint32_t tag, uint32_t i, uint32_t *ret)
{
	struct value v;

	if (!find(h, tag, INT32, &v) || i >= v.count || !ap_range_ok((uint64_t)i * 4, 4, v.bytes.n))
		return false;
	*ret = big_endian((const uint8_t *)v.bytes.p + (size_t)i * 4);
	return true;
}

/* Each string ends in a NUL. */
static bool get_string(const struct header *h, uint32_t tag, uint32_t type, uint32_t i,
		       struct ap_str *ret)
{
	struct value v;

	if (!find(h, tag, type, &v) || i >= v.count)
		return false;
	for (;; i--) {
		const char *end = memchr(v.bytes.p, 0, v.bytes.n);

		if (!end)
			return false;
		*ret = (struct ap_str){v.bytes.p, (size_t)(end - v.bytes.p)};
		if (i == 0)
			return true;
		v.bytes.n -= ret->n + 1;
		v.bytes.p = end + 1;
	}
}

static bool is_path(struct ap_str dir, struct ap_str base, const char *path)
{
	return strlen(path) == dir.n + base.n && memcmp(path, dir.p, dir.n) == 0 &&
	       memcmp(path + dir.n, base.p, base.n) == 0;
}

static bool has_file(const struct header *h, uint32_t i, const char *path)
{
	struct ap_str dir, base;
	uint32_t in;

	return get_u32(h, DIR_INDEXES, i, &in) &&
	       get_string(h, BASE_NAMES, STRING_ARRAY, i, &base) &&
	       get_string(h, DIR_NAMES, STRING_ARRAY, in, &dir) &&
	       (is_path(dir, base, path) ||
		(strncmp(path, "/usr/", 5) == 0 && is_path(dir, base, path + 4)));
}

int ap_rpm_header_version(struct ap_str header, uint32_t i, const char *path, char **ret)
{
	struct ap_str version, release;
	char epoch_text[16] = "";
	struct header h;
	uint32_t epoch;

	if (!open_header(header, &h) || !has_file(&h, i, path) ||
	    !get_string(&h, VERSION, STRING, 0, &version) ||
	    !get_string(&h, RELEASE, STRING, 0, &release))
		return -ENOENT;
	if (get_u32(&h, EPOCH, 0, &epoch))
		snprintf(epoch_text, sizeof(epoch_text), "%u:", epoch);
	if (asprintf(ret, "%s%.*s-%.*s", epoch_text, AP_STR_ARG(version), AP_STR_ARG(release)) <
	    0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}
