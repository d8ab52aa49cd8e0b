/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/io.h"

enum { PATH_BYTES = 4096, FILE_MAX = 4096 };

static int random_uuid(char out[static 37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -errno;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return 0;
}

static bool is_uuid(struct ap_str s)
{
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');

		if (dash ? s.p[i] != '-' : !hex)
			return false;
	}
	return true;
}

/* "id UUID\nepoch N\n" */
static int parse(struct ap_str text, struct ap_identity *ret)
{
	struct ap_str id = ap_str_cut(&text, '\n'), epoch = ap_str_cut(&text, '\n');

	if (!ap_str_starts(id, AP_STR("id ")) || !ap_str_starts(epoch, AP_STR("epoch ")))
		return -EINVAL;
	id = (struct ap_str){id.p + 3, id.n - 3};
	epoch = (struct ap_str){epoch.p + 6, epoch.n - 6};
	if (!is_uuid(id) || ap_parse_u64(epoch, &ret->epoch) < 0 || ret->epoch == UINT64_MAX)
		return -EINVAL;
	memcpy(ret->id, id.p, 36);
	ret->id[36] = '\0';
	return 0;
}

static int load(const char *path, struct ap_identity *ret, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	int r = ap_read_file(AT_FDCWD, path, FILE_MAX, &text);

	if (r == -ENOENT) {
		ret->epoch = 0;
		r = random_uuid(ret->id);
		return r < 0 ? ap_error_set(err, r, "cannot make an agent id: %s", ap_strerror(r))
			     : 0;
	}
	if (r < 0)
		return ap_error_set(err, r, "cannot read %s: %s", path, ap_strerror(r));
	if (parse(ap_buf_view(&text), ret) < 0)
		return ap_error_set(err, -EINVAL,
				    "%s is damaged; delete it to begin as a new agent", path);
	return 0;
}

static int lock(const char *dir, struct ap_identity *ret, struct ap_error *err)
{
	char path[PATH_BYTES];
	int r = ap_mkdir_all(dir, 0750);

	snprintf(path, sizeof(path), "%s/lock", dir);
	if (r == 0) {
		ret->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		r = ret->lock_fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return ap_error_set(err, r,
				    "cannot use the state folder %s: %s; choose another with "
				    "--state-dir",
				    dir, ap_strerror(r));
	if (flock(ret->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	ap_identity_close(ret);
	return ap_error_set(err, -EBUSY,
			    "another aperture-agent uses the state folder %s; stop it or choose "
			    "another with --state-dir",
			    dir);
}

int ap_identity_open(const char *state_dir, struct ap_identity *ret, struct ap_error *err)
{
	struct ap_identity i = {.lock_fd = -1};
	char path[PATH_BYTES], text[128];
	int n, r;

	if (strlen(state_dir) > PATH_BYTES - 16)
		return ap_error_set(err, -ENAMETOOLONG, "the path of the state folder is too long");
	r = lock(state_dir, &i, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/identity", state_dir);
	r = load(path, &i, err);
	if (r == 0) {
		i.epoch++;
		n = snprintf(text, sizeof(text), "id %s\nepoch %llu\n", i.id,
			     (unsigned long long)i.epoch);
		r = ap_write_file_atomic(path, text, (size_t)n, 0640, true);
		if (r < 0)
			ap_error_set(err, r, "cannot write %s: %s", path, ap_strerror(r));
	}
	if (r < 0) {
		ap_identity_close(&i);
		return r;
	}
	*ret = i;
	return 0;
}

void ap_identity_close(struct ap_identity *i)
{
	if (i->lock_fd >= 0)
		close(AP_TAKE_FD(i->lock_fd));
}
