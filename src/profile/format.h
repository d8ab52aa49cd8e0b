/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as files: every format that Aperture writes, and those it reads back. */
#ifndef AP_PROFILE_FORMAT_H
#define AP_PROFILE_FORMAT_H

#include "base/error.h"
#include "profile/profile.h"
#include "profile/tree.h"

enum ap_format {
	AP_FORMAT_JSON,	      /* our own: everything a struct ap_profile holds (profile/json.h) */
	AP_FORMAT_COLLAPSED,  /* a line per stack: comm;outermost;…;leaf VALUE */
	AP_FORMAT_PPROF,      /* gzip'd profile.proto of github.com/google/pprof */
	AP_FORMAT_SPEEDSCOPE, /* www.speedscope.app/file-format-schema.json */
	AP_FORMAT_SVG,	      /* a static flame graph */
	AP_FORMAT_HTML,	      /* one file with the dashboard's own flame graph */
	AP_FORMAT_MAX,
};

struct ap_format_info {
	const char *name;	  /* as in --format and /api/export/NAME */
	const char *extension;	  /* ".pb.gz" */
	const char *content_type; /* for HTTP */
	const char *text;	  /* a person's words */
};

const struct ap_format_info *ap_format_info(enum ap_format f);
int ap_format_by_name(struct ap_str name, enum ap_format *ret); /* 0 or -ENOENT */
/* From the end of a file name, without regard to case: ".collapsed" and ".folded", ".pb.gz",
 * ".pprof" and ".pb", ".speedscope.json", ".json", ".svg", ".html" and ".htm". 0 or -ENOENT. */
int ap_format_guess(struct ap_str filename, enum ap_format *ret);

struct ap_format_options {
	/* What is shown; NULL: the default of the first event in the profile (CPU: nanoseconds for
	 * pictures, samples for collapsed). JSON and pprof always hold everything. */
	const struct ap_profile_type *type;
	const char *title; /* of pictures and speedscope; NULL = "Aperture: " and the type */
	/* The label that divides pictures first. NULL: comm, if there are several; "": none. */
	const char *by;
	uint32_t max_nodes;	   /* of pictures; 0 = AP_TREE_NODES_DEFAULT */
	const uint64_t *lost;	   /* samples lost while recording, for HTML; NULL: not known */
	const char *html_template; /* path of the dashboard's standalone.html; HTML needs it */
};

/* Where output goes, in pieces of about 64 KiB. `write` returns 0 or -errno, which ends the writing
 * and is returned. */
struct ap_sink {
	int (*write)(void *ctx, const void *p, size_t n);
	void *ctx;
};

/* Sinks onto a file descriptor (ctx: int *) and a buffer (ctx: struct ap_buf *). */
int ap_sink_fd(void *ctx, const void *p, size_t n);
int ap_sink_buf(void *ctx, const void *p, size_t n);

/* `o` and `err` may be NULL. */
int ap_format_write(enum ap_format f, const struct ap_profile *p, const struct ap_format_options *o,
		    struct ap_sink sink, struct ap_error *err);

/* The type that `o` (may be NULL) asks for, or the default for this profile and format: wall time
 * where there are samples on and off the CPU, else the first type that the profile has. */
const struct ap_profile_type *ap_format_type(enum ap_format f, const struct ap_profile *p,
					     const struct ap_format_options *o);

enum { AP_READ_BYTES_DEFAULT = 1 << 30 };

/* Reads a profile from bytes that are not trusted: our JSON, or pprof as any tool writes it (gzip'd
 * or not), told apart by their first bytes. `max_bytes` bounds the decompressed size (0 =
 * AP_READ_BYTES_DEFAULT). -EINVAL: malformed or another format; -EFBIG: larger than that; -ENOMEM.
 */
int ap_profile_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		    struct ap_error *err);
int ap_pprof_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		  struct ap_error *err);
int ap_json_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		 struct ap_error *err);

#endif
