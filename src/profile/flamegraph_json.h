/* SPDX-License-Identifier: Apache-2.0 */
/* The two encodings of a tree that the dashboard reads: columns as JSON, and the same columns as
 * little-endian binary for large trees. Used by the REST API and by the HTML format alike.
 *
 * `meta` is the caller's part: members of a JSON object without its braces, such as
 * `"type":"cpu:nanoseconds","from":1,"to":2`; may be empty. What the tree itself knows follows:
 *
 *	{META,"total":T,"folded_nodes":N,"folded_total":F,
 *	 "nodes":{"depth":[…],"name":[…],"module":[…],"kind":[…],"total":[…],"self":[…]},
 *	 "strings":["",…]}
 *
 * A tree of two sides has those of side b in total and self, and "total_a" and "self_a" beside
 * them, in "nodes" as well as at the top.
 *
 * Binary: magic "APFG", then u32 version (1), n_nodes, n_strings, meta_bytes, flags (bit 0: two
 * sides); the JSON above without nodes and strings, padded with spaces to a multiple of 8 (counted
 * in meta_bytes); columns total u64[n], self u64[n], [total_a u64[n], self_a u64[n],] depth u32[n],
 * name u32[n], module u32[n], kind u8[n] padded with zeros to a multiple of 4; then string offsets
 * u32[n_strings + 1] and their UTF-8 bytes. */
#ifndef AP_PROFILE_FLAMEGRAPH_JSON_H
#define AP_PROFILE_FLAMEGRAPH_JSON_H

#include "base/buf.h"
#include "profile/tree.h"

#define AP_FLAMEGRAPH_CONTENT_TYPE "application/vnd.aperture.flamegraph"

/* Appended to `out`; check ap_buf_error() afterwards. The binary form returns -EOVERFLOW where the
 * strings do not fit 4 GiB, else 0. */
void ap_flamegraph_write_json(const struct ap_tree *t, struct ap_str meta, struct ap_buf *out);
int ap_flamegraph_write_binary(const struct ap_tree *t, struct ap_str meta, struct ap_buf *out);

#endif
