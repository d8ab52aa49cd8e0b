/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of packages, of a database like rpm's that is made here. */
#include "agent/rpm.h"

#include <arpa/inet.h>
#include <sqlite3.h>

#include "agent/package.h"
#include "agent/rpm_header.h"
#include "base/clock.h"
#include "rpm_root.h"

#define SCHEMA                                                                                   \
	"PRAGMA journal_mode = WAL;"                                                             \
	"CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"  \
	"CREATE TABLE 'Basenames' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT " \
	"NULL, FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum));"                                 \
	"CREATE INDEX 'Basenames_key_idx' ON 'Basenames'(key ASC);"

enum { NAME = 1000, VERSION = 1001, RELEASE = 1002, EPOCH = 1003, SUMMARY = 1004 };
enum { DIR_INDEXES = 1116, BASE_NAMES = 1117, DIR_NAMES = 1118 };
enum { INT32 = 4, STRING = 6, STRING_ARRAY = 8 };

static char database[128];

/* ---- Headers. ---- */

struct header {
	struct ap_buf index, store;
	uint32_t n;
};

static void put_u32(struct ap_buf *b, uint32_t v)
{
	const uint32_t be = htonl(v);

	ap_buf_append(b, &be, sizeof(be));
}

static void begin(struct header *h, uint32_t tag, uint32_t type, uint32_t count)
{
	while (type == INT32 && h->store.n % 4)
		ap_buf_byte(&h->store, 0);
	put_u32(&h->index, tag);
	put_u32(&h->index, type);
	put_u32(&h->index, (uint32_t)h->store.n);
	put_u32(&h->index, count);
	h->n++;
}

static void put_string(struct header *h, uint32_t tag, const char *text)
{
	begin(h, tag, STRING, 1);
	ap_buf_append(&h->store, text, strlen(text) + 1);
}

struct package {
	const char *name, *version, *release;
	uint32_t epoch;		/* 0: none */
	const char *paths[300]; /* NULL-terminated */
};

/* A folder for each file: rpm has each once, which readers need not know. */
static void make_header(const struct package *p, struct ap_buf *ret)
{
	struct header h = {0};
	uint32_t n = 0;

	put_string(&h, NAME, p->name);
	put_string(&h, VERSION, p->version);
	put_string(&h, RELEASE, p->release);
	put_string(&h, SUMMARY, "says: 9.9-9");
	if (p->epoch) {
		begin(&h, EPOCH, INT32, 1);
		put_u32(&h.store, p->epoch);
	}
	while (p->paths[n])
		n++;
	begin(&h, DIR_INDEXES, INT32, n);
	for (uint32_t i = 0; i < n; i++)
		put_u32(&h.store, n - 1 - i);
	begin(&h, BASE_NAMES, STRING_ARRAY, n);
	for (uint32_t i = 0; i < n; i++)
		ap_buf_append(&h.store, strrchr(p->paths[i], '/') + 1,
			      strlen(strrchr(p->paths[i], '/')));
	begin(&h, DIR_NAMES, STRING_ARRAY, n);
	for (uint32_t i = n; i-- > 0;) {
		ap_buf_append(&h.store, p->paths[i],
			      (size_t)(strrchr(p->paths[i], '/') + 1 - p->paths[i]));
		ap_buf_byte(&h.store, 0);
	}
	put_u32(ret, h.n);
	put_u32(ret, (uint32_t)h.store.n);
	ap_buf_append(ret, h.index.p, h.index.n);
	ap_buf_append(ret, h.store.p, h.store.n);
	ap_buf_free(&h.index);
	ap_buf_free(&h.store);
}

/* ---- The database. ---- */

