/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/join.h"

#include <stdio.h>

#include "base/config.h"
#include "base/config_section.h"
#include "base/io.h"
#include "tls/join.h"

#define INPUT_MAX 4096

static int write_file(const char *path, struct ap_str text, unsigned int mode, struct ap_error *err)
{
	int r = ap_write_file_atomic(path, text.p, text.n, mode, true);

	return r < 0 ? ap_error_set(err, r, "cannot write %s: %s", path, ap_strerror(r)) : 0;
}

/* The section is there from an earlier join, or a person wrote it: the same keys are needed. */
static int write_config(const char *path, const struct ap_buf *body, struct ap_error *err)
{
	int r = ap_config_add_section(path, "agent", ap_buf_view(body), err);

	if (r == -EEXIST) {
		printf("%s has a section agent: and is left as it is. It needs:\n\n%.*s\n", path,
		       AP_STR_ARG(ap_buf_view(body)));
		r = 0;
	}
	return r;
}

static int save(const struct ap_join *join, const struct ap_buf *ca, const char *dir,
		struct ap_error *err)
{
	_cleanup_free_ char *ca_path = NULL, *token_path = NULL, *config_path = NULL;
	_cleanup_buf_ struct ap_buf body = {0};
	int r;

	if (asprintf(&ca_path, "%s/ca.pem", dir) < 0 ||
	    asprintf(&token_path, "%s/agent-token", dir) < 0 ||
	    asprintf(&config_path, "%s/aperture.yaml", dir) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_config_put_key(&body, "server", join->server);
	ap_config_put_key(&body, "tls-ca", ca_path);
	ap_config_put_key(&body, "token-file", token_path);
	r = ap_buf_error(&body);
	if (r == 0)
		r = ap_mkdir_all(dir, 0755);
	if (r < 0)
		return ap_error_set(err, r, "cannot make the folder %s: %s", dir, ap_strerror(r));
	r = write_file(ca_path, ap_buf_view(ca), 0644, err);
	if (r == 0)
		r = write_file(token_path, ap_str_of(join->token), 0600, err);
	return r == 0 ? write_config(config_path, &body, err) : r;
}

static int join_by(struct ap_buf *text, const char *dir, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf ca = {0};
	struct ap_join join;
	int r = ap_read_fd(STDIN_FILENO, INPUT_MAX, text);

	if (r < 0)
		return ap_error_set(err, r, "cannot read the join string from standard input: %s",
				    ap_strerror(r));
	r = ap_join_parse(ap_buf_view(text), &join, err);
	if (r == 0)
		r = ap_join_fetch_ca(&join, &ca, err);
	if (r == 0)
		r = save(&join, &ca, dir, err);
	if (r == 0)
		printf("This host pushes to %s from the agent's next start on.\n", join.server);
	explicit_bzero(&join, sizeof(join));
	return r;
}

int ap_agent_join(const char *operand, const char *config_dir)
{
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_error err = {0};
	int r;

	if (strcmp(operand, "join") != 0) {
		fprintf(stderr, "aperture-agent: '%s' is not join (--help shows usage)\n", operand);
		return AP_EXIT_USAGE;
	}
	if (isatty(STDIN_FILENO))
		fputs("Paste the join string, then press Enter and Ctrl-D:\n", stderr);
	r = join_by(&text, config_dir, &err);
	if (text.p)
		explicit_bzero(text.p, text.n);
	if (r == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "aperture-agent join: %s\n", err.msg);
	return r == -EINVAL ? AP_EXIT_USAGE : EXIT_FAILURE;
}
