/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols that lie in other files than the program's, made here with the tools that distributions
 * make them with. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../test.h"
#include "base/io.h"
#include "fixture.h"
#include "symbol/debug_link.h"
#include "symbol/mini_debug.h"
#include "symbol/symbolizer.h"

static char dir[64];

/* Runs a command with $D the test's folder and $F the fixture. */
static void shell(const char *command)
{
	setenv("D", dir, 1);
	setenv("F", getenv("AP_FIXTURE"), 1);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/aperture-debug-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int remove_dir(void **state)
{
	shell("rm -rf \"$D\"");
	return 0;
}

static struct ap_symbol look(struct ap_symbolizer *s, const char *name, uint32_t pid, uint64_t addr)
{
	char path[512];
	struct ap_symbol_file f = {.key = ap_str_of(name), .path = path, .pid = pid};
	struct ap_symbol ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f.open_path = path;
	assert_int_equal(ap_symbolizer_file(s, &f, &addr, 1, &ret), 0);
	return ret;
}

static struct ap_symbolizer *symbolizer(void)
{
	static char debug_dir[128];
	const char *dirs[] = {debug_dir, NULL};
	struct ap_symbolizer_opts opts = {.debug_dirs = dirs};

	snprintf(debug_dir, sizeof(debug_dir), "%s/debug", dir);
	return ap_symbolizer_new(&opts);
}

static void expect_levels(const char *name, uint32_t pid, uint32_t want)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = symbolizer();
	uint64_t holder = fixture_address(getenv("AP_FIXTURE"), "holder");

	assert_int_equal(look(s, name, pid, holder).n, want);
}

static const char split[] = "cd \"$D\" && cp \"$F\" p && objcopy --only-keep-debug p p.debug &&"
			    "objcopy --strip-all --add-gnu-debuglink=p.debug p";

static void a_link_is_followed_to_its_places(void **state)
{
	shell(split);
	expect_levels("p", 0, 3);
	shell("cd \"$D\" && mkdir .debug && mv p.debug .debug");
	expect_levels("p", 0, 3);
	shell("cd \"$D\" && mkdir -p debug/$D && mv .debug/p.debug debug/$D/");
	expect_levels("p", 0, 3);
	shell("cd \"$D\" && rm debug/$D/p.debug");
	expect_levels("p", 0, 0);
}

static void the_checksum_decides_without_build_ids(void **state)
{
	shell("cd \"$D\" && objcopy --remove-section .note.gnu.build-id \"$F\" q &&"
	      "objcopy --only-keep-debug q q.debug &&"
	      "objcopy --strip-all --add-gnu-debuglink=q.debug q");
	expect_levels("q", 0, 3);
	shell("printf x >> \"$D/q.debug\"");
	expect_levels("q", 0, 0);
}

static void anothers_debug_file_is_not_taken(void **state)
{
	shell(split);
	shell("cd \"$D\" && objcopy --remove-section .note.gnu.build-id p.debug p2 && mv p2 p.debug");
	expect_levels("p", 0, 0);
	shell("cd \"$D\" && rm p.debug && mkfifo p.debug");
	expect_levels("p", 0, 0);
	shell("cd \"$D\" && rm p.debug && ln -s /dev/zero p.debug");
	expect_levels("p", 0, 0);
}

