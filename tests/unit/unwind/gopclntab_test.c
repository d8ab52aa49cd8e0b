/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <fcntl.h>

#include "go_image.h"
#include "unwind/gopclntab.h"
#include "unwind/sections.h"
#include "unwind/table.h"

static void assert_level(struct ap_gopclntab *g, const struct ap_go_level *l, const char *name,
			 int32_t line, int32_t start_line)
{
	_cleanup_buf_ struct ap_buf text = {0};

	assert_int_equal(ap_gopclntab_name(g, l->name, &text), 0);
	ap_buf_byte(&text, ' ');
	assert_int_equal(ap_gopclntab_file(g, l->file, &text), 0);
	ap_buf_printf(&text, ":%d", l->line);
	ap_buf_byte(&text, 0);
	assert_int_equal(l->line, line);
	assert_int_equal(l->start_line, start_line);
	assert_memory_equal(text.p, name, strlen(name));
}

static void names_functions_and_lines_in_every_layout(void **state)
{
	for (enum go_layout layout = GO_12; layout < GO_LAYOUTS; layout++) {
		_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
		struct ap_go_level levels[AP_GO_INLINE_MAX];
		int32_t start = layout == GO_120 ? 7 : 0;
		_cleanup_fd_ int fd = -1;
		struct ap_go_function f;
		struct go_table t;

		go_table_make(&t, layout);
		fd = go_image(t.p, sizeof(t.p));
		assert_int_equal(ap_gopclntab_open(fd, &g), 0);
		assert_int_equal(ap_gopclntab_count(g), 4);
		assert_int_equal(ap_gopclntab_find(g, GO_TEXT + 95, &f), 0);
		assert_int_equal(f.entry, GO_TEXT + 32);
		assert_int_equal(f.end, GO_TEXT + 96);
		assert_int_equal(ap_gopclntab_find(g, GO_TEXT - 1, &f), -ENOENT);
		assert_int_equal(ap_gopclntab_find(g, GO_TEXT + 128, &f), -ENOENT);

		assert_int_equal(ap_gopclntab_levels(g, GO_TEXT + 15, levels), 1);
		assert_level(g, levels, "main.first main.go:10", 10, start);
		assert_int_equal(ap_gopclntab_levels(g, GO_TEXT + 16, levels), 1);
		assert_level(g, levels, "main.first main.go:11", 11, start);
		assert_int_equal(ap_gopclntab_levels(g, GO_TEXT + 64, levels), 1);
		assert_level(g, levels, "main.second main.go:22", 22, start);
		if (layout < GO_118)
			continue;
		assert_int_equal(ap_gopclntab_levels(g, GO_TEXT + 48, levels), 2);
		assert_level(g, &levels[0], "main.small main.go:5", 5, layout == GO_120 ? 4 : 0);
		assert_level(g, &levels[1], "main.second main.go:22", 22, start);
	}
}

static void assert_rule(const struct ap_unwind_table *t, uint64_t at, int cfa, int offset,
			bool saved)
{
	const struct ap_rule *r = ap_unwind_table_find(t, 0x1000 + at);

	assert_int_equal(r->cfa, cfa);
	if (cfa != AP_CFA_REGISTER)
		return;
	assert_int_equal(r->cfa_register, AP_REG_SP);
	assert_int_equal(r->cfa_offset, offset);
	assert_int_equal(r->ra, AP_SAVED_CFA);
	assert_int_equal(r->ra_offset, -8);
	assert_int_equal(r->fp_tracked & 15, saved ? AP_SAVED_CFA : AP_SAVED_SAME);
	assert_int_equal(r->fp_offset, saved ? -16 : 0);
}

static void makes_rows_of_every_layout(void **state)
{
	for (enum go_layout layout = GO_12; layout < GO_LAYOUTS; layout++) {
		_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *u = NULL;
		_cleanup_fd_ int fd = -1;
		struct go_table t;

		go_table_make(&t, layout);
		fd = go_image(t.p, sizeof(t.p));
		assert_int_equal(ap_unwind_table_build(fd, &u), 0);
		assert_rule(u, 0, AP_CFA_REGISTER, 8, false);
		assert_rule(u, 4, AP_CFA_REGISTER, 16, true);
		assert_rule(u, 8, AP_CFA_REGISTER, 32, true);
		assert_rule(u, 27, AP_CFA_REGISTER, 32, true);
		assert_rule(u, 28, AP_CFA_REGISTER, 8, false);
		assert_rule(u, 95, AP_CFA_REGISTER, 8, false);
		assert_rule(u, 100, AP_CFA_NONE, 0, false);
		assert_rule(u, 112, AP_CFA_END, 0, false);
	}
}

