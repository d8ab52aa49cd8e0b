/* SPDX-License-Identifier: Apache-2.0 */
/* For test_formats.py:  format_helper sample FILE  writes the tests' sample profile in the format
 * that the file's name tells;  format_helper convert IN OUT  reads one and writes another. */
#include <fcntl.h>

#include "../unit/profile/sample_profile.h"
#include "base/io.h"
#include "profile/format.h"

static int write_file(const char *path, const struct ap_profile *p)
{
	struct ap_error err = {0};
	enum ap_format format;
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ap_format_guess(ap_str_of(path), &format) < 0) {
		fprintf(stderr, "%s: no such format, or it cannot be written\n", path);
		return 1;
	}
	if (ap_format_write(format, p, NULL, (struct ap_sink){ap_sink_fd, &fd}, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	_cleanup_buf_ struct ap_buf in = {0};
	struct ap_error err = {0};

	if (argc == 3 && strcmp(argv[1], "sample") == 0) {
		p = sample_profile(true);
		return write_file(argv[2], p);
	}
	if (argc != 4 || strcmp(argv[1], "convert") != 0)
		return 2;
	if (ap_read_file(AT_FDCWD, argv[2], AP_READ_BYTES_DEFAULT, &in) < 0)
		return 1;
	if (ap_profile_read(ap_buf_view(&in), 0, &p, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return write_file(argv[3], p);
}
