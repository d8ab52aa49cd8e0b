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
	int r = ap_agents_claim(a, m, now);

	if (r == 0)
		ap_agents_settle(a, m, true, 20, now);
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

	assert_int_equal(ap_agents_claim(a, &m, 1), 0);
	assert_int_equal(ap_agents_claim(a, &m, 1), -EINPROGRESS);
	ap_agents_settle(a, &m, false, 0, 1);
	assert_int_equal(ap_agents_list(a, 1, &list, &n), 0);
	assert_int_equal(n, 0); /* an agent that has nothing accepted is not shown */
	free(list);
	assert_int_equal(claim(a, &m, 2), 0);
	ap_agents_free(a);
}

static void what_is_saved_is_known_again(void **state)
{
	struct ap_agents *a = agents(), *b = agents();
	_cleanup_buf_ struct ap_buf saved = {0};
	struct ap_batch_meta m;

	/* 1 and 3 accepted, 2 in hand: whoever loads it must take 2. */
	for (uint64_t n = 1; n <= 3; n++) {
		m = meta_of(7, n);
		assert_int_equal(ap_agents_claim(a, &m, 5), 0);
		if (n != 2)
			ap_agents_settle(a, &m, true, 20, 5);
	}
	assert_int_equal(ap_agents_save(a, 1 << 20, &saved), 0);
	m = meta_of(7, 9);
	assert_int_equal(claim(b, &m, 1), 0);
	assert_int_equal(ap_agents_load(b, ap_buf_view(&saved)), 0);
	for (uint64_t n = 1; n <= 9; n++) {
		m = meta_of(7, n);
		assert_int_equal(claim(b, &m, 6), n == 1 || n == 3 || n == 9 ? -EEXIST : 0);
	}
	/* Cut short at any place it is refused or means less; nothing breaks. */
	for (size_t n = 0; n < saved.n; n++) {
		struct ap_agents *c = agents();

		assert_int_equal(ap_agents_load(c, (struct ap_str){(char *)saved.p, n}), -EBADMSG);
		ap_agents_free(c);
	}
	ap_agents_free(a);
	ap_agents_free(b);
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

static struct ap_push_result answer(struct ap_agents *a, const struct ap_batch_meta *m, int64_t now)
{
	struct ap_push_result r = {0};

	claim(a, m, now);
	ap_agents_answer(a, m, now, &r);
	return r;
}

static void settings_travel_until_they_are_heard(void **state)
{
	const struct ap_settings s = {1, {"lock"}, 999, 20000, 60 * (uint64_t)SECOND};
	struct ap_agents *a = agents();
	struct ap_batch_meta m = meta_of(1, 1);
	struct ap_push_result r;
	uint64_t version;

	m.status.settings.version = 0;
	assert_int_equal(ap_agents_want(a, m.agent_id, &s, SECOND, NULL), -ENOENT);
	assert_false(answer(a, &m, SECOND).has_settings);
	assert_int_equal(ap_agents_want(a, m.agent_id, &s, 2 * SECOND, NULL), 0);
	m.sequence++;
	r = answer(a, &m, 12 * SECOND);
	assert_true(r.has_settings);
	assert_string_equal(r.settings.modes[0], "lock");
	assert_int_equal(r.settings.frequency_hz, 999);
	assert_int_equal(r.settings.remaining_ns, 50 * SECOND);
	version = r.config_version;
	/* Heard; then the agent starts again, and later the time is over. */
	m.status.settings.version = version;
	m.sequence++;
	r = answer(a, &m, 22 * SECOND);
	assert_false(r.has_settings);
	assert_int_equal(r.config_version, version);
	m.epoch++;
	m.status.settings.version = 0;
	r = answer(a, &m, 32 * SECOND);
	assert_true(r.has_settings);
	assert_int_equal(r.settings.remaining_ns, 30 * SECOND);
	m.sequence++;
	assert_false(answer(a, &m, 62 * SECOND).has_settings);
	assert_int_equal(only(a, 62 * SECOND).wanted.version, 0);
	ap_agents_free(a);
}

static void the_word_to_return_is_kept_until_it_is_heard(void **state)
{
	const struct ap_settings s = {1, {"cpu"}, 0, 0, 3600 * (uint64_t)SECOND}, none = {0};
	struct ap_agents *a = agents();
	struct ap_batch_meta m = meta_of(1, 1);
	struct ap_push_result r;
	uint64_t version = 1ull << 62; /* of an aggregator whose clock was ahead */

	m.status.settings.version = version;
	assert_false(answer(a, &m, SECOND).has_settings);
	assert_int_equal(ap_agents_want(a, m.agent_id, &s, SECOND, NULL), 0);
	assert_int_equal(ap_agents_want(a, m.agent_id, &none, SECOND, NULL), 0);
	m.sequence++;
	r = answer(a, &m, 1800 * SECOND);
	assert_true(r.has_settings);
	assert_int_equal(r.settings.remaining_ns, 0);
	assert_int_equal(r.config_version, version + 2);
	m.status.settings.version = r.config_version;
	m.sequence++;
	assert_false(answer(a, &m, 1801 * SECOND).has_settings);
	assert_int_equal(only(a, 1801 * SECOND).wanted.version, 0);
	ap_agents_free(a);
}

/* An aggregator that begins at `now` with what is in the file, and knows the agent. */
static struct ap_agents *begin_again(const char *path, const struct ap_batch_meta *m, int64_t now)
{
	struct ap_agents *a = agents();
	struct ap_error err = {0};

	if (ap_agents_keep_wanted(a, path, &err) < 0)
		fail_msg("%s", err.msg);
	claim(a, m, now);
	assert_int_equal(ap_agents_load_wanted(a, now, &err), 0);
	return a;
}

static void what_is_wanted_outlives_the_aggregator_until_it_ends(void **state)
{
	const struct ap_settings s = {2, {"cpu", "lock"}, 999, 20000, 60 * (uint64_t)SECOND};
	char folder[] = "/tmp/ap-wanted-XXXXXX", path[64], command[64];
	struct ap_batch_meta m = meta_of(1, 1);
	struct ap_error err = {0};
	struct ap_push_result r;
	struct ap_agents *a;
	uint64_t version;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state.db", folder);
	a = begin_again(path, &m, SECOND);
	assert_int_equal(ap_agents_want(a, m.agent_id, &s, SECOND, &err), 0);
	version = only(a, SECOND).wanted.version;
	ap_agents_free(a);
	m.sequence++;
	a = begin_again(path, &m, 21 * SECOND);
	m.sequence++;
	r = answer(a, &m, 21 * SECOND);
	assert_true(r.has_settings);
	assert_int_equal(r.config_version, version);
	assert_int_equal(r.settings.n_modes, 2);
	assert_string_equal(r.settings.modes[1], "lock");
	assert_int_equal(r.settings.frequency_hz, 999);
	assert_int_equal(r.settings.wait_threshold_ns, 20000);
	assert_int_equal(r.settings.remaining_ns, 40 * SECOND);
	ap_agents_free(a);
	/* Over: not asked for again, not even by a clock that was set back. */
	ap_agents_free(begin_again(path, &m, 61 * SECOND));
	a = begin_again(path, &m, 21 * SECOND);
	assert_int_equal(only(a, 21 * SECOND).wanted.version, 0);
	ap_agents_free(a);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_accepted_once),
		cmocka_unit_test(a_claim_taken_back_is_free_again),
		cmocka_unit_test(what_is_saved_is_known_again),
		cmocka_unit_test(epochs_long_gone_are_refused),
		cmocka_unit_test(sums_and_cost_are_kept),
		cmocka_unit_test(silence_and_leaving_show),
		cmocka_unit_test(an_agent_of_the_past_is_restored),
		cmocka_unit_test(settings_travel_until_they_are_heard),
		cmocka_unit_test(the_word_to_return_is_kept_until_it_is_heard),
		cmocka_unit_test(what_is_wanted_outlives_the_aggregator_until_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
