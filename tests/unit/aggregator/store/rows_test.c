/* SPDX-License-Identifier: Apache-2.0 */
#include "../../test.h"
#include "aggregator/store/identity.h"
#include "aggregator/store/rows.h"
#include "aggregator/store/schema.h"

#define DAY   20000
#define BEGIN (DAY * 86400ll)
#define NSEC  1000000000ll

static uint32_t text(struct ap_profile *p, const char *s)
{
	uint32_t id;

	assert_int_equal(ap_profile_string(p, ap_str_of(s), &id), 0);
	return id;
}

static uint32_t labels_of(struct ap_profile *p, const char *service, const char *team)
{
	struct ap_label l[2] = {{text(p, "service"), text(p, service)},
				{text(p, "team"), text(p, team ?: "")}};
	uint32_t id;

	assert_int_equal(ap_profile_labels(p, l, team ? 2 : 1, &id), 0);
	return id;
}

static void add(struct ap_profile *p, int64_t second, uint32_t event, uint32_t labels,
		uint64_t count)
{
	struct ap_sample s = {.time_ns = (BEGIN + second) * NSEC,
			      .count = count,
			      .value = count * 10,
			      .labels = labels,
			      .event = event};

	assert_int_equal(ap_profile_add(p, &s), 0);
}

static struct ap_batch batch_of(struct ap_profile *p, struct ap_batch_meta *meta)
{
	return (struct ap_batch){.profile = p, .meta = meta, .day = DAY, .n_rows = p->samples.n};
}

static void make(struct ap_profile *const *profiles, size_t n, struct ap_native_view *ret)
{
	struct ap_known *known = ap_known_new();
	struct ap_batch_meta meta = {.start_ns = BEGIN * NSEC, .end_ns = (BEGIN + 10) * NSEC};
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_error err = {0};
	static uint8_t kept[1 << 20];
	struct ap_rows rows;
	size_t used;

	assert_int_equal(ap_rows_init(&rows, known), 0);
	for (int round = 0; round < 2; round++) { /* the second as if nothing had been before */
		ap_rows_clear(&rows);
		for (size_t i = 0; i < n; i++) {
			struct ap_batch b = batch_of(profiles[i], &meta);

			assert_int_equal(ap_rows_add(&rows, &b, 77), 0);
		}
		assert_int_equal(ap_rows_finish(&rows), 0);
	}
	assert_int_equal(ap_native_encode(rows.samples, &bytes), 0);
	assert_in_range(bytes.n, 1, sizeof(kept));
	memcpy(kept, bytes.p, bytes.n);
	assert_int_equal(ap_native_decode((struct ap_str){(char *)kept, bytes.n}, ret, &used, &err),
			 0);
	ap_rows_free(&rows);
	ap_known_free(known);
}

static const char *service_at(const struct ap_native_view *v, size_t row)
{
	static char name[2][32];
	struct ap_str s = ap_native_str(&v->columns[AP_SAMPLES_LABEL], row);

	snprintf(name[row % 2], sizeof(name[0]), "%.*s", AP_STR_ARG(s));
	return name[row % 2];
}

/* The engine finds them sorted, and need not. */
static void samples_are_in_the_order_of_their_table(void **state)
{
	static const char *const services[] = {"web", "db", "web-2", "", "we"};
	struct ap_profile *p[3];
	struct ap_native_view v = {0};
	uint64_t counts = 0, seen = 0;

	for (size_t i = 0; i < 3; i++) {
		p[i] = ap_profile_new();
		for (uint64_t k = 0; k < 500; k++) {
			uint64_t random = (i * 500 + k) * 0x9e3779b97f4a7c15ull >> 32;

			add(p[i], random % 86400, 1 + random % 3,
			    labels_of(p[i], services[random % 5], random % 7 ? NULL : "blue"),
			    k + 1);
			counts += k + 1;
		}
	}
	make(p, 3, &v);
	assert_int_equal(v.rows, 1500);
	for (size_t i = 0; i < v.rows; i++) {
		uint64_t event = ap_native_uint(&v.columns[AP_SAMPLES_EVENT], i);
		uint64_t time = ap_native_uint(&v.columns[AP_SAMPLES_TIME], i);
		uint64_t count = ap_native_uint(&v.columns[AP_SAMPLES_COUNT], i);
		int r = i ? strcmp(service_at(&v, i - 1), service_at(&v, i)) : -1;

		assert_int_equal(ap_native_uint(&v.columns[AP_SAMPLES_VALUE], i), count * 10);
		assert_int_equal(ap_native_uint(&v.columns[AP_SAMPLES_SEGMENT], i), 77);
		seen += count;
		assert_true(r <= 0);
		if (r < 0)
			continue;
		assert_true(ap_native_uint(&v.columns[AP_SAMPLES_EVENT], i - 1) <= event);
		if (ap_native_uint(&v.columns[AP_SAMPLES_EVENT], i - 1) == event)
			assert_true(ap_native_uint(&v.columns[AP_SAMPLES_TIME], i - 1) <= time);
	}
	assert_int_equal(seen, counts);
	ap_native_view_free(&v);
	for (size_t i = 0; i < 3; i++)
		ap_profile_free(p[i]);
}

/* Each row keeps what belongs together. */
static void rows_keep_their_labels(void **state)
{
	struct ap_profile *p = ap_profile_new();
	struct ap_native_view v = {0};
	size_t from, to;

	add(p, 9, AP_EVENT_LOCK, labels_of(p, "b", "red"), 1);
	add(p, 5, AP_EVENT_CPU, labels_of(p, "b", NULL), 2);
	add(p, 7, AP_EVENT_CPU, labels_of(p, "a", "blue"), 3);
	add(p, 5, AP_EVENT_CPU, labels_of(p, "b", "red"), 4);
	make(&p, 1, &v);
	assert_int_equal(v.rows, 4);
	for (size_t i = 0; i < 4; i++) {
		static const struct {
			const char *service, *team;
			uint64_t count, event, second;
		} expected[] = {{"a", "blue", 3, AP_EVENT_CPU, 7},
				{"b", NULL, 2, AP_EVENT_CPU, 5},
				{"b", "red", 4, AP_EVENT_CPU, 5},
				{"b", "red", 1, AP_EVENT_LOCK, 9}};
		const struct ap_native_column *teams = &v.columns[AP_SAMPLES_LABEL_VALUES];

		assert_string_equal(service_at(&v, i), expected[i].service);
		assert_int_equal(ap_native_uint(&v.columns[AP_SAMPLES_COUNT], i),
				 expected[i].count);
		assert_int_equal(ap_native_uint(&v.columns[AP_SAMPLES_EVENT], i),
				 expected[i].event);
		assert_int_equal(ap_native_uint(&v.columns[AP_SAMPLES_TIME], i),
				 BEGIN + (int64_t)expected[i].second);
		ap_native_array(teams, i, &from, &to);
		assert_int_equal(to - from, expected[i].team != NULL);
		if (expected[i].team)
			assert_true(ap_str_is(ap_native_str(teams->items, from), expected[i].team));
	}
	ap_native_view_free(&v);
	ap_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_in_the_order_of_their_table),
		cmocka_unit_test(rows_keep_their_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
