/* SPDX-License-Identifier: Apache-2.0 */
/* A block that is being filled: what native.c, which fills it, and native_encode.c share. */
#ifndef AP_AGGREGATOR_STORE_NATIVE_BLOCK_H
#define AP_AGGREGATOR_STORE_NATIVE_BLOCK_H

#include "aggregator/store/native_type.h"
#include "base/intern.h"
#include "base/vec.h"

/* As long as all values of a column are the same, or all its arrays are equally long, it is not said of each. */
struct column {
	struct ap_buf
		data; /* strings with their lengths; else, where they vary, values of `width` bytes */
	struct ap_intern *keys; /* LowCardinality, whose values are ids of keys; key 0 is "" */
	AP_VEC(uint64_t) ends;	/* Array: where each row ends, if the lengths vary */
	size_t values, arrays;
	uint64_t value, length; /* of all, unless they vary */
	bool values_vary, lengths_vary;
	unsigned int width;
};

struct ap_native_block {
	const struct ap_native_spec *specs;
	uint32_t n;
	int err; /* the first error of a put */
	struct column columns[];
};

size_t native_column_rows(const struct ap_native_block *b, uint32_t col);

#endif
