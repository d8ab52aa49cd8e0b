/* SPDX-License-Identifier: Apache-2.0 */
/* What a ClickHouse server says over HTTP beside the rows: status, headers, the text of a refusal.
 * None of the bytes are trusted. */
#ifndef AP_AGGREGATOR_STORE_SERVER_ANSWER_H
#define AP_AGGREGATOR_STORE_SERVER_ANSWER_H

#include "base/buf.h"
#include "base/error.h"

struct ap_server_answer {
	long status;	    /* of HTTP */
	uint32_t exception; /* X-ClickHouse-Exception-Code; 0: none, or too old a server to say */
	bool has_written;   /* X-ClickHouse-Summary came, with … */
	uint64_t written;   /* … the rows written */
	struct ap_buf text; /* the beginning of a refusal's body */
};
void ap_server_answer_free(struct ap_server_answer *a);
#define _cleanup_server_answer_ _cleanup_(ap_server_answer_free)

/* One line of the head, its end included. A status line begins the answer anew, as after a
 * "100 Continue". */
void ap_server_answer_header(struct ap_server_answer *a, struct ap_str line);
/* Bytes of a refusal's body; what is beyond 16 KiB is dropped. */
void ap_server_answer_text(struct ap_server_answer *a, struct ap_str bytes);

/* Whether the server did as it was told. Else `err` is filled with `what`, the server's words and,
 * where the user can do something, what: -EACCES, -ENOTCONN (a proxy says that the server is down),
 * -EPROTO (not a ClickHouse server), or as ap_exception_errno(). */
int ap_server_answer_check(const struct ap_server_answer *a, const char *what,
			   struct ap_error *err);

#endif