/* Up to Go 1.20 the frame pointer is stored after the stack pointer was lowered, and what is in the frame
 * before that is no frame pointer: cgocallback's caller is found by the one that cgocallbackg has left. */
static void no_frame_pointer_is_read_before_it_is_stored(void **state)
{
	static const struct {
		uint8_t code[16];
		uint32_t stored;
	} prologues[] = {
		{"\x48\x89\x6c\x24\x10\x48\x8d\x6c\x24\x10", 4 + 5},
		{"\x48\x89\xac\x24\x80\0\0\0\x48\x8d\xac\x24\x80\0\0", 4 + 8},
	};
	static const int8_t values[] = {1, 4, 24, 24, -24, 4};

	for (size_t i = 0; i < AP_ARRAY_SIZE(prologues); i++) {
		_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *u = NULL;
		_cleanup_fd_ int fd = -1;
		struct go_table t;

		go_table_make(&t, GO_118);
		go_put_name(&t, 0, "runtime.cgocallbackg");
		go_put_values(&t, 0x10, values, sizeof(values));
		fd = go_image(t.p, sizeof(t.p));
		assert_int_equal(pwrite(fd, prologues[i].code, 16, GO_CODE_AT + 4), 16);
		assert_int_equal(ap_unwind_table_build(fd, &u), 0);
		assert_rule(u, 3, AP_CFA_REGISTER, 8, false);
		assert_rule(u, 4, AP_CFA_REGISTER, 32, false);
		assert_rule(u, prologues[i].stored - 1, AP_CFA_REGISTER, 32, false);
		assert_rule(u, prologues[i].stored, AP_CFA_REGISTER, 32, true);
		assert_rule(u, 28, AP_CFA_REGISTER, 8, false);
	}
}

static void values_that_no_stack_has_give_no_rule(void **state)
{
	/* INT32_MAX for 4 bytes, then INT32_MIN. */
	static const uint8_t values[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 4, 2, 28, 0};
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *u = NULL;
	_cleanup_fd_ int fd = -1;
	struct go_table t;

	go_table_make(&t, GO_120);
	memcpy(t.p + GO_VALUES + 0x10, values, sizeof(values));
	fd = go_image(t.p, sizeof(t.p));
	assert_int_equal(ap_unwind_table_build(fd, &u), 0);
	assert_rule(u, 0, AP_CFA_NONE, 0, false);
	assert_rule(u, 4, AP_CFA_NONE, 0, false);
	assert_rule(u, 32, AP_CFA_REGISTER, 8, false);
}

/* Whatever is asked of it. */
static void use(int fd)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *u = NULL;
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
	struct ap_go_level levels[AP_GO_INLINE_MAX];
	struct ap_go_function f;

	ap_unwind_table_build(fd, &u);
	if (ap_gopclntab_open(fd, &g) < 0)
		return;
	for (uint32_t i = 0; i < AP_MIN(ap_gopclntab_count(g), 100u); i++) {
		int n = 0;

		if (ap_gopclntab_function(g, i, &f) == 0)
			n = ap_gopclntab_levels(g, f.entry + (f.end - f.entry) / 2, levels);
		for (int k = 0; k < n; k++) {
			_cleanup_buf_ struct ap_buf text = {0};

			ap_gopclntab_name(g, levels[k].name, &text);
			ap_gopclntab_file(g, levels[k].file, &text);
		}
	}
}

static void damage_is_no_trouble(void **state)
{
	srand(1);
	for (uint32_t i = 0; i < 4000; i++) {
		struct go_table t;
		int fd;

		go_table_make(&t, (enum go_layout)(i % GO_LAYOUTS));
		for (int k = 0; k < 3; k++)
			t.p[(uint32_t)rand() % sizeof(t.p)] = (uint8_t)rand();
		fd = go_image(t.p, i % 3 ? sizeof(t.p) : (uint32_t)rand() % sizeof(t.p));
		use(fd);
		close(fd);
	}
}

static void a_table_that_lies_about_its_size_is_refused(void **state)
{
	struct ap_gopclntab *g = NULL;
	struct go_table t;
	int fd;

	go_table_make(&t, GO_120);
	go_put(&t, 8, 1ull << 40, 8);
	fd = go_image(t.p, sizeof(t.p));
	assert_int_equal(ap_gopclntab_open(fd, &g), -ENODATA);
	close(fd);
	go_table_make(&t, GO_120);
	go_put(&t, 64, 1ull << 40, 8); /* where functions are */
	fd = go_image(t.p, sizeof(t.p));
	assert_int_equal(ap_gopclntab_open(fd, &g), -ENODATA);
	close(fd);
}

