/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/identity.h"

#include "base/clock.h"

int ap_identity_of(const struct ap_profile *p, struct ap_identity *ret)
{
	uint32_t n_frames = ap_intern_count(p->frames), n_stacks = ap_intern_count(p->stacks);
	_cleanup_free_ uint64_t *frames = malloc(n_frames * sizeof(*frames));
	_cleanup_free_ uint64_t *stacks = malloc(n_stacks * sizeof(*stacks));
	AP_VEC(uint64_t) path = {0};

	if (!frames || !stacks)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_frames; i++)
		frames[i] = ap_profile_frame_hash(p, i);
	for (uint32_t i = 0; i < n_stacks; i++) {
		struct ap_stack s = ap_profile_get_stack(p, i);

		path.n = 0;
		if (ap_vec_reserve(&path, (size_t)s.n) < 0) {
			ap_vec_free(&path);
			return -ENOMEM;
		}
		for (uint32_t k = 0; k < s.n; k++)
			path.p[k] = frames[s.frames[k]];
		stacks[i] = ap_stack_hash(s.reason, path.p, s.n);
	}
	ap_vec_free(&path);
	*ret = (struct ap_identity){AP_TAKE_PTR(frames), AP_TAKE_PTR(stacks)};
	return 0;
}

void ap_identity_free(struct ap_identity *id)
{
	free(id->frames);
	free(id->stacks);
	*id = (struct ap_identity){0};
}

struct ap_str ap_batch_label(const struct ap_batch *b, uint32_t set, struct ap_str key)
{
	struct ap_str v;

	if (ap_str_is(key, "agent"))
		return ap_str_of(b->meta->agent_id);
	v = ap_profile_label_value(b->profile, set, key);
	if (v.n == 0 && ap_str_is(key, "host"))
		return ap_str_of(b->meta->host);
	return v;
}

uint32_t ap_store_second(int64_t time_ns)
{
	if (time_ns < 0)
		return 0;
	time_ns /= (int64_t)AP_NSEC_PER_SEC;
	return time_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)time_ns;
}

uint64_t ap_store_batch_order(const struct ap_batch_meta *m)
{
	return m->epoch << 32 | (m->sequence & UINT32_MAX);
}
