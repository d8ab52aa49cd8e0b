/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that rpm and Berkeley DB have written (rpm/make.py), whole and damaged. */
#include "agent/rpm_format.h"

#include <sys/mman.h>

#include "rpm_root.h"

#define MANY  "/usr/bin/many"
#define EVR   "2.5-3.el8"
#define FLIPS 1500
#define CUTS  40
#define EVERY 29

static const char *const databases[] = {"sqlite", "ndb", "bdb", "hash", "big"};

struct file {
	const char *database, *name;
	const struct ap_rpm_format *format;
};

static const struct file files[] = {
	{"ndb", "Packages.db", &ap_rpm_ndb}, {"ndb", "Index.db", &ap_rpm_ndb},
	{"bdb", "Packages", &ap_rpm_bdb},    {"bdb", "Basenames", &ap_rpm_bdb},
	{"hash", "Packages", &ap_rpm_bdb},   {"hash", "Basenames", &ap_rpm_bdb},
	{"big", "Packages", &ap_rpm_bdb},    {"big", "Basenames", &ap_rpm_bdb},
};

static struct ap_buf answers; /* lines of path and version, "-" for none */

static int set_up(void **state)
{
	char command[300];

	make_root();
	snprintf(command, sizeof(command),
		 "tar -xJf %s/tests/unit/agent/rpm/databases.tar.xz -C %s",
		 getenv("AP_SOURCE_ROOT"), root);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/answers", root);
	ap_buf_clear(&answers);
	return ap_read_file(AT_FDCWD, command, 1 << 20, &answers);
}

static int tear_down(void **state)
{
	ap_buf_free(&answers);
	return remove_root(state);
}

static const char *root_of(const char *database)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", root, database);
	return path;
}

/* The next of rpm's answers; `version` is NULL for a path of no package. */
static bool next_answer(struct ap_str *rest, char **path, char **version)
{
	struct ap_str line = ap_str_cut(rest, '\n'), name;

	if (line.n == 0)
		return false;
	name = ap_str_cut(&line, ' ');
	*path = ap_str_dup(name);
	*version = ap_str_is(line, "-") ? NULL : ap_str_dup(line);
	return true;
}

/* To every so many of the paths, either rpm's answer is given or none. */
static void expect_no_lie(const char *database)
{
	struct ap_str rest = ap_buf_view(&answers);
	char *path, *version;

	let_rest(root_of(database));
	for (size_t i = 0; next_answer(&rest, &path, &version); i++) {
		_cleanup_free_ char *found = NULL;
		int r = -ENOENT;

		if (i % EVERY == 0)
			r = ap_rpm_version(root_of(database), path, &found);
		if (r == 0)
			assert_string_equal(found, version ? version : "none");
		else
			assert_true(r == -ENOENT || r == -EAGAIN);
		free(path);
		free(version);
	}
}

static const char *path_of(const struct file *f)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/var/lib/rpm/%s", root_of(f->database), f->name);
	return path;
}

static size_t size_of(const struct file *f)
{
	struct stat st;

	assert_int_equal(stat(path_of(f), &st), 0);
	return (size_t)st.st_size;
}

/* The file in memory, what is written to it goes to the disk. */
static uint8_t *map(const struct file *f)
{
	int fd = open(path_of(f), O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, size_of(f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	close(fd);
	return p;
}

/* ---- Tests. ---- */

static void test_versions_are_what_rpm_says(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(databases); i++) {
		struct ap_str rest = ap_buf_view(&answers);
		char *path, *version;
		size_t n = 0;

		let_rest(root_of(databases[i]));
		while (next_answer(&rest, &path, &version)) {
			expect_of(root_of(databases[i]), path, version ? 0 : -ENOENT, version);
			free(path);
			free(version);
			n++;
		}
		assert_true(n > 500);
	}
}

static void test_while_rpm_is_at_work_nothing_is_known(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(databases); i++) {
		const char *at = root_of(databases[i]);
		int lock = lock_like_rpm(at);

		let_rest(at);
		expect_of(at, MANY, -EAGAIN, NULL);
		close(lock);
		expect_of(at, MANY, 0, EVR);
	}
}

static void test_what_was_written_a_moment_ago_is_not_known(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++) {
		const char *at = root_of(files[i].database);

		assert_int_equal(utimensat(AT_FDCWD, path_of(&files[i]), NULL, 0), 0);
		expect_of(at, MANY, -EAGAIN, NULL);
		let_rest(at);
		expect_of(at, MANY, 0, EVR);
	}
}

/* rpm counts Packages.db on first. */
static void test_an_index_that_lags_behind_is_not_used(void **state)
{
	uint8_t *packages = map(&files[0]);

	packages[8]++;
	let_rest(root_of("ndb"));
	expect_of(root_of("ndb"), MANY, -EAGAIN, NULL);
	munmap(packages, size_of(&files[0]));
}