/* The path of a program that a compiler of Go's made; false: there is none. */
static bool go_program(const char *name, char *path, size_t n)
{
	snprintf(path, n, "%s/go_own_%s", getenv("AP_GO_PROGRAMS"), name);
	if (access(path, R_OK) == 0)
		return true;
	snprintf(path, n, "%s/go_debian_%s", getenv("AP_GO_PROGRAMS"), name);
	return access(path, R_OK) == 0;
}

static uint64_t file_offset(const struct ap_unwind_elf *e, uint64_t vaddr)
{
	for (uint32_t i = 0; i < e->n_segments; i++)
		if (vaddr - e->segments[i].vaddr < e->segments[i].bytes)
			return vaddr - e->segments[i].vaddr + e->segments[i].offset;
	return UINT64_MAX;
}

/* Go's linker writes .debug_frame from the same values; readelf reads that. */
static void rows_are_those_of_debug_frame(void **state)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *u = NULL;
	char path[256], command[300], line[256];
	uint32_t n = 0, other = 0;
	struct ap_unwind_elf e;
	_cleanup_fd_ int fd = -1;
	FILE *readelf;

	if (!go_program("stacks", path, sizeof(path)))
		skip();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ap_unwind_table_build(fd, &u), 0);
	assert_int_equal(ap_unwind_elf_read(fd, &e), 0);
	snprintf(command, sizeof(command), "readelf -wF %s 2>/dev/null", path);
	readelf = popen(command, "re"); /* NOLINT */
	assert_non_null(readelf);
	while (fgets(line, sizeof(line), readelf)) {
		const struct ap_rule *r;
		uint64_t at;
		int offset;

		if (sscanf(line, "%lx rsp+%d c-8", &at, &offset) != 2 || at == 0)
			continue;
		r = ap_unwind_table_find(u, file_offset(&e, at));
		n++;
		if (r->cfa != AP_CFA_REGISTER || r->cfa_register != AP_REG_SP ||
		    r->cfa_offset != offset)
			other++;
	}
	assert_return_code(pclose(readelf), errno);
	assert_true(n > 5000);
	/* The rows of the few functions that switch stacks, and those at functions' ends. */
	print_message("%u of %u rows are other than .debug_frame's\n", other, n);
	assert_in_range(other, 10, 100);
}

static void functions_are_those_of_the_symbol_table(void **state)
{
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
	char path[256], command[300], line[512], symbol[400];
	_cleanup_fd_ int fd = -1;
	uint32_t n = 0;
	FILE *nm;

	if (!go_program("stacks", path, sizeof(path)))
		skip();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ap_gopclntab_open(fd, &g), 0);
	snprintf(command, sizeof(command), "nm %s", path);
	nm = popen(command, "re"); /* NOLINT */
	assert_non_null(nm);
	while (fgets(line, sizeof(line), nm)) {
		_cleanup_buf_ struct ap_buf name = {0};
		struct ap_go_function f;
		uint64_t at;
		char *abi;

		if (sscanf(line, "%lx %*[tT] %399[^\n]", &at, symbol) != 2 ||
		    ap_gopclntab_find(g, at, &f) < 0 || f.entry != at)
			continue;
		abi = strstr(symbol, ".abi0");
		if (abi)
			*abi = 0;
		assert_int_equal(ap_gopclntab_name(g, f.name, &name), 0);
		ap_buf_byte(&name, 0);
		/* The linker writes other names for what has types in it. */
		if (strchr(symbol, '[') || ap_str_starts(ap_str_of(symbol), AP_STR("type:")) ||
		    strcmp(symbol, "runtime.text") == 0)
			continue;
		assert_string_equal((char *)name.p, symbol);
		n++;
	}
	assert_return_code(pclose(nm), errno);
	assert_in_range(n, ap_gopclntab_count(g) * 9 / 10, ap_gopclntab_count(g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_functions_and_lines_in_every_layout),
		cmocka_unit_test(makes_rows_of_every_layout),
		cmocka_unit_test(no_frame_pointer_is_read_before_it_is_stored),
		cmocka_unit_test(values_that_no_stack_has_give_no_rule),
		cmocka_unit_test(damage_is_no_trouble),
		cmocka_unit_test(a_table_that_lies_about_its_size_is_refused),
		cmocka_unit_test(rows_are_those_of_debug_frame),
		cmocka_unit_test(functions_are_those_of_the_symbol_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
