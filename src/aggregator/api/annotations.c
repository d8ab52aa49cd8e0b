/* SPDX-License-Identifier: Apache-2.0 */
/* What happened beside the profiles: notes of people and their CI, and deploys that were seen. */
#include <jansson.h>

#include "aggregator/api/answer.h"
#include "base/clock.h"

#define INVALID	     "invalid_argument"
#define LIMIT	     500
#define RANGE_MAX_MS (7 * 86400000ll)  /* of one note */
#define TIME_MAX_MS  253402300799999ll /* the year 9999 */
#define NAME_MAX_N   63		       /* bytes of a label's name, */
#define VALUE_MAX_N  255	       /* of its value, of a service's name */

struct note {
	const char *text, *service, *link; /* the body's; "" where not given */
	json_t *labels;			   /* NULL: none */
	int64_t from_ms, to_ms;
};

/* ---- Adding. ---- */

/* A time as Unix milliseconds or as text. False: answered. */
static bool take_time(struct ap_http_request *req, const json_t *body, const char *key,
		      int64_t now_ms, int64_t fallback, int64_t *ret)
{
	const json_t *v = json_object_get(body, key);
	struct ap_str text;

	*ret = fallback;
	if (!v || json_is_null(v))
		return true;
	text = (struct ap_str){json_string_value(v), json_string_length(v)};
	if (json_is_integer(v))
		*ret = json_integer_value(v);
	else if (!json_is_string(v) || ap_time_parse(text, now_ms, ret) < 0)
		*ret = -1;
	if (*ret >= 0 && *ret <= TIME_MAX_MS)
		return true;
	ap_http_reply_error(req, 400, INVALID, key,
			    "%s is no time: Unix milliseconds, now-5m or 2026-11-23T10:00:00Z",
			    key);
	return false;
}

static bool check_labels(struct ap_http_request *req, json_t *labels)
{
	const char *key;
	json_t *v;

	if (labels && !json_is_object(labels)) {
		ap_http_reply_error(req, 400, INVALID, "labels", "labels is an object of strings");
		return false;
	}
	if (json_object_size(labels) > AP_ANNOTATION_LABELS_MAX) {
		ap_http_reply_error(req, 400, INVALID, "labels", "at most %d labels",
				    AP_ANNOTATION_LABELS_MAX);
		return false;
	}
	json_object_foreach(labels, key, v)
	{
		if (strlen(key) <= NAME_MAX_N && ap_label_name_ok(ap_str_of(key)) &&
		    strcmp(key, "service") != 0 && json_is_string(v) &&
		    json_string_length(v) <= VALUE_MAX_N)
			continue;
		ap_http_reply_error(req, 400, INVALID, "labels",
				    "'%.63s' is no label: a name and text of at most %d bytes; a "
				    "service has its own member",
				    key, VALUE_MAX_N);
		return false;
	}
	return true;
}

static bool is_link(const char *link)
{
	return strncmp(link, "https://", 8) == 0 || strncmp(link, "http://", 7) == 0;
}

/* False: answered. */
static bool check_note(struct ap_http_request *req, const struct note *n)
{
	if (n->text[0] == '\0' || strlen(n->text) > AP_ANNOTATION_TEXT_MAX)
		ap_http_reply_error(req, 400, INVALID, "text", "text of 1 to %d bytes",
				    AP_ANNOTATION_TEXT_MAX);
	else if (strlen(n->service) > VALUE_MAX_N)
		ap_http_reply_error(req, 400, INVALID, "service", "at most %d bytes", VALUE_MAX_N);
	else if (n->link[0] && (!is_link(n->link) || strlen(n->link) > AP_ANNOTATION_TEXT_MAX))
		ap_http_reply_error(req, 400, INVALID, "link",
				    "a link begins with https:// or http:// and has at most %d "
				    "bytes",
				    AP_ANNOTATION_TEXT_MAX);
	else if (n->to_ms < n->from_ms || n->to_ms - n->from_ms > RANGE_MAX_MS)
		ap_http_reply_error(req, 400, INVALID, "to",
				    "to is not before from, and at most 7 days after it");
	else
		return check_labels(req, n->labels);
	return false;
}

/* {"text":"…","time":T or "from":T,"to":T,"service":"…","labels":{…},"link":"…"}. False: answered. */
static bool body_note(struct ap_http_request *req, int64_t now_ms, struct note *ret)
{
	json_t *body, *time = NULL, *from = NULL, *to = NULL;
	json_error_t e;

	*ret = (struct note){.service = "", .link = ""};
	if (ap_http_body_json(req, &body) < 0)
		return false;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s:s,s?s,s?s,s?o,s?o,s?o,s?o}", "text",
			   &ret->text, "service", &ret->service, "link", &ret->link, "labels",
			   &ret->labels, "time", &time, "from", &from, "to", &to) < 0) {
		ap_http_reply_error(req, 400, INVALID, NULL, "the body: %s", e.text);
		return false;
	}
	if (time && (from || to)) {
		ap_http_reply_error(req, 400, INVALID, "time",
				    "either time, or from and to for a range");
		return false;
	}
	return take_time(req, body, time ? "time" : "from", now_ms, now_ms, &ret->from_ms) &&
	       take_time(req, body, "to", now_ms, ret->from_ms, &ret->to_ms) &&
	       check_note(req, ret);
}