static sqlite3 *open_db(void)
{
	sqlite3 *db;
	int keep = 1;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	sqlite3_file_control(db, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void install(sqlite3 *db, const struct package *p)
{
	_cleanup_buf_ struct ap_buf blob = {0};
	sqlite3_stmt *st;
	int64_t id;

	make_header(p, &blob);
	sqlite3_prepare_v2(db, "INSERT INTO Packages(blob) VALUES(?)", -1, &st, NULL);
	sqlite3_bind_blob(st, 1, blob.p, (int)blob.n, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	id = sqlite3_last_insert_rowid(db);
	sqlite3_prepare_v2(db, "INSERT INTO Basenames VALUES(?, ?, ?)", -1, &st, NULL);
	for (int i = 0; p->paths[i]; i++) {
		sqlite3_bind_text(st, 1, strrchr(p->paths[i], '/') + 1, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, id);
		sqlite3_bind_int(st, 3, i);
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
}

static const struct package web = {
	.name = "web",
	.version = "1.22.1",
	.release = "9.fc40",
	.epoch = 1,
	.paths = {"/usr/sbin/web", "/usr/share/doc/web/tool", "/etc/web.conf"},
};
static const struct package tool = {
	.name = "tool",
	.version = "0",
	.release = "1",
	.paths = {"/usr/share/tool", "/bin/sh", "/usr/bin/tool"},
};

static int set_up(void **state)
{
	char dir[100];
	sqlite3 *db;

	make_root();
	snprintf(dir, sizeof(dir), "%s/var/lib/rpm", root);
	snprintf(database, sizeof(database), "%s/rpmdb.sqlite", dir);
	assert_int_equal(ap_mkdir_all(dir, 0755), 0);
	db = open_db();
	run(db, SCHEMA);
	install(db, &web);
	install(db, &tool);
	run(db, "PRAGMA wal_checkpoint = TRUNCATE");
	sqlite3_close(db);
	return 0;
}

/* ---- Tests. ---- */

static void test_files_of_packages_have_their_version(void **state)
{
	expect("/usr/sbin/web", "1:1.22.1-9.fc40");
	expect("/usr/bin/tool", "0-1");
	expect("/usr/bin/sh", "0-1"); /* listed as of before the merge */
	expect("/usr/share/doc/web/tool", "1:1.22.1-9.fc40");
	expect("/usr/local/bin/tool", NULL);
	expect("/usr/bin/web", NULL);
	expect("/usr/sbin/we", NULL);
	expect("web", NULL);
}

static void test_what_a_transaction_has_done_counts(void **state)
{
	sqlite3 *db = open_db();
	struct package next = web;

	next.version = "1.22.2";
	run(db, "DELETE FROM Basenames WHERE hnum = 1; DELETE FROM Packages WHERE hnum = 1");
	install(db, &next);
	expect("/usr/sbin/web", "1:1.22.2-9.fc40");
	sqlite3_close(db);
	expect("/usr/sbin/web", "1:1.22.2-9.fc40");
}

/* An upgrade adds the new package before it removes the old. */
static void test_the_package_installed_last_has_it(void **state)
{
	sqlite3 *db = open_db();
	struct package next = web;

	next.version = "1.21.9";
	install(db, &next);
	sqlite3_close(db);
	expect("/usr/sbin/web", "1:1.21.9-9.fc40");
}

static void test_while_rpm_is_at_work_nothing_is_known(void **state)
{
	int lock = lock_like_rpm(root);

	let_rest(root);
	expect_of(root, "/usr/sbin/web", -EAGAIN, NULL);
	expect_of(root, "/usr/bin/web", -EAGAIN, NULL);
	close(lock);
	expect("/usr/sbin/web", "1:1.22.1-9.fc40");
	assert_int_equal(utimensat(AT_FDCWD, database, NULL, 0), 0);
	expect_of(root, "/usr/sbin/web", -EAGAIN, NULL);
	expect("/usr/sbin/web", "1:1.22.1-9.fc40");
}

static void test_nothing_is_made_beside_it(void **state)
{
	char dir[100];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s-wal", database);
	unlink(dir);
	snprintf(dir, sizeof(dir), "%s-shm", database);
	unlink(dir);
	expect("/usr/sbin/web", "1:1.22.1-9.fc40");
	snprintf(dir, sizeof(dir), "%s/var/lib/rpm", root);
	d = opendir(dir);
	while ((e = readdir(d)))
		assert_true(e->d_name[0] == '.' || strcmp(e->d_name, "rpmdb.sqlite") == 0);
	closedir(d);
}

static void test_without_a_database_there_is_no_version(void **state)
{
	assert_int_equal(ap_write_file_atomic(database, "not SQLite", 10, 0644, false), 0);
	expect("/usr/sbin/web", NULL);
	assert_int_equal(unlink(database), 0);
	expect("/usr/sbin/web", NULL);
	assert_int_equal(access(database, F_OK), -1);
}

/* Cut anywhere, or with any byte another one, a header is refused or tells of a file that it has. */
static void test_damaged_headers(void **state)
{
	_cleanup_buf_ struct ap_buf header = {0};

	make_header(&tool, &header);
	for (size_t n = 0; n < header.n; n++) {
		/* On the heap to the byte, so that the sanitizer sees what is read beyond. */
		_cleanup_free_ char *cut = malloc(n + 1), *found = NULL;

		memcpy(cut, header.p, n);
		cut = realloc(cut, n ? n : 1);
		assert_int_equal(
			ap_rpm_header_version((struct ap_str){cut, n}, 2, "/usr/bin/tool", &found),
			-ENOENT);
	}
	for (size_t i = 0; i < header.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			_cleanup_free_ char *found = NULL;

			header.p[i] ^= (uint8_t)(1 << bit);
			ap_rpm_header_version(ap_buf_view(&header), 2, "/usr/bin/tool", &found);
			header.p[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void run_as(const char *path)
{
	char at[200];

	snprintf(at, sizeof(at), "%s/usr/bin", root);
	assert_int_equal(ap_mkdir_all(at, 0755), 0);
	snprintf(at, sizeof(at), "%s%s", root, path);
	assert_int_equal(linkat(AT_FDCWD, "/proc/self/exe", AT_FDCWD, at, AT_SYMLINK_FOLLOW), 0);
}

static void test_programs_have_it(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_package_program program = {AP_STR("/usr/bin/tool"), AP_STR("a"), getpid()};
	struct ap_str v;

	run_as("/usr/bin/tool");
	let_rest(root);
	assert_int_equal(ap_packages_find(p, &program, 1000, &v), 0);
	assert_true(ap_str_is(v, "0-1"));
	ap_packages_free(p);
}

static void test_programs_have_it_when_rpm_is_done(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_package_program program = {AP_STR("/usr/bin/tool"), AP_STR("a"), getpid()};
	int lock = lock_like_rpm(root);
	struct ap_str v;

	run_as("/usr/bin/tool");
	let_rest(root);
	assert_int_equal(ap_packages_find(p, &program, 1000, &v), -ENOENT);
	close(lock);
	assert_int_equal(ap_packages_find(p, &program, 1000 * AP_NSEC_PER_SEC, &v), 0);
	assert_true(ap_str_is(v, "0-1"));
	ap_packages_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files_of_packages_have_their_version),
		TEST(test_what_a_transaction_has_done_counts),
		TEST(test_the_package_installed_last_has_it),
		TEST(test_while_rpm_is_at_work_nothing_is_known),
		TEST(test_nothing_is_made_beside_it),
		TEST(test_without_a_database_there_is_no_version),
		TEST(test_damaged_headers),
		TEST(test_programs_have_it),
		TEST(test_programs_have_it_when_rpm_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
