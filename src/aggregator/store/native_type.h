/* SPDX-License-Identifier: Apache-2.0 */
/* How each column type lies in a block: what the encoder and the decoder share. */
#ifndef AP_AGGREGATOR_STORE_NATIVE_TYPE_H
#define AP_AGGREGATOR_STORE_NATIVE_TYPE_H

#include "aggregator/store/native.h"

enum ap_native_form {
	AP_NATIVE_FIXED, /* values of `width` bytes */
	AP_NATIVE_TEXT,	 /* varint length and bytes */
	AP_NATIVE_KEYS,	 /* LowCardinality(String) */
};

struct ap_native_layout {
	const char *name;
	enum ap_native_form form;
	unsigned int width;
	bool is_array;
};
extern const struct ap_native_layout ap_native_layouts[AP_NATIVE_TYPE_MAX];

/* LowCardinality's serialisation: its version, and flags beside the index width in the low byte. */
#define AP_NATIVE_LC_VERSION  1ull
#define AP_NATIVE_LC_GLOBAL   0x100ull
#define AP_NATIVE_LC_HAS_KEYS 0x200ull
#define AP_NATIVE_LC_UPDATE   0x400ull

#endif
