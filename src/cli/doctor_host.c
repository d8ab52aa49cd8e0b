/* SPDX-License-Identifier: Apache-2.0 */
/* What else a complete installation needs on this machine. */
#include <arpa/inet.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#include "base/files.h"
#include "cli/cli.h"
#include "cli/doctor.h"

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static void check_cgroup(struct ap_doctor *d)
{
	if (is_cgroup2("/sys/fs/cgroup"))
		ap_doctor_add(d, "cgroups", AP_FINDING_OK, NULL, "version 2");
	else if (is_cgroup2("/sys/fs/cgroup/unified"))
		ap_doctor_add(d, "cgroups", AP_FINDING_WARN, NULL,
			      "hybrid: --cgroup takes a path below /sys/fs/cgroup/unified");
	else
		ap_doctor_add(d, "cgroups", AP_FINDING_WARN,
			      "boot with systemd.unified_cgroup_hierarchy=1",
			      "no version 2: --cgroup does not work; containers are still named");
}

static void check_file(struct ap_doctor *d, const char *name, const char *installed,
		       const char *in_tree, const char *without)
{
	_cleanup_free_ char *path = NULL;

	if (ap_files_find(installed, in_tree, &path) == 0)
		ap_doctor_add(d, name, AP_FINDING_OK, NULL, "%s", path);
	else
		ap_doctor_add(d, name, AP_FINDING_WARN, "make install puts it in its place",
			      "not found beside this program: %s", without);
}

static void check_port(struct ap_doctor *d, uint16_t port, const char *name)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char title[32];
	int one = 1;

	snprintf(title, sizeof(title), "port %u", port);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		ap_doctor_add(d, title, AP_FINDING_OK, NULL, "free, for %s", name);
	else
		ap_doctor_add(d, title, AP_FINDING_WARN, NULL,
			      "in use (by Aperture itself, if it runs): %s would not start", name);
}

void ap_doctor_check_host(struct ap_doctor *d)
{
	check_cgroup(d);
	check_file(d, "libchdb", "../lib/aperture/libchdb.so",
		   "deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so",
		   "the aggregator cannot embed ClickHouse");
	check_file(d, "dashboard", AP_UI_INSTALLED "/index.html", AP_UI_IN_TREE "/index.html",
		   "no dashboard, and no --format html");
	check_port(d, 50051, "the aggregator's gRPC");
	check_port(d, 9090, "the aggregator's HTTP");
	check_port(d, 9091, "the agent's metrics");
}
