/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_section.h"

#include <fcntl.h>

#include "base/config.h"
#include "base/io.h"

/* Whether a line of the text begins with "section:". */
static bool has_section(struct ap_str text, const char *section)
{
	while (text.p) {
		struct ap_str line = ap_str_cut(&text, '\n');
		struct ap_str key = ap_str_cut(&line, ':');

		if (line.p && ap_str_is(key, section))
			return true;
	}
	return false;
}

static int make_folder(const char *path)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return -ENOMEM;
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return ap_mkdir_all(dir, 0755);
}

int ap_config_add_section(const char *path, const char *section, struct ap_str body,
			  struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = make_folder(path);

	if (r == 0) {
		r = ap_read_file(AT_FDCWD, path, AP_CONFIG_FILE_MAX, &b);
		r = r == -ENOENT ? 0 : r;
	}
	if (r < 0)
		return ap_error_set(err, r, "cannot read %s: %s", path, ap_strerror(r));
	if (has_section(ap_buf_view(&b), section))
		return ap_error_set(err, -EEXIST, "%s has a section %s: already", path, section);
	if (b.n && b.p[b.n - 1] != '\n')
		ap_buf_byte(&b, '\n');
	ap_buf_printf(&b, "%s:\n", section);
	ap_buf_str(&b, body);
	r = ap_buf_error(&b);
	if (r == 0)
		r = ap_write_file_atomic(path, b.p, b.n, 0644, true);
	return r < 0 ? ap_error_set(err, r, "cannot write %s: %s", path, ap_strerror(r)) : 0;
}

void ap_config_put_key(struct ap_buf *out, const char *key, const char *value)
{
	ap_buf_printf(out, "  %s: \"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			ap_buf_byte(out, '\\');
		ap_buf_byte(out, (uint8_t)*value);
	}
	ap_buf_puts(out, "\"\n");
}
