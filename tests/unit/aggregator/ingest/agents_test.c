/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/agents.h"

#include "../../wire/sample.h"

#define SECOND 1000000000ll

static struct ap_agents *agents(void)
{
	struct ap_agents *a;

	assert_int_equal(ap_agents_new(0, &a), 0);
	return a;
}

static struct ap_batch_meta meta_of(uint64_t epoch, uint64_t sequence)
{
	struct ap_profile *p =
		sample_profile(SAMPLE_START_NS + (int64_t)sequence * 10 * SECOND, 10);
	struct ap_batch_meta m = sample_meta(p, epoch, sequence);

	ap_profile_free(p);
	return m;
}

static int claim(struct ap_agents *a, const struct ap_batch_meta *m, int64_t now)
{
	int r;

	ap_agents_lock(a);
	r = ap_agents_claim(a, m, now);
	if (r == 0)
		ap_agents_accepted(a, m, 20, now);
	ap_agents_unlock(a);
	return r;
}

static struct ap_agent_info only(struct ap_agents *a, int64_t now)
{
	struct ap_agent_info *list, info;
	size_t n;

	assert_int_equal(ap_agents_list(a, now, &list, &n), 0);
	assert_int_equal(n, 1);
	info = list[0];
	free(list);
	return info;
}

static void a_batch_is_accepted_once(void **state)
{
	struct ap_agents *a = agents();
	struct ap_batch_meta m = meta_of(1, 1), later = meta_of(2, 1);

	assert_int_equal(claim(a, &m, 1), 0);
	assert_int_equal(claim(a, &m, 2), -EEXIST);
	assert_int_equal(claim(a, &later, 3), 0);
	assert_int_equal(claim(a, &m, 4), -EEXIST);
	m.agent_id[0] = 'a';
	assert_int_equal(claim(a, &m, 5), 0);
	ap_agents_free(a);
}

static void a_claim_taken_back_is_free_again(void **state)
{
	struct ap_agents *a = agents();
	struct ap_batch_meta m = meta_of(1, 1);
	struct ap_agent_info *list;
	size_t n;

	ap_agents_lock(a);
	assert_int_equal(ap_agents_claim(a, &m, 1), 0);
	ap_agents_unclaim(a, &m);
	ap_agents_unlock(a);
	assert_int_equal(ap_agents_list(a, 1, &list, &n), 0);
	assert_int_equal(n, 0); /* an agent that has nothing accepted is not shown */
	free(list);
	assert_int_equal(claim(a, &m, 2), 0);
	ap_agents_free(a);
}

static void epochs_long_gone_are_refused(void **state)
{
	struct ap_agents *a = agents();
	struct ap_batch_meta m;

	for (uint64_t epoch = 1; epoch <= AP_EPOCHS_MAX + 1; epoch++) {
		m = meta_of(epoch, 1);
		assert_int_equal(claim(a, &m, 1), 0);
	}
	m = meta_of(1, 2);
	assert_int_equal(claim(a, &m, 1), -ESTALE);
	m = meta_of(2, 1);
	assert_int_equal(claim(a, &m, 1), -EEXIST);
	ap_agents_free(a);
}

static void sums_and_cost_are_kept(void **state)
{
	struct ap_agents *a = agents();
	struct ap_batch_meta first = meta_of(1, 1), second = meta_of(1, 2);
	struct ap_agent_info info;

	first.status.cpu_user_ns = 1000000000;
	second.status.cpu_user_ns = 1100000000; /* 0.1 s more in 10 s on 2 CPUs */
	second.status.cpu_bpf_ns = 100000000;
	assert_int_equal(claim(a, &first, 5 * SECOND), 0);
	info = only(a, 5 * SECOND);
	assert_true(info.cpu_share < 0);
	assert_int_equal(claim(a, &second, 15 * SECOND), 0);
	info = only(a, 16 * SECOND);
	assert_true(info.cpu_share > 0.0099 && info.cpu_share < 0.0101);
	assert_int_equal(info.first_seen_ns, 5 * SECOND);
	assert_int_equal(info.last_seen_ns, 15 * SECOND);
	assert_int_equal(info.periods, 40);
	assert_int_equal(info.batches, 2);
	assert_int_equal(info.ledger.count[AP_LEDGER_SAMPLE_ELAPSED], 200);
	assert_int_equal(info.ledger.stacks[0], 6);
	assert_int_equal(info.meta.sequence, 2);
	ap_agents_free(a);
}

static void silence_and_leaving_show(void **state)
{
	struct ap_agents *a = agents();
	struct ap_batch_meta m = meta_of(1, 1);
	uint32_t reporting, expected;

	assert_int_equal(claim(a, &m, 100 * SECOND), 0);
	assert_int_equal(only(a, 130 * SECOND).state, AP_AGENT_OK);
	assert_int_equal(only(a, 131 * SECOND).state, AP_AGENT_STALE);
	ap_agents_hosts(a, 50 * SECOND, 200 * SECOND, &reporting, &expected);
	assert_int_equal(reporting, 1);
	ap_agents_hosts(a, 150 * SECOND, 200 * SECOND, &reporting, &expected);
	assert_int_equal(reporting, 0);
	assert_int_equal(expected, 1);
	m = meta_of(1, 2);
	m.status.stopping = true;
	assert_int_equal(claim(a, &m, 140 * SECOND), 0);
	assert_int_equal(only(a, 141 * SECOND).state, AP_AGENT_LEFT);
	ap_agents_hosts(a, 150 * SECOND, 200 * SECOND, &reporting, &expected);
	assert_int_equal(expected, 0);
	ap_agents_free(a);
}

static void an_agent_of_the_past_is_restored(void **state)
{
	struct ap_agents *a = agents();
	struct ap_agent_info info = {
		.meta = meta_of(4, 1), .first_seen_ns = 5, .last_seen_ns = 7, .periods = 1000};
	struct ap_batch_meta m = meta_of(5, 1);

	assert_int_equal(ap_agents_restore(a, &info), 0);
	assert_int_equal(claim(a, &m, 9), 0);
	info.periods = 1;
	assert_int_equal(ap_agents_restore(a, &info), 0);
	info = only(a, 9);
	assert_int_equal(info.first_seen_ns, 5);
	assert_int_equal(info.periods, 1020);
	assert_int_equal(info.meta.epoch, 5);
	ap_agents_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_accepted_once),
		cmocka_unit_test(a_claim_taken_back_is_free_again),
		cmocka_unit_test(epochs_long_gone_are_refused),
		cmocka_unit_test(sums_and_cost_are_kept),
		cmocka_unit_test(silence_and_leaving_show),
		cmocka_unit_test(an_agent_of_the_past_is_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