static void put_body(struct ap_buf *b, const struct note *n)
{
	const char *key;
	json_t *v;

	ap_buf_byte(b, '{');
	ap_answer_str(b, "text", ap_str_of(n->text));
	ap_answer_object(b, "labels");
	json_object_foreach(n->labels, key, v)
	{
		ap_json_next(b);
		ap_json_string(b, ap_str_of(key));
		ap_buf_byte(b, ':');
		ap_json_string(b, ap_str_of(json_string_value(v)));
	}
	ap_buf_byte(b, '}');
	if (n->link[0])
		ap_answer_str(b, "link", ap_str_of(n->link));
	else
		ap_answer_null(b, "link");
	ap_answer_null(b, "deploy");
	ap_buf_append(b, "}", 2); /* with its NUL */
}

static void answer_error(struct ap_http_request *req, int r, const struct ap_error *err)
{
	if (r == -ENOENT)
		ap_http_reply_error(req, 404, "not_found", "id", "%s", err->msg);
	else if (r == -ENOMEM)
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
	else
		ap_http_reply_error(req, 503, "state_unwritable", NULL, "%s", err->msg);
}

static void answer_id(struct ap_http_request *req, const char *key, uint64_t id)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_answer_u64(&b, key, id);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

void ap_api_annotations_add(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	_cleanup_buf_ struct ap_buf body = {0};
	const struct ap_api *api = ctx;
	struct ap_annotation v = {.kind = AP_ANNOTATION_NOTE};
	struct ap_error err = {0};
	struct ap_params p;
	struct note n;
	uint64_t id;
	int r;

	if (!ap_params_query(req, names, &p) || !body_note(req, p.now_ms, &n))
		return;
	put_body(&body, &n);
	v.from_ms = n.from_ms;
	v.to_ms = n.to_ms;
	v.service = n.service;
	v.body = (const char *)body.p;
	r = ap_buf_error(&body);
	if (r == 0)
		r = ap_annotations_put(api->annotations, &v, &id, &err);
	if (r < 0)
		answer_error(req, r, &err);
	else
		answer_id(req, "id", id);
}

/* ---- Listing and deleting. ---- */

void ap_api_annotations(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"from", "to", "filter", "kind", "limit", NULL};
	static const char *const kinds[] = {"all", "note", "deploy", NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_annotation_query q;
	struct ap_error err = {0};
	struct ap_params p;
	unsigned int kind;
	uint64_t limit, cut = 0;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s) ||
	    !ap_params_choice(&p, "kind", kinds, &kind) ||
	    !ap_params_uint(&p, "limit", 1, AP_ANNOTATIONS_MAX, LIMIT, &limit))
		return;
	q = (struct ap_annotation_query){.from_ms = s.query.from_ms,
					 .to_ms = s.query.to_ms,
					 .filter = s.filter,
					 .kind = (int)kind - 1,
					 .limit = (uint32_t)limit};
	ap_buf_byte(&b, '{');
	ap_answer_i64(&b, "from", q.from_ms);
	ap_answer_i64(&b, "to", q.to_ms);
	ap_answer_array(&b, "annotations");
	r = ap_annotations_list(api->annotations, &q, &b, &cut, &err);
	if (r < 0) {
		answer_error(req, r, &err);
		return;
	}
	ap_buf_byte(&b, ']');
	ap_json_key(&b, "truncated");
	if (cut)
		ap_buf_printf(&b, "{\"what\":\"annotations\",\"cut\":%llu}",
			      (unsigned long long)cut);
	else
		ap_buf_puts(&b, "null");
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

void ap_api_annotations_delete(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	struct ap_str text = ap_http_path_param(req, "id");
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	struct ap_params p;
	uint64_t id;
	int r;

	if (!ap_params_query(req, names, &p))
		return;
	if (ap_parse_u64(text, &id) < 0 || id == 0 || id > INT64_MAX) {
		ap_http_reply_error(req, 404, "not_found", "id", "'%.*s' is no id",
				    (int)AP_MIN(text.n, (size_t)40), text.p ? text.p : "");
		return;
	}
	r = ap_annotations_delete(api->annotations, id, &err);
	if (r < 0)
		answer_error(req, r, &err);
	else
		answer_id(req, "deleted", id);
}
