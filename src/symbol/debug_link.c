/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/debug_link.h"

#include <stdio.h>
#include <zlib.h>

#define SECTION_MAX (PATH_MAX + 2 * AP_BUILD_ID_MAX)
#define CHUNK	    (64u << 10)

/* The NUL-terminated text that a section begins with. */
static int take_text(struct ap_str section, char *to, size_t size)
{
	size_t n = strnlen(section.p, section.n);

	if (n == 0 || n == section.n || n >= size)
		return -ENOEXEC;
	memcpy(to, section.p, n + 1);
	return 0;
}

int ap_debug_link_parse(struct ap_str section, struct ap_debug_link *ret)
{
	struct ap_debug_link l;
	size_t at;

	if (take_text(section, l.name, sizeof(l.name)) < 0)
		return -ENOEXEC;
	if (strchr(l.name, '/') || strcmp(l.name, ".") == 0 || strcmp(l.name, "..") == 0)
		return -ENOEXEC;
	at = (strlen(l.name) + 1 + 3) & ~(size_t)3;
	if (!ap_range_ok(at, sizeof(l.crc), section.n))
		return -ENOEXEC;
	memcpy(&l.crc, section.p + at, sizeof(l.crc));
	*ret = l;
	return 0;
}

int ap_alt_link_parse(struct ap_str section, struct ap_alt_link *ret)
{
	struct ap_str id;

	if (take_text(section, ret->path, sizeof(ret->path)) < 0)
		return -ENOEXEC;
	id = (struct ap_str){section.p + strlen(ret->path) + 1, section.n - strlen(ret->path) - 1};
	if (id.n == 0 || id.n > AP_BUILD_ID_MAX)
		return -ENOEXEC;
	for (size_t i = 0; i < id.n; i++)
		snprintf(ret->build_id + 2 * i, 3, "%02x", (uint8_t)id.p[i]);
	return 0;
}

static int read_section(int fd, const struct ap_elf_section *s, char *buf, struct ap_str *ret)
{
	ssize_t n;

	if (s->size == 0)
		return -ENOENT;
	if (s->size > SECTION_MAX)
		return -ENOEXEC;
	n = pread(fd, buf, s->size, (off_t)s->offset);
	if (n < 0)
		return -errno;
	*ret = (struct ap_str){buf, (size_t)n};
	return 0;
}

int ap_debug_link_read(int fd, const struct ap_elf *elf, struct ap_debug_link *ret)
{
	char buf[SECTION_MAX];
	struct ap_str section;
	int err = read_section(fd, &elf->debug_link, buf, &section);

	return err < 0 ? err : ap_debug_link_parse(section, ret);
}

int ap_alt_link_read(int fd, const struct ap_elf *elf, struct ap_alt_link *ret)
{
	char buf[SECTION_MAX];
	struct ap_str section;
	int err = read_section(fd, &elf->alt_link, buf, &section);

	return err < 0 ? err : ap_alt_link_parse(section, ret);
}

int ap_debug_link_crc(int fd, uint64_t max, uint32_t *ret)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);
	uint64_t at = 0;
	uLong crc = crc32(0, NULL, 0);

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = pread(fd, buf, CHUNK, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (uint64_t)n;
		if (at > max)
			return -EFBIG;
		crc = crc32(crc, buf, (uInt)n);
	}
	*ret = (uint32_t)crc;
	return 0;
}
