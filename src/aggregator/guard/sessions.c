/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/sessions.h"

int ap_sessions_init(struct ap_sessions *s, uint32_t max, uint64_t idle_ns)
{
	*s = (struct ap_sessions){.p = calloc(max, sizeof(*s->p)), .max = max, .idle_ns = idle_ns};
	return s->p ? 0 : -ENOMEM;
}

void ap_sessions_free(struct ap_sessions *s)
{
	if (s->p)
		explicit_bzero(s->p, s->max * sizeof(*s->p));
	free(s->p);
	s->p = NULL;
}

static bool is_live(const struct ap_sessions *s, const struct ap_session *e, uint64_t now_ns)
{
	return e->token && now_ns - e->used_ns <= s->idle_ns;
}

int ap_sessions_add(struct ap_sessions *s, uint64_t token, uint64_t now_ns,
		    char ret_id[static AP_SECRET_TEXT], const struct ap_session **ret)
{
	struct ap_session *e = NULL;
	int r;

	for (uint32_t i = 0; i < s->max && !e; i++)
		if (!is_live(s, &s->p[i], now_ns))
			e = &s->p[i];
	if (!e)
		return -EBUSY;
	*e = (struct ap_session){0};
	r = ap_secret_make("", ret_id);
	if (r == 0)
		r = ap_secret_make("", e->csrf);
	if (r < 0)
		return r;
	ap_secret_hash(ap_str_of(ret_id), e->hash);
	e->token = token;
	e->used_ns = now_ns;
	*ret = e;
	return 0;
}

static struct ap_session *find(struct ap_sessions *s, struct ap_str id)
{
	struct ap_session *found = NULL;
	uint8_t hash[AP_SHA256_BYTES];

	ap_secret_hash(id, hash);
	for (uint32_t i = 0; i < s->max; i++)
		if (s->p[i].token && ap_secret_equal(s->p[i].hash, hash))
			found = &s->p[i];
	return found;
}

const struct ap_session *ap_sessions_find(struct ap_sessions *s, struct ap_str id, uint64_t now_ns)
{
	struct ap_session *e = find(s, id);

	if (!e || !is_live(s, e, now_ns))
		return NULL;
	e->used_ns = now_ns;
	return e;
}

void ap_sessions_end(struct ap_sessions *s, struct ap_str id)
{
	struct ap_session *e = find(s, id);

	if (e)
		*e = (struct ap_session){0};
}

void ap_sessions_keep(struct ap_sessions *s, const struct ap_token *tokens, size_t n)
{
	for (uint32_t i = 0; i < s->max; i++) {
		bool found = false;

		for (size_t k = 0; k < n; k++)
			found |= tokens[k].id == s->p[i].token;
		if (!found)
			s->p[i] = (struct ap_session){0};
	}
}

uint32_t ap_sessions_count(const struct ap_sessions *s, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->max; i++)
		n += is_live(s, &s->p[i], now_ns);
	return n;
}
