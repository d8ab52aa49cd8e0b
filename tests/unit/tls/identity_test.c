/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"
#include "tls/identity.h"

static const char *const names[] = {"cert", "key", "ca", NULL};
static struct ap_tls_pair ca, one, two;

static int set_up(void **state)
{
	static const char *const hosts[] = {"localhost", NULL};

	folder_make();
	assert_int_equal(ap_tls_make_ca("CA", &ca, NULL), 0);
	assert_int_equal(ap_tls_issue(&ca, AP_TLS_SERVER, "one", hosts, &one, NULL), 0);
	assert_int_equal(ap_tls_issue(&ca, AP_TLS_SERVER, "two", hosts, &two, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	ap_tls_pair_free(&ca);
	ap_tls_pair_free(&one);
	ap_tls_pair_free(&two);
	folder_remove(names);
	return 0;
}

static struct ap_tls_files put(struct ap_str cert, struct ap_str key)
{
	return (struct ap_tls_files){file_put("cert", cert), file_put("key", key), NULL};
}

static void refuses(struct ap_tls_files files, const char *word)
{
	struct ap_tls_identity *id = NULL;
	struct ap_error err = {0};

	assert_int_not_equal(ap_tls_identity_load(&files, &id, &err), 0);
	assert_null(id);
	if (!strstr(err.msg, word))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, word);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct ap_tls_files files;

	refuses(put(ap_buf_view(&one.cert), ap_buf_view(&two.key)), "is not that of");
	refuses(put(AP_STR("nonsense"), ap_buf_view(&one.key)), "no certificate");
	refuses(put(ap_buf_view(&one.cert), AP_STR("nonsense")), "/key");
	refuses((struct ap_tls_files){"/nowhere/cert", "/nowhere/key", NULL}, "/nowhere/cert");
	files = put(ap_buf_view(&one.cert), ap_buf_view(&one.key));
	files.client_ca = file_put("ca", AP_STR("nonsense"));
	refuses(files, "/ca holds no certificate");
}

static void the_ca_is_found_behind_the_certificate(void **state)
{
	struct ap_tls_files files = put(ap_buf_view(&one.cert), ap_buf_view(&one.key));
	char want[AP_FINGERPRINT_LEN + 1], have[AP_FINGERPRINT_LEN + 1];
	struct ap_tls_source *s = NULL;
	size_t first = (size_t)((const char *)memmem(one.cert.p, one.cert.n, "-----END", 8) -
				(const char *)one.cert.p) +
		       strlen("-----END CERTIFICATE-----\n");

	assert_int_equal(ap_tls_fingerprint(ap_buf_view(&ca.cert), want), 0);
	assert_int_equal(ap_tls_source_new(&files, &s, NULL), 0);
	assert_int_equal(ap_tls_source_ca(s, have), 0);
	assert_string_equal(have, want);
	ap_tls_source_free(s);
	/* The server's own alone. */
	files = put((struct ap_str){(const char *)one.cert.p, first}, ap_buf_view(&one.key));
	assert_int_equal(ap_tls_source_new(&files, &s, NULL), 0);
	assert_int_equal(ap_tls_source_ca(s, have), -ENOENT);
	ap_tls_source_free(s);
}

static void a_broken_replacement_leaves_what_was_there(void **state)
{
	struct ap_tls_files files = put(ap_buf_view(&one.cert), ap_buf_view(&one.key));
	struct ap_tls_identity *before, *after;
	struct ap_tls_source *s = NULL;
	struct ap_error err = {0};

	assert_int_equal(ap_tls_source_new(&files, &s, &err), 0);
	before = ap_tls_source_get(s);
	file_put("cert", ap_buf_view(&two.cert)); /* and not its key */
	assert_int_equal(ap_tls_source_reload(s, &err), -EINVAL);
	after = ap_tls_source_get(s);
	assert_ptr_equal(before, after);
	ap_tls_identity_unref(after);
	file_put("key", ap_buf_view(&two.key));
	assert_int_equal(ap_tls_source_reload(s, &err), 0);
	after = ap_tls_source_get(s);
	assert_true(ap_str_eq(ap_str_of(ap_tls_identity_key(before)), ap_buf_view(&one.key)));
	assert_true(ap_str_eq(ap_str_of(ap_tls_identity_key(after)), ap_buf_view(&two.key)));
	ap_tls_identity_unref(after);
	ap_tls_identity_unref(before);
	ap_tls_source_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(the_ca_is_found_behind_the_certificate),
		cmocka_unit_test(a_broken_replacement_leaves_what_was_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