/* What a reader has open is emptied. */
static void test_files_that_shrink_while_they_are_read(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i += 2) {
		const struct ap_rpm_format *f = files[i].format;
		_cleanup_buf_ struct ap_buf header = {0};
		struct ap_rpm_places places = {0};
		char dir[200];
		void *db;

		snprintf(dir, sizeof(dir), "%s/var/lib/rpm", root_of(files[i].database));
		assert_int_equal(f->open(dir, &db), 0);
		assert_int_equal(f->find(db, AP_STR("many"), &places), 0);
		assert_int_equal(places.n, 1);
		assert_int_equal(f->read(db, places.at[0].package, 100, &header), -EFBIG);
		assert_int_equal(f->read(db, places.at[0].package, 1 << 20, &header), 0);
		assert_int_equal(truncate(path_of(&files[i]), 0), 0);
		assert_int_equal(truncate(path_of(&files[i + 1]), 0), 0);
		assert_true(f->find(db, AP_STR("many"), &places) < 0);
		assert_true(f->read(db, places.at[0].package, 1 << 20, &header) < 0);
		f->close(db);
	}
}

static void test_cut_files(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++) {
		size_t n = size_of(&files[i]);

		for (size_t k = CUTS; k-- > 0;) {
			assert_int_equal(
				truncate(path_of(&files[i]), (off_t)(n * k / CUTS + k % 3)), 0);
			expect_no_lie(files[i].database);
		}
		remove_root(state);
		assert_int_equal(set_up(state), 0);
	}
}

/* A bit anywhere is another one. In Berkeley DB nothing tells that one of the version itself is. */
static void test_flipped_bits(void **state)
{
	uint32_t random = 1;

	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++) {
		bool sure = strcmp(files[i].name, "Packages") != 0;
		size_t n = size_of(&files[i]);
		uint8_t *p = map(&files[i]);

		for (int k = 0; k < FLIPS; k++) {
			_cleanup_free_ char *found = NULL;
			size_t at;
			uint8_t bit;
			int r;

			random = random * 1103515245 + 12345;
			at = (k % 2 ? random >> 4 : (random >> 4) % 1024) % n;
			bit = (uint8_t)(1 << (random >> 28) % 8);
			p[at] ^= bit;
			let_rest(root_of(files[i].database));
			r = ap_rpm_version(root_of(files[i].database), MANY, &found);
			assert_true(r == 0 || r == -ENOENT || r == -EAGAIN);
			if (sure && r == 0)
				assert_string_equal(found, EVR);
			p[at] ^= bit;
		}
		munmap(p, n);
	}
}

static void put_u32(const struct file *f, uint8_t *p, uint32_t v)
{
	v = strcmp(f->database, "big") == 0 ? htobe32(v) : htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* ndb's checksum tells that a version is another one. */
static void test_a_changed_version_is_noticed(void **state)
{
	size_t n = size_of(&files[0]);
	uint8_t *p = map(&files[0]), *at = memmem(p, n, "2.5\0003.el8", 9);

	assert_non_null(at);
	at[0]++;
	let_rest(root_of("ndb"));
	expect_of(root_of("ndb"), MANY, -ENOENT, NULL);
	at[0]--;
	expect_of(root_of("ndb"), MANY, 0, EVR);
	munmap(p, n);
}

/* Each page of Berkeley DB is its own next one, and each inner page of a tree its own child. */
static void test_pages_that_lead_in_circles(void **state)
{
	for (size_t i = 2; i < AP_ARRAY_SIZE(files); i++) {
		const struct file *f = &files[i];
		bool big = strcmp(f->database, "big") == 0;
		uint32_t bytes = strcmp(f->database, "bdb") == 0 ? 4096 : 512;
		size_t n = size_of(f);
		uint8_t *p = map(f);

		for (uint32_t page = 1; page < n / bytes; page++) {
			uint8_t *at = p + (size_t)page * bytes;

			put_u32(f, at + 16, page);
			for (size_t k = 0; at[25] == 3 && k < at[big ? 21 : 20]; k++) {
				const uint8_t *begins = at + 26 + 2 * k;
				size_t item = big ? begins[0] << 8 | begins[1]
						  : begins[1] << 8 | begins[0];

				put_u32(f, at + item + 4, page);
			}
		}
		munmap(p, n);
		expect_no_lie(f->database);
		for (char name[] = "/usr/bin/a"; name[9] <= 'z'; name[9]++)
			expect_of(root_of(f->database), name, -ENOENT, NULL);
	}
}

/* A hash table of ndb that has no empty entry, where a search would end. */
static void test_a_table_without_an_end(void **state)
{
	size_t n = size_of(&files[1]), places = 0;
	uint8_t *p = map(&files[1]), *at = p;

	while ((at = memmem(at, n - (size_t)(at - p), "RpmI", 4))) {
		uint32_t entries;

		memcpy(&entries, at + 12, sizeof(entries));
		memset(at + 64, 0xff, (size_t)le32toh(entries) * 8);
		at += 64;
		places++;
	}
	assert_true(places > 0);
	munmap(p, n);
	let_rest(root_of("ndb"));
	expect_of(root_of("ndb"), MANY, -ENOENT, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions_are_what_rpm_says),
		TEST(test_while_rpm_is_at_work_nothing_is_known),
		TEST(test_what_was_written_a_moment_ago_is_not_known),
		TEST(test_an_index_that_lags_behind_is_not_used),
		TEST(test_files_that_shrink_while_they_are_read),
		TEST(test_cut_files),
		TEST(test_flipped_bits),
		TEST(test_a_changed_version_is_noticed),
		TEST(test_pages_that_lead_in_circles),
		TEST(test_a_table_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
