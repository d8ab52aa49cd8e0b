/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that bring a store's tables about, to servers of which none is here: what a cluster of modern ones is told.
 * The answers are the test's. */
#include "aggregator/store/schema.h"

#include "../../test.h"

static struct {
	struct ap_buf statements; /* a line each */
	uint64_t tables;	  /* that the server has */
	const char *unsynced;	  /* the table of which it says so; NULL: none */
	int result;		  /* of ALTER TABLE */
} server;

static int exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	ap_buf_str(&server.statements, sql);
	ap_buf_byte(&server.statements, '\n');
	return ap_str_starts(sql, AP_STR("ALTER")) ? server.result : 0;
}

static uint64_t answer(struct ap_str sql)
{
	if (memmem(sql.p, sql.n, "engine_full", 11)) {
		char name[64];

		if (!server.unsynced)
			return 0;
		snprintf(name, sizeof(name), "name = '%s'", server.unsynced);
		return memmem(sql.p, sql.n, name, strlen(name)) != NULL;
	}
	return memmem(sql.p, sql.n, "system.tables", 13) ? server.tables : AP_SCHEMA_VERSION;
}

static int query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		 ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	uint64_t value = answer(sql);
	struct ap_native_column column = {.type = AP_NATIVE_UINT64,
					  .rows = 1,
					  .width = sizeof(value),
					  .data = (const uint8_t *)&value};
	const struct ap_native_view view = {.columns = &column, .n_columns = 1, .rows = 1};

	return fn(ctx, &view);
}

static const struct ap_store_driver driver = {.name = "test", .exec = exec, .query = query};

/* The statements that a store was told at its start. */
static const char *apply(const char *cluster, uint32_t caps)
{
	struct ap_store s = {0};
	struct ap_error err = {0};

	ap_store_init(&s, &driver);
	s.cluster = cluster;
	s.database = "aperture";
	s.caps = caps;
	ap_buf_clear(&server.statements);
	assert_int_equal(ap_schema_apply(&s, &err), 0);
	ap_buf_byte(&server.statements, '\0');
	pthread_mutex_destroy(&s.opening);
	return (const char *)server.statements.p;
}

static int set_up(void **state)
{
	ap_buf_free(&server.statements);
	memset(&server, 0, sizeof(server));
	server.tables = 24; /* 11 dealt out, of which each has a view; meta and rollups */
	return 0;
}

#define SETTINGS                                                            \
	"MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1, " \
	"min_rows_to_fsync_after_merge = 1\n"

static void tables_of_earlier_versions_are_synced(void **state)
{
	server.unsynced = "samples_1h_local";
	assert_string_equal(apply("prof", AP_STORE_CAP_FSYNC),
			    "ALTER TABLE samples_1h_local ON CLUSTER 'prof' " SETTINGS);
	server.unsynced = "rollups"; /* which has no view */
	assert_string_equal(apply("prof", AP_STORE_CAP_FSYNC),
			    "ALTER TABLE rollups ON CLUSTER 'prof' " SETTINGS);
	server.unsynced = NULL;
	assert_string_equal(apply("prof", AP_STORE_CAP_FSYNC), "");
	server.unsynced = "samples";
	assert_non_null(strstr(apply(NULL, AP_STORE_CAP_FSYNC), "\nALTER TABLE samples " SETTINGS));
}

/* A server of the cluster that is down keeps nobody from starting. */
static void a_server_that_is_down_is_not_waited_for(void **state)
{
	server.unsynced = "samples_local";
	server.result = -ETIMEDOUT;
	assert_non_null(strstr(apply("prof", AP_STORE_CAP_FSYNC), "ALTER TABLE samples_local "));
}

static void a_server_without_the_settings_is_told_nothing(void **state)
{
	server.unsynced = "samples_local";
	assert_string_equal(apply("prof", 0), "");
	server.unsynced = "samples";
	assert_null(strstr(apply(NULL, 0), "fsync"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tables_of_earlier_versions_are_synced, set_up),
		cmocka_unit_test_setup(a_server_that_is_down_is_not_waited_for, set_up),
		cmocka_unit_test_setup(a_server_without_the_settings_is_told_nothing, set_up),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	ap_buf_free(&server.statements);
	return r;
}
