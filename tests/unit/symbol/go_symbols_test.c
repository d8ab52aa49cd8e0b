/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/go_symbols.h"

#include <fcntl.h>

#include "../test.h"
#include "base/str.h"
#include "unwind/gopclntab.h"

static const char *const compilers[] = {"debian", "own"};
static const char *const kinds[] = {"stacks", "stacks_stripped"};

/* The number of the line of the programs' source that begins with `text`. */
static uint32_t source_line(const char *text)
{
	char path[512], line[256];
	uint32_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/go/stacks.go", getenv("AP_SOURCE_ROOT"));
	f = fopen(path, "re");
	assert_non_null(f);
	do {
		assert_non_null(fgets(line, sizeof(line), f));
		n++;
	} while (!ap_str_starts(ap_str_of(line), ap_str_of(text)));
	fclose(f);
	return n;
}

static struct ap_go_function function_of(const char *path, const char *name)
{
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ap_go_function f = {0};
	bool found = false;

	assert_int_equal(ap_gopclntab_open(fd, &g), 0);
	for (uint32_t i = 0; i < ap_gopclntab_count(g) && !found; i++) {
		_cleanup_buf_ struct ap_buf b = {0};

		assert_int_equal(ap_gopclntab_function(g, i, &f), 0);
		assert_int_equal(ap_gopclntab_name(g, f.name, &b), 0);
		found = ap_str_is(ap_buf_view(&b), name);
	}
	assert_true(found);
	return f;
}

static struct ap_symbol look(struct ap_symbolizer *s, const char *path, uint64_t address)
{
	struct ap_symbol_file f = {.key = ap_str_of(path), .open_path = path};
	struct ap_symbol ret;

	assert_int_equal(ap_symbolizer_file(s, &f, &address, 1, &ret), 0);
	return ret;
}

/* False: the program was not built. */
static bool program(size_t i, char *path, size_t n)
{
	snprintf(path, n, "%s/go_%s_%s", getenv("AP_GO_PROGRAMS"), compilers[i / 2], kinds[i % 2]);
	return access(path, R_OK) == 0;
}

static void names_files_lines_and_inlined_calls(void **state)
{
	uint32_t declared = source_line("func descend("), inlined = source_line("func mixed(");
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
		struct ap_go_function f;
		char path[256];
		bool seen = false;

		if (!program(i, path, sizeof(path)))
			continue;
		n++;
		f = function_of(path, "main.descend");
		for (uint64_t at = f.entry; at < f.end; at++) {
			struct ap_symbol y = look(s, path, at);

			assert_true(ap_str_is(y.levels[0].name, "main.descend"));
			if (y.levels[0].line == 0) /* behind its last instruction */
				continue;
			assert_true(ap_str_ends(y.levels[0].file, AP_STR("/stacks.go")));
			assert_in_range(y.levels[0].line, declared, declared + 8);
			if (y.n < 2)
				continue;
			assert_int_equal(y.n, 2);
			assert_true(ap_str_is(y.levels[1].name, "main.mixed"));
			assert_int_equal(y.levels[1].line, inlined + 1);
			assert_int_equal(y.levels[0].line, declared + 7);
			seen = true;
		}
		assert_true(seen);
		/* Symbol tables call it runtime.goexit.abi0. */
		f = function_of(path, "runtime.goexit");
		assert_true(ap_str_is(look(s, path, f.entry).levels[0].name, "runtime.goexit"));
	}
	if (n == 0)
		skip();
}

static void names_alone_where_no_more_is_wanted(void **state)
{
	const struct ap_symbolizer_opts opts = {.no_debug_info = true};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(&opts);
	struct ap_go_function f;
	char path[256];

	if (!program(1, path, sizeof(path)) && !program(3, path, sizeof(path)))
		skip();
	f = function_of(path, "main.descend");
	for (uint64_t at = f.entry; at < f.end; at++) {
		struct ap_symbol y = look(s, path, at);

		assert_int_equal(y.n, 1);
		assert_true(ap_str_is(y.levels[0].name, "main.descend"));
		assert_int_equal(y.levels[0].file.n, 0);
		assert_int_equal(y.levels[0].line, 0);
	}
}

static void other_programs_have_none(void **state)
{
	_cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct ap_go_symbols *g = NULL;

	assert_int_equal(ap_go_symbols_open(fd, false, &g), -ENODATA);
	assert_null(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_files_lines_and_inlined_calls),
		cmocka_unit_test(names_alone_where_no_more_is_wanted),
		cmocka_unit_test(other_programs_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