/* A process in a root of its own, as in a container. */
static pid_t start_in_root(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chroot(dir) < 0 || write(ready[1], "1", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void files_of_a_container_are_found_in_its_root(void **state)
{
	uint64_t holder = fixture_address(getenv("AP_FIXTURE"), "holder");
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = symbolizer();
	struct ap_symbol_file f = {.key = AP_STR("k"), .path = "/bin/p"};
	char open_path[128];
	struct ap_symbol y;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	shell(split);
	shell("cd \"$D\" && mkdir -p bin bin/.debug && mv p bin && mv p.debug secret.debug &&"
	      "ln -s /secret.debug bin/.debug/p.debug");
	snprintf(open_path, sizeof(open_path), "%s/bin/p", dir);
	f.open_path = open_path;
	pid = start_in_root();
	f.pid = (uint32_t)pid;
	/* The link leads out of our root, not out of the container's. */
	assert_int_equal(ap_symbolizer_file(s, &f, &holder, 1, &y), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(y.n, 3);
	f.key = AP_STR("other");
	f.pid = 0;
	assert_int_equal(ap_symbolizer_file(s, &f, &holder, 1, &y), 0);
	assert_int_equal(y.n, 0);
}

/* What dwz leaves: two programs that share DWARF in a third file. */
static void shared_dwarf_is_found_by_build_id(void **state)
{
	const char *prepare =
		"cd \"$D\" && cp \"$F\" a && cp \"$F\" b && dwz -m shared.debug -M \"$D/gone\" a b";
	const char *install =
		"cd \"$D\" && id=$(readelf -n shared.debug |"
		"sed -n 's/.*Build ID: //p') &&"
		"mkdir -p debug/.build-id/$(echo $id | cut -c1-2) && mv shared.debug "
		"debug/.build-id/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-).debug";

	shell(prepare);
	/* Only its own symbol table may be read then. */
	expect_levels("a", 0, 1);
	shell(install);
	expect_levels("a", 0, 3);
}

static const char mini[] =
	"cd \"$D\" && echo 'int hidden(int x) __attribute__((noinline, visibility(\"hidden\")));"
	"int hidden(int x) { return x * 3; } int shown(int x) { return hidden(x) + 1; }' > m.c &&"
	"gcc -O1 -shared -fPIC -Wl,--build-id -o full.so m.c && cp full.so m.so &&"
	"nm -D full.so --format=posix --defined-only | cut -d' ' -f1 | sort > dynamic &&"
	"nm full.so --format=posix --defined-only | awk '$2 ~ /[tT]/ {print $1}' | sort > all &&"
	"comm -13 dynamic all > keep && strip --strip-all m.so &&"
	"objcopy -S --remove-section .gdb_index --remove-section .comment --keep-symbols=keep "
	"full.so mini && xz mini && objcopy --add-section .gnu_debugdata=mini.xz m.so";

static void packed_symbols_complete_the_dynamic_ones(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = NULL;
	char full[128];
	struct ap_symbol y;

	shell(mini);
	s = symbolizer();
	snprintf(full, sizeof(full), "%s/full.so", dir);
	y = look(s, "m.so", 0, fixture_address(full, "shown"));
	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "shown"));
	y = look(s, "m.so", 0, fixture_address(full, "hidden"));
	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "hidden"));
}

static void packed_symbols_are_bounded(void **state)
{
	struct ap_elf_section all = {0};
	char path[128];
	struct stat st;
	int fd;

	shell("cd \"$D\" && head -c 4194304 /dev/zero | xz > bomb && head -c 100 bomb > cut &&"
	      "head -c 4194304 /dev/zero | xz --lzma2=preset=0,dict=64MiB > greedy");
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"bomb", "cut", "greedy"};
		static const int want[] = {-EFBIG, -EBADMSG, -EFBIG};

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		fd = ap_open_regular(path);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		all.size = (uint64_t)st.st_size;
		assert_int_equal(ap_mini_debug_open(fd, &all, i == 2 ? 8 << 20 : 1 << 20), want[i]);
		if (i == 0) {
			int whole = ap_mini_debug_open(fd, &all, 4 << 20);

			assert_true(whole >= 0);
			assert_int_equal(fstat(whole, &st), 0);
			assert_int_equal(st.st_size, 4 << 20);
			close(whole);
		}
		close(fd);
	}
}

static void links_are_taken_apart(void **state)
{
	static const char good[] = "a.debug\0\x78\x56\x34\x12", alt[] = "../x\0\xab\xcd";
	static const char *const bad[] = {"a/b\0\1\2\3\4", "..\0\0\1\2\3\4", "\0\0\0\0\1\2\3\4"};
	struct ap_debug_link l;
	struct ap_alt_link a;

	assert_int_equal(ap_debug_link_parse((struct ap_str){good, sizeof(good) - 1}, &l), 0);
	assert_string_equal(l.name, "a.debug");
	assert_int_equal(l.crc, 0x12345678);
	assert_int_equal(ap_debug_link_parse((struct ap_str){good, sizeof(good) - 2}, &l),
			 -ENOEXEC);
	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++)
		assert_int_equal(ap_debug_link_parse((struct ap_str){bad[i], 8}, &l), -ENOEXEC);
	assert_int_equal(ap_alt_link_parse((struct ap_str){alt, sizeof(alt) - 1}, &a), 0);
	assert_string_equal(a.path, "../x");
	assert_string_equal(a.build_id, "abcd");
	assert_int_equal(ap_alt_link_parse((struct ap_str){alt, 5}, &a), -ENOEXEC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(a_link_is_followed_to_its_places),
		TEST(the_checksum_decides_without_build_ids),
		TEST(anothers_debug_file_is_not_taken),
		TEST(files_of_a_container_are_found_in_its_root),
		TEST(shared_dwarf_is_found_by_build_id),
		TEST(packed_symbols_complete_the_dynamic_ones),
		TEST(packed_symbols_are_bounded),
		cmocka_unit_test(links_are_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
