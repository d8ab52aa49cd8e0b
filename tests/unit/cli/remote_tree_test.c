/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_tree.h"

#include "../test.h"

#define STRINGS "\"strings\":[\"\",\"all\",\"main\",\"app\"]"

static int read_text(const char *text, struct ap_tree **ret)
{
	json_t *answer = json_loads(text, 0, NULL);
	int r;

	assert_non_null(answer);
	r = ap_remote_tree(answer, ret);
	json_decref(answer);
	return r;
}

static void reads_columns(void **state)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;

	assert_int_equal(read_text("{\"nodes\":{\"depth\":[0,1,2,1],\"name\":[1,2,2,2],"
				   "\"module\":[0,3,3,0],\"kind\":[0,1,0,2],\"total\":[9,7,3,2],"
				   "\"self\":[0,4,3,2]}," STRINGS "}",
				   &t),
			 0);
	assert_int_equal(t->n, 4);
	assert_int_equal(t->depth[2], 2);
	assert_true(ap_str_is(t->strings[t->name[1]], "main"));
	assert_true(ap_str_is(t->strings[t->module[1]], "app"));
	assert_int_equal(t->kind[1], AP_FRAME_KERNEL);
	assert_int_equal(t->total[0][1], 7);
	assert_int_equal(t->self[0][3], 2);
}

/* Each differs in one place from a tree. */
static void refuses_what_is_no_tree(void **state)
{
	static const char *const columns[][6] = {
		{"[]", "[]", "[]", "[]", "[]", "[]"},
		{"[1,2]", "[1,2]", "[0,0]", "[0,0]", "[1,1]", "[0,1]"}, /* no root */
		{"[0,0]", "[1,2]", "[0,0]", "[0,0]", "[1,1]", "[0,1]"}, /* two roots */
		{"[0,2,1]", "[1,2,2]", "[0,0,0]", "[0,0,0]", "[1,1,1]",
		 "[0,1,1]"}, /* a level left out */
		{"[0,-1]", "[1,2]", "[0,0]", "[0,0]", "[1,1]", "[0,1]"},
		{"[0,1]", "[1,4]", "[0,0]", "[0,0]", "[1,1]", "[0,1]"}, /* no such string */
		{"[0,1]", "[1,2]", "[0,4]", "[0,0]", "[1,1]", "[0,1]"},
		{"[0,1]", "[1,2]", "[0,0]", "[0,99]", "[1,1]", "[0,1]"}, /* no such kind */
		{"[0,1]", "[1,2]", "[0,0]", "[0,0]", "[1,-1]", "[0,1]"},
		{"[0,1]", "[1,2]", "[0,0]", "[0,0]", "[1,1]", "[0,null]"},
		{"[0,1]", "[1,2]", "[0,0]", "[0,0]", "[1,1]", "[0]"},	  /* one short */
		{"[0,1]", "[1,2,2]", "[0,0]", "[0,0]", "[1,1]", "[0,1]"}, /* one too many */
		{"[0,1]", "{}", "[0,0]", "[0,0]", "[1,1]", "[0,1]"},
	};
	static const char *const others[] = {"[]", "{\"nodes\":[]," STRINGS "}",
					     "{\"nodes\":{\"depth\":[0]}," STRINGS "}"};
	struct ap_tree *t;

	for (size_t i = 0; i < AP_ARRAY_SIZE(columns); i++) {
		const char *const *c = columns[i];
		char text[512];

		snprintf(text, sizeof(text),
			 "{\"nodes\":{\"depth\":%s,\"name\":%s,\"module\":%s,\"kind\":%s,"
			 "\"total\":%s,\"self\":%s}," STRINGS "}",
			 c[0], c[1], c[2], c[3], c[4], c[5]);
		assert_int_equal(read_text(text, &t), -EPROTO);
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(others); i++)
		assert_int_equal(read_text(others[i], &t), -EPROTO);
	assert_int_equal(
		read_text("{\"nodes\":{\"depth\":[0],\"name\":[0],\"module\":[0],\"kind\":[0],"
			  "\"total\":[1],\"self\":[1]},\"strings\":[5]}",
			  &t),
		-EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_columns),
		cmocka_unit_test(refuses_what_is_no_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
