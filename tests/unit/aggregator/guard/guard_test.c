/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/guard.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "../../test.h"
#include "base/io.h"

static char folder[64], path[96];
static struct ap_guard *guard;

static int open_guard(uint64_t audit)
{
	const struct ap_guard_options o = {
		.path = path, .required = true, .max_sessions = 3, .audit_entries = audit};

	return ap_guard_open(&o, &guard, NULL);
}

static int set_up(void **state)
{
	strcpy(folder, "/tmp/aperture-guard-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/guard.db", folder);
	return open_guard(5);
}

static int tear_down(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char name[128];

	ap_guard_close(guard);
	for (size_t i = 0; i < AP_ARRAY_SIZE(suffixes); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static void make(const char *name, enum ap_role role, int64_t expires, char token[AP_SECRET_TEXT])
{
	assert_int_equal(ap_guard_create_token(guard, name, role, expires, token, NULL), 0);
}

static void tokens_are_known_until_revoked(void **state)
{
	char token[AP_SECRET_TEXT], again[AP_SECRET_TEXT];
	struct ap_caller who;
	struct ap_error err = {0};

	make("ann", AP_ROLE_READ, 0, token);
	assert_int_equal(ap_guard_check_token(guard, ap_str_of(token), &who), 0);
	assert_string_equal(who.name, "ann");
	assert_int_equal(who.role, AP_ROLE_READ);
	assert_int_equal(ap_guard_create_token(guard, "ann", AP_ROLE_READ, 0, again, &err),
			 -EEXIST);
	assert_int_equal(ap_guard_create_token(guard, "a b", AP_ROLE_READ, 0, again, &err),
			 -EINVAL);
	assert_int_equal(ap_guard_create_token(guard, "", AP_ROLE_READ, 0, again, &err), -EINVAL);
	assert_int_equal(ap_guard_revoke_token(guard, "ann", &err), 0);
	assert_int_equal(ap_guard_check_token(guard, ap_str_of(token), &who), -EACCES);
	assert_int_equal(ap_guard_revoke_token(guard, "ann", &err), -ENOENT);
}

static void tokens_expire(void **state)
{
	char token[AP_SECRET_TEXT];
	struct ap_caller who;

	make("old", AP_ROLE_READ, 1, token);
	assert_int_equal(ap_guard_check_token(guard, ap_str_of(token), &who), -EACCES);
}

static void another_program_may_change_tokens(void **state)
{
	char token[AP_SECRET_TEXT];
	struct ap_guard_db *db;
	struct ap_caller who;

	assert_int_equal(ap_guard_db_open(path, &db, NULL), 0);
	assert_int_equal(ap_guard_create(db, "cli", AP_ROLE_PUSH, 0, token, NULL), 0);
	assert_int_equal(ap_guard_check_token(guard, ap_str_of(token), &who), 0);
	assert_int_equal(ap_guard_db_revoke(db, "cli", NULL), 0);
	assert_int_equal(ap_guard_check_token(guard, ap_str_of(token), &who), -EACCES);
	ap_guard_db_close(db);
}

static void the_file_holds_no_token_and_is_its_owners_alone(void **state)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	char token[AP_SECRET_TEXT];
	struct stat st;

	make("secret", AP_ROLE_ADMIN, 0, token);
	ap_guard_close(guard); /* all of it is in the one file then */
	guard = NULL;
	assert_int_equal(ap_read_file(-100, path, 1 << 20, &bytes), 0);
	assert_non_null(memmem(bytes.p, bytes.n, "secret", 6));
	assert_null(memmem(bytes.p, bytes.n, token + 4, strlen(token) - 4));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

static void sessions_die_with_their_token(void **state)
{
	char token[AP_SECRET_TEXT], id[AP_SECRET_TEXT];
	struct ap_caller who;
	uint32_t wait;

	make("ann", AP_ROLE_ADMIN, 0, token);
	assert_int_equal(ap_guard_login(guard, ap_str_of(token), "10.0.0.1", id, &who, &wait), 0);
	assert_int_equal(ap_guard_check_session(guard, ap_str_of(id), &who), 0);
	assert_true(ap_guard_check_csrf(&who, ap_str_of(who.csrf)));
	assert_false(ap_guard_check_csrf(&who, (struct ap_str){0}));
	assert_false(ap_guard_check_csrf(&who, AP_STR("x")));
	assert_int_equal(ap_guard_check_session(guard, ap_str_of(token), &who), -EACCES);
	ap_guard_revoke_token(guard, "ann", NULL);
	assert_int_equal(ap_guard_check_session(guard, ap_str_of(id), &who), -EACCES);
	/* A new token of the name is another one. */
	make("ann", AP_ROLE_ADMIN, 0, token);
	assert_int_equal(ap_guard_check_session(guard, ap_str_of(id), &who), -EACCES);
}

static void logins_are_bounded(void **state)
{
	char token[AP_SECRET_TEXT], id[AP_SECRET_TEXT];
	struct ap_guard_stats stats;
	struct ap_caller who;
	uint32_t wait = 0;

	make("ann", AP_ROLE_ADMIN, 0, token);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ap_guard_login(guard, ap_str_of(token), "a", id, &who, &wait), 0);
	assert_int_equal(ap_guard_login(guard, ap_str_of(token), "a", id, &who, &wait), -EBUSY);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ap_guard_login(guard, AP_STR("apt_"), "b", id, &who, &wait),
				 -EACCES);
	assert_int_equal(ap_guard_login(guard, ap_str_of(token), "b", id, &who, &wait), -EAGAIN);
	assert_in_range(wait, 1, 12);
	assert_int_equal(ap_guard_login(guard, AP_STR("apt_"), "c", id, &who, &wait), -EACCES);
	ap_guard_get_stats(guard, &stats);
	assert_int_equal(stats.logins, 3);
	assert_int_equal(stats.logins_failed, 6);
	assert_int_equal(stats.logins_limited, 1);
	assert_int_equal(stats.sessions_refused, 1);
	assert_int_equal(stats.sessions, 3);
}

