/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands that ask an aggregator share: how it is named, their verbs, and how its answers are shown. */
#ifndef AP_CLI_REMOTE_H
#define AP_CLI_REMOTE_H

#include <jansson.h>

#include "cli/cli.h"
#include "http/client.h"

enum ap_remote_format { AP_REMOTE_TEXT, AP_REMOTE_JSON };

struct ap_remote {
	char *server, *ca, *cert, *key, *token_file;
	uint32_t format; /* enum ap_remote_format */
};

extern const char *const ap_remote_formats[];

/* --server with what goes with it, and --format, for settings of type `values` with a member `remote`. */
#define AP_REMOTE_OPTION_SERVER(values)                                                              \
	{                                                                                            \
		.name = "server",                                                                    \
		.type = AP_OPT_STRING,                                                               \
		.metavar = "URL",                                                                    \
		.value = "http://127.0.0.1:9090",                                                    \
		.group = "Aggregator",                                                               \
		.help = "the aggregator, by the address of its dashboard",                           \
		.flags = AP_OPT_F_FLAG_ONLY,                                                         \
		.offset = offsetof(values, remote.server),                                           \
	},                                                                                           \
		AP_REMOTE_OPTION_FILE(                                                               \
			values, "tls-ca", ca,                                                        \
			"certificates (PEM) that vouch for an https server; without, the system's"), \
		AP_REMOTE_OPTION_FILE(values, "tls-cert", cert,                                      \
				      "your certificate (PEM), where the server asks for one"),      \
		AP_REMOTE_OPTION_FILE(values, "tls-key", key, "its key (PEM)"),                      \
		AP_REMOTE_OPTION_FILE(                                                               \
			values, "token-file", token_file,                                            \
			"file that holds your token in one line; without, $APERTURE_TOKEN")
#define AP_REMOTE_OPTION_FILE(values, text, field, what)  \
	{                                                 \
		.name = text,                             \
		.type = AP_OPT_STRING,                    \
		.metavar = "FILE",                        \
		.group = "Aggregator",                    \
		.help = what,                             \
		.offset = offsetof(values, remote.field), \
	}
#define AP_REMOTE_OPTION_FORMAT(values)                    \
	{                                                  \
		.name = "format",                          \
		.type = AP_OPT_ENUM,                       \
		.choices = ap_remote_formats,              \
		.value = "text",                           \
		.group = "Aggregator",                     \
		.help = "form of the output",              \
		.flags = AP_OPT_F_FLAG_ONLY,               \
		.offset = offsetof(values, remote.format), \
	}

/* What is asked about, as the REST API has it. */
struct ap_remote_selection {
	char *from, *to, *type, *filter; /* filter NULL: everything */
};

/* --from, --to, --type and --filter, for settings of type `values` with a member `selection`. */
#define AP_REMOTE_OPTIONS_SELECTION(values)                                               \
	AP_REMOTE_OPTION_SELECTED(                                                        \
		values, "from", from, "TIME", "now-1h",                                   \
		"since when: now-1h, 2026-11-23T10:00:00Z or Unix milliseconds"),         \
		AP_REMOTE_OPTION_SELECTED(values, "to", to, "TIME", "now", "until when"), \
		AP_REMOTE_OPTION_SELECTED(                                                \
			values, "type", type, "TYPE", "cpu:nanoseconds",                  \
			"what is shown: cpu:samples, offcpu:nanoseconds and the "         \
			"like"),                                                          \
		AP_REMOTE_OPTION_SELECTED(                                                \
			values, "filter", filter, "SELECTOR", NULL,                       \
			"which of it: {service=\"web\",host=~\"a.*\"} (default: all)")
#define AP_REMOTE_OPTION_SELECTED(values, text, field, meta, preset, what) \
	{                                                                  \
		.name = text,                                              \
		.type = AP_OPT_STRING,                                     \
		.metavar = meta,                                           \
		.value = preset,                                           \
		.group = "Selection",                                      \
		.help = what,                                              \
		.flags = AP_OPT_F_FLAG_ONLY,                               \
		.offset = offsetof(values, selection.field),               \
	}

/* A run of `aperture SUBCOMMAND VERB OPERAND…`. */
struct ap_remote_call {
	const struct ap_program *program;
	const void *settings; /* the subcommand's struct of values */
	const struct ap_remote *remote;
	struct ap_http_client *client;
	char *const *operands; /* after the verb if there is one, NULL-terminated */
	size_t n;
	struct ap_error err; /* of the last request */
};

struct ap_remote_verb {
	const char *name; /* NULL: the subcommand has no verbs, and this is what it does */
	int (*run)(struct ap_remote_call *c); /* exit status; it has said what went wrong */
	size_t min, max;		      /* operands */
	const char *takes; /* "needs an ID": said after the verb where there are fewer or more */
};

/* Parses options, looks for the verb, connects and runs it; the exit status. `settings` are the program's values,
 * zeroed, of which `remote` is a part. */
int ap_remote_run(const struct ap_program *program, const struct ap_remote_verb *verbs,
		  size_t n_verbs, void *settings, const struct ap_remote *remote, int argc,
		  char **argv);

/* Says what is wrong with the command line; AP_EXIT_USAGE. */
int ap_remote_usage(const struct ap_remote_call *c, const char *fmt, ...) AP_PRINTF(2, 3);

/* Appends an answer for people to read. */
typedef void ap_remote_put(struct ap_buf *out, const json_t *answer);

/* Ends a request, of which `r` is the result: shows the answer and releases it, or says why there is none. With
 * --format text `put` shows it; NULL: there is nothing to show. */
int ap_remote_finish(struct ap_remote_call *c, int r, json_t *answer, ap_remote_put *put);
/* Writes to stdout unless `r`, the result of filling the buffer, is an error; the exit status. */
int ap_remote_write(struct ap_remote_call *c, int r, const struct ap_buf *out);
/* A request and its end. `query` as for ap_http_client_get(). */
int ap_remote_get(struct ap_remote_call *c, const char *path, const char *const *query,
		  ap_remote_put *put);
int ap_remote_post(struct ap_remote_call *c, const char *path, struct ap_str body,
		   ap_remote_put *put);

/* GET of `path` about a selection, with up to AP_REMOTE_MORE_MAX further parameters, NULL-terminated. As
 * ap_http_client_get(). */
enum { AP_REMOTE_MORE_MAX = 4 };
int ap_remote_select(struct ap_remote_call *c, const char *path,
		     const struct ap_remote_selection *s, const char *const *more, json_t **ret);

/* An operand that is an ID; false: it has been said that it is none. */
bool ap_remote_id(const struct ap_remote_call *c, const char *text, uint64_t *ret);
/* A request for each operand, which are IDs: a POST to `prefix` ID `suffix`, or a DELETE where that is NULL. Nothing is
 * asked unless all of them are IDs. */
int ap_remote_each_id(struct ap_remote_call *c, const char *prefix, const char *suffix);

/* Puts the "id" of what was made, in a line. */
void ap_remote_put_id(struct ap_buf *out, const json_t *answer);
/* A string, or "-" for none, filled up to `width` bytes. An aggregator may have it from anybody: without control
 * characters. */
void ap_remote_put_text(struct ap_buf *out, const json_t *text, size_t width);
/* What an answer rests on: "2 of 3 hosts reported, lost 5 samples". */
void ap_remote_put_coverage(struct ap_buf *out, const json_t *answer);
/* Unix milliseconds as local time, in 19 characters; "-" for none. */
void ap_remote_put_time(struct ap_buf *out, const json_t *ms);

#endif
