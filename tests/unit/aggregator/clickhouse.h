/* SPDX-License-Identifier: Apache-2.0 */
/* A ClickHouse server of a test's own: its data in a folder, one free port of the loopback address.
 * It ends with the test's process. */
#ifndef AP_TESTS_CLICKHOUSE_H
#define AP_TESTS_CLICKHOUSE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"

#define CLICKHOUSE_USER	    "tester"
#define CLICKHOUSE_PASSWORD "it's & secret"
#define CLICKHOUSE_DATABASE "aperture_test"

struct clickhouse {
	pid_t pid;
	char url[64];
	char password_file[128];
};

/* NULL where it is not installed. */
static inline const char *clickhouse_program(void)
{
	static const char *const paths[] = {"/usr/sbin/clickhouse-server",
					    "/usr/bin/clickhouse-server"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static inline unsigned int clickhouse_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static inline void clickhouse_write(const char *folder, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void clickhouse_configure(const char *folder, unsigned int port)
{
	char text[1024];

	snprintf(
		text, sizeof(text),
		"<yandex><logger><level>warning</level><console>1</console></logger>"
		"<http_port>%u</http_port><listen_host>127.0.0.1</listen_host>"
		"<path>%s/data/</path><tmp_path>%s/tmp/</tmp_path>"
		"<users_config>%s/users.xml</users_config><default_profile>default</default_profile>"
		"<default_database>default</default_database>"
		"<mark_cache_size>67108864</mark_cache_size></yandex>",
		port, folder, folder, folder);
	clickhouse_write(folder, "config.xml", text);
	clickhouse_write(folder, "users.xml",
			 "<yandex><profiles><default/></profiles><quotas><default/></quotas><users>"
			 "<" CLICKHOUSE_USER "><password>it's &amp; secret</password><networks>"
			 "<ip>127.0.0.1</ip></networks><profile>default</profile>"
			 "<quota>default</quota></" CLICKHOUSE_USER "></users></yandex>");
	clickhouse_write(folder, "password", CLICKHOUSE_PASSWORD "\n");
}

static inline bool clickhouse_listens(unsigned int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return yes;
}

static inline void clickhouse_start(struct clickhouse *c, const char *folder)
{
	unsigned int port = clickhouse_free_port();
	uint64_t deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;
	char config[160], log[160];
	int fd, status;

	clickhouse_configure(folder, port);
	snprintf(c->url, sizeof(c->url), "http://127.0.0.1:%u", port);
	snprintf(c->password_file, sizeof(c->password_file), "%s/password", folder);
	snprintf(config, sizeof(config), "--config-file=%s/config.xml", folder);
	snprintf(log, sizeof(log), "%s/server.log", folder);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl(clickhouse_program(), "clickhouse-server", config, NULL);
		_exit(127);
	}
	while (!clickhouse_listens(port)) {
		if (waitpid(c->pid, &status, WNOHANG) != 0 || ap_clock_mono_ns() > deadline)
			fail_msg("the ClickHouse server does not start, see %s", log);
		usleep(20000);
	}
}

static inline void clickhouse_stop(struct clickhouse *c)
{
	int status;

	assert_int_equal(kill(c->pid, SIGKILL), 0);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	c->pid = 0;
}

#endif
