/* SPDX-License-Identifier: Apache-2.0 */
/* rpm's databases in ndb and Berkeley DB. An input is a byte for the format, the length of the first file (4 bytes, little
 * endian), and both files. */
#include <endian.h>

#include "agent/rpm_format.h"
#include "agent/rpm_header.h"
#include "scratch.h"

enum { INPUT_HEAD = 5, HEADER_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *name, const uint8_t *p, size_t n)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	must(ap_write_file_atomic(path, p, n, 0600, false) == 0);
}

static void look_up(const struct ap_rpm_format *f, void *db)
{
	struct ap_rpm_places places = {0};

	if (f->find(db, AP_STR("tool"), &places) < 0)
		return;
	must(places.n <= AP_RPM_PLACES_MAX);
	for (size_t i = 0; i < places.n && i < 4; i++) {
		_cleanup_buf_ struct ap_buf header = {0};
		_cleanup_free_ char *version = NULL;

		if (f->read(db, places.at[i].package, HEADER_MAX, &header) < 0)
			continue;
		must(header.n <= HEADER_MAX);
		ap_rpm_header_version(ap_buf_view(&header), places.at[i].file, "/usr/bin/tool",
				      &version);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ap_rpm_format *f;
	uint32_t first;
	void *db;

	if (size < INPUT_HEAD)
		return 0;
	if (!scratch[0])
		scratch_make();
	f = data[0] % 2 ? &ap_rpm_bdb : &ap_rpm_ndb;
	memcpy(&first, data + 1, sizeof(first));
	data += INPUT_HEAD;
	size -= INPUT_HEAD;
	first = (uint32_t)AP_MIN(le32toh(first), size);
	put(f->database, data, first);
	put(f->index, data + first, size - first);
	if (f->open(scratch, &db) == 0) {
		look_up(f, db);
		f->close(db);
	}
	return 0;
}