static int count_entry(void *ctx, const struct ap_audit_entry *e)
{
	uint64_t *ids = ctx;

	assert_string_equal(e->action, "POST /x");
	ids[ids[0] + 1] = e->id;
	ids[0]++;
	return 0;
}

static void the_audit_log_keeps_the_latest(void **state)
{
	const struct ap_audit_entry e = {
		.who = "ann", .from = "10.0.0.1", .action = "POST /x", .target = "", .status = 200};
	uint64_t ids[16] = {0};

	for (int i = 0; i < 9; i++)
		ap_guard_audit(guard, &e);
	assert_int_equal(ap_guard_list_audit(guard, 0, 10, count_entry, ids, NULL), 0);
	assert_int_equal(ids[0], 5);
	assert_int_equal(ids[1], 9);
	assert_int_equal(ids[5], 5);
	memset(ids, 0, sizeof(ids));
	assert_int_equal(ap_guard_list_audit(guard, 8, 2, count_entry, ids, NULL), 0);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 7);
}

static void foreign_and_later_files_are_left_alone(void **state)
{
	struct ap_guard_db *db = NULL;
	struct ap_error err = {0};
	sqlite3 *raw;

	ap_guard_close(guard);
	guard = NULL;
	assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(ap_guard_db_open(path, &db, &err), -EEXIST);
	sqlite3_exec(raw, "PRAGMA user_version=0", NULL, NULL, NULL);
	assert_int_equal(ap_guard_db_open(path, &db, &err), -EBADMSG);
	sqlite3_close(raw);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tokens_are_known_until_revoked),
		TEST(tokens_expire),
		TEST(another_program_may_change_tokens),
		TEST(the_file_holds_no_token_and_is_its_owners_alone),
		TEST(sessions_die_with_their_token),
		TEST(logins_are_bounded),
		TEST(the_audit_log_keeps_the_latest),
		TEST(foreign_and_later_files_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
