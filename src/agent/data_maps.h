/* SPDX-License-Identifier: Apache-2.0 */
/* Where the data of a process lies, for addresses of which only a number is known: locks. The kernel tells
 * the agent of mappings of code alone, so these are read from /proc, of the few processes that are asked
 * about, and kept. */
#ifndef AP_AGENT_DATA_MAPS_H
#define AP_AGENT_DATA_MAPS_H

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

#define AP_DATA_MAPS_MAX 65536 /* mappings of one process; those above them are not known */

struct ap_data_map {
	uint64_t start, end; /* half-open */
	uint64_t offset;     /* in the file at `start` */
	uint32_t name;	     /* offset in the names; NUL-terminated */
	bool tail; /* has no file but follows one's mapping, as .bss does: its name and offset */
};

struct ap_data_maps {
	AP_VEC(struct ap_data_map) ranges; /* writable ones, ascending */
	struct ap_buf names;
	uint64_t read_ns;     /* CLOCK_MONOTONIC of the reading; 0: never */
	uint64_t rows_serial; /* rows_builder's: the collection in which they were read */
};

void ap_data_maps_free(struct ap_data_maps *m);
/* Replaces what `m` has by the text of a /proc/PID/maps; lines that are none are skipped. 0 or -ENOMEM; then
 * `m` is as before. */
int ap_data_maps_parse(struct ap_str text, struct ap_data_maps *m);
/* The same for a process: 0, -ENOMEM or the error of reading, -ENOENT or -ESRCH where it has gone. */
int ap_data_maps_read(int32_t pid, struct ap_data_maps *m);
/* The range that holds `address`, or NULL. */
const struct ap_data_map *ap_data_maps_find(const struct ap_data_maps *m, uint64_t address);

static inline const char *ap_data_map_name(const struct ap_data_maps *m,
					   const struct ap_data_map *r)
{
	return (const char *)m->names.p + r->name;
}

#endif
