/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers share; everyone else uses profile/format.h. */
#ifndef AP_PROFILE_READ_H
#define AP_PROFILE_READ_H

#include "profile/format.h"

/* The ids that a file's entries got, by their position in it. */
struct ap_id_map {
	uint32_t *p;
	size_t n, cap;
};

/* The id at a position that comes from outside: false if there is none. */
static inline bool ap_id_at(const struct ap_id_map *m, uint64_t position, uint32_t *ret)
{
	if (position >= m->n)
		return false;
	*ret = m->p[position];
	return true;
}

/* Replaces gzip'd bytes by what they hold: 0 with `ret` filled where `bytes` is gzip'd, else 0 with
 * `ret` empty. -EFBIG past `max_bytes`, -EINVAL for a damaged or truncated stream, -ENOMEM. */
int ap_read_gunzip(struct ap_str bytes, size_t max_bytes, struct ap_buf *ret, struct ap_error *err);

#endif
