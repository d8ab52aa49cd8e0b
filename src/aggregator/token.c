/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-aggregator token: works on the file itself, whether the aggregator runs or not. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "aggregator/commands.h"
#include "aggregator/guard/guard.h"
#include "base/clock.h"

#define AUDIT_KEEP 100000

const char *const ap_command_roles[] = {"read", "push", "admin", NULL};
static const enum ap_role roles[] = {AP_ROLE_READ, AP_ROLE_PUSH, AP_ROLE_ADMIN};

static int fail(const char *text)
{
	fprintf(stderr, "aperture-aggregator token: %s\n", text);
	return EXIT_FAILURE;
}

static void put_time(int64_t ms, const char *none)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%F %R", &tm);
	printf("  %-16s", ms ? text : none);
}

static int list(struct ap_guard_db *db, struct ap_error *err)
{
	_cleanup_free_ struct ap_token *tokens = NULL;
	size_t n;
	int r = ap_guard_db_tokens(db, &tokens, &n, err);

	if (r < 0)
		return r;
	if (n == 0) {
		fprintf(stderr,
			"There are no tokens: aperture-aggregator token create NAME --role ROLE "
			"makes one.\n");
		return 0;
	}
	printf("%-24s  %-5s  %-16s  %-16s\n", "NAME", "ROLE", "CREATED (UTC)", "EXPIRES (UTC)");
	for (size_t i = 0; i < n; i++) {
		printf("%-24s  %-5s", tokens[i].name, ap_role_names[tokens[i].role]);
		put_time(tokens[i].created_ms, "");
		put_time(tokens[i].expires_ms, "never");
		putchar('\n');
	}
	return 0;
}

static int create(struct ap_guard_db *db, const struct ap_command_settings *set, const char *name,
		  struct ap_error *err)
{
	int64_t now = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC;
	int64_t expires = set->expires_ns ? now + (int64_t)(set->expires_ns / AP_NSEC_PER_MSEC) : 0;
	char token[AP_SECRET_TEXT];
	int r = ap_guard_create(db, name, roles[set->role], expires, token, err);

	if (r < 0)
		return r;
	puts(token);
	fprintf(stderr, "This is all there is of it: it is not shown again.\n");
	explicit_bzero(token, sizeof(token));
	return 0;
}

static void audit(struct ap_guard_db *db, const char *action, const char *name, int r)
{
	const struct ap_audit_entry e = {
		.at_ms = ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC,
		.who = "local",
		.from = "",
		.action = action,
		.target = name,
		.status = r == 0	 ? 200
			  : r == -ENOENT ? 404
			  : r == -EEXIST ? 409
					 : 400,
	};

	ap_guard_db_audit(db, &e, AUDIT_KEEP, NULL);
}

int ap_command_token(const struct ap_command_settings *set, char *const *operands, size_t n)
{
	_cleanup_(ap_cleanup_guard_db) struct ap_guard_db *db = NULL;
	_cleanup_free_ char *path = NULL;
	struct ap_error err = {0};
	struct stat st;
	int r;

	if (!(n == 1 && strcmp(operands[0], "list") == 0) &&
	    !(n == 2 &&
	      (strcmp(operands[0], "create") == 0 || strcmp(operands[0], "revoke") == 0))) {
		fail("say `token list`, `token create NAME` or `token revoke NAME`");
		return AP_EXIT_USAGE;
	}
	if (stat(set->data_dir, &st) < 0)
		return fail("there is no such data folder yet: --data-dir names the aggregator's");
	if (asprintf(&path, "%s/guard.db", set->data_dir) < 0)
		return fail("out of memory");
	r = ap_guard_db_open(path, &db, &err);
	if (r == 0 && strcmp(operands[0], "list") == 0) {
		r = list(db, &err);
	} else if (r == 0 && strcmp(operands[0], "create") == 0) {
		r = create(db, set, operands[1], &err);
		audit(db, "token create", operands[1], r);
	} else if (r == 0) {
		r = ap_guard_db_revoke(db, operands[1], &err);
		audit(db, "token revoke", operands[1], r);
	}
	/* Made by root, it is still the aggregator's. */
	if (r == 0 && geteuid() == 0 && chown(path, st.st_uid, st.st_gid) < 0)
		r = ap_error_set(&err, -errno, "cannot give %s to its owner: %s", path,
				 ap_strerror(errno));
	return r < 0 ? fail(err.msg) : EXIT_SUCCESS;
}
