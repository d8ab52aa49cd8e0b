/* SPDX-License-Identifier: Apache-2.0 */
/* Against a web server that serves a folder laid out as debuginfod's paths are. */
#include "symbol/debuginfod.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../test.h"
#include "base/clock.h"
#include "base/io.h"
#include "fixture.h"

#define DEADLINE_NS (30 * AP_NSEC_PER_SEC)

static char dir[64], url[64], cache[128];
static pid_t server;

static void shell(const char *command)
{
	setenv("D", dir, 1);
	setenv("F", getenv("AP_FIXTURE"), 1);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static int start_server(void **state)
{
	int out[2], port = 0;
	char line[256];
	FILE *f;

	setenv("no_proxy", "*", 1);
	strcpy(dir, "/tmp/aperture-debuginfod-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	shell("mkdir -p $D/web/buildid && cp $F $D/p && cd $D &&"
	      "objcopy --only-keep-debug p p.debug && strip p");
	assert_int_equal(pipe(out), 0);
	server = fork();
	if (server == 0) {
		char web[128];

		snprintf(web, sizeof(web), "%s/web", dir);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		execlp("python3", "python3", "-u", "-m", "http.server", "--bind", "127.0.0.1",
		       "--directory", web, "0", NULL);
		_exit(127);
	}
	close(out[1]);
	f = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(sscanf(line, "Serving HTTP on 127.0.0.1 port %d", &port), 1);
	fclose(f);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	return 0;
}

static int stop_server(void **state)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	shell("rm -rf $D");
	return 0;
}

static struct ap_debuginfod *start(const char *at, uint64_t cache_bytes, uint64_t file_bytes)
{
	struct ap_debuginfod_opts o = {.urls = &at,
				       .n_urls = 1,
				       .dir = cache,
				       .cache_bytes = cache_bytes,
				       .file_bytes = file_bytes};
	struct ap_debuginfod *d = NULL;
	struct ap_error err = {0};

	if (ap_debuginfod_start(&o, &d, &err) < 0)
		fail_msg("%s", err.msg);
	return d;
}

static struct ap_symbolizer *symbolizer(struct ap_debuginfod *d)
{
	const char *dirs[] = {"/nonexistent", NULL};
	struct ap_symbolizer_opts o = {.debug_dirs = dirs, .fetcher = ap_debuginfod_fetcher(d)};

	return ap_symbolizer_new(&o);
}

static uint32_t levels(struct ap_symbolizer *s, const char *name)
{
	uint64_t addr = fixture_address(getenv("AP_FIXTURE"), "holder");
	char path[128];
	struct ap_symbol_file f = {.key = ap_str_of(name), .open_path = path};
	struct ap_symbol y;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(ap_symbolizer_file(s, &f, &addr, 1, &y), 0);
	return y.n;
}

/* Until nothing is queued. */
static struct ap_debuginfod_stats settle(struct ap_debuginfod *d)
{
	uint64_t end = ap_clock_mono_ns() + DEADLINE_NS;
	struct ap_debuginfod_stats stats;

	do {
		assert_true(ap_clock_mono_ns() < end);
		usleep(5000);
		ap_debuginfod_get_stats(d, &stats);
	} while (stats.queued);
	return stats;
}

static const char publish[] = "mkdir -p $D/web/buildid/00c0ffee0123456789abcdef &&"
			      "cp $D/p.debug $D/web/buildid/00c0ffee0123456789abcdef/debuginfo";

static void names_get_better_once_the_file_is_here(void **state)
{
	struct ap_debuginfod *d = start(url, 0, 0);
	struct ap_symbolizer *s = symbolizer(d);

	shell(publish);
	assert_int_equal(levels(s, "p"), 0);
	assert_int_equal(settle(d).fetched, 1);
	assert_int_equal(levels(s, "p"), 3);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
	/* It is there at once after a restart, and the server need not be. */
	d = start("http://127.0.0.1:1", 0, 0);
	s = symbolizer(d);
	assert_int_equal(levels(s, "p"), 3);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
}

static void what_nobody_has_is_remembered(void **state)
{
	struct ap_debuginfod *d = start(url, 0, 0);
	struct ap_symbolizer *s = symbolizer(d);

	assert_int_equal(levels(s, "p"), 0);
	assert_int_equal(settle(d).absent, 1);
	assert_int_equal(levels(s, "p"), 0);
	assert_int_equal(settle(d).absent, 1);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
	shell(publish);
	d = start(url, 0, 0);
	s = symbolizer(d);
	assert_int_equal(levels(s, "p"), 0);
	assert_int_equal(settle(d).absent, 1);
	assert_int_equal(levels(s, "p"), 0);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
}

static void only_the_file_asked_for_is_kept(void **state)
{
	static const char *const impostors[] = {
		"echo no ELF file >",
		"objcopy --remove-section .note.gnu.build-id $D/p.debug $D/q && cat $D/q >",
		"printf '' >",
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(impostors); i++) {
		struct ap_debuginfod *d = start(url, 0, 0);
		struct ap_symbolizer *s = symbolizer(d);
		char command[256];

		shell(publish);
		snprintf(command, sizeof(command),
			 "%s $D/web/buildid/00c0ffee0123456789abcdef/debuginfo", impostors[i]);
		shell(command);
		assert_int_equal(levels(s, "p"), 0);
		assert_int_equal(settle(d).absent, 1);
		assert_int_equal(levels(s, "p"), 0);
		ap_symbolizer_free(s);
		ap_debuginfod_stop(d);
		shell("test -z \"$(find $D/cache -name '*.debug' -o -name unfinished)\" &&"
		      "rm -r $D/cache");
	}
}

static void too_large_a_file_is_left(void **state)
{
	struct ap_debuginfod *d = start(url, 0, 1000);
	struct ap_symbolizer *s = symbolizer(d);

	shell(publish);
	assert_int_equal(levels(s, "p"), 0);
	assert_int_equal(settle(d).absent, 1);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
	shell("test -z \"$(find $D/cache -name '*.debug' -o -name unfinished)\"");
}

/* Files with the build-id 0…0N. */
static void want_numbered(struct ap_debuginfod *d, int i)
{
	const struct ap_debug_fetcher *f = ap_debuginfod_fetcher(d);
	char id[32], command[512];

	snprintf(id, sizeof(id), "%024d", i);
	snprintf(command, sizeof(command),
		 "mkdir -p $D/web/buildid/%s && cp $D/p.debug $D/q && cd $D && "
		 "python3 -c \"b=open('q','rb').read();"
		 "open('q','wb').write(b.replace(bytes.fromhex('00c0ffee0123456789abcdef'),"
		 "bytes.fromhex('%s')))\" && mv q web/buildid/%s/debuginfo",
		 id, id, id);
	shell(command);
	f->want(f->ctx, id);
}

static void the_folder_stays_under_its_cap(void **state)
{
	char path[128];
	struct ap_debuginfod *d;
	struct stat st;

	snprintf(path, sizeof(path), "%s/p.debug", dir);
	assert_int_equal(stat(path, &st), 0);
	d = start(url, (uint64_t)st.st_size * 5 / 2, 0);
	for (int i = 1; i <= 4; i++) {
		struct ap_debuginfod_stats stats;

		want_numbered(d, i);
		stats = settle(d);
		assert_int_equal(stats.fetched, i);
		assert_true(stats.cache_bytes <= (uint64_t)st.st_size * 5 / 2);
	}
	ap_debuginfod_stop(d);
	shell("test $(find $D/cache -name '*.debug' | wc -l) = 2 &&"
	      "test -e $D/cache/.build-id/00/0000000000000000000004.debug");
}

/* Two files: the one that shares its DWARF, and then the one that it shares it with. */
static void shared_dwarf_is_fetched_too(void **state)
{
	struct ap_debuginfod *d = start(url, 0, 0);
	struct ap_symbolizer *s = symbolizer(d);

	shell("cd $D && cp $F a && cp $F b && dwz -m shared -M shared a b &&"
	      "objcopy --only-keep-debug a a.debug && strip a &&"
	      "id=$(readelf -n shared | sed -n 's/.*Build ID: //p') &&"
	      "mkdir -p web/buildid/$id web/buildid/00c0ffee0123456789abcdef &&"
	      "cp shared web/buildid/$id/debuginfo &&"
	      "cp a.debug web/buildid/00c0ffee0123456789abcdef/debuginfo");
	assert_int_equal(levels(s, "a"), 0);
	assert_int_equal(settle(d).fetched, 1);
	assert_int_equal(levels(s, "a"), 1);
	assert_int_equal(settle(d).fetched, 2);
	assert_int_equal(levels(s, "a"), 3);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
}

/* One that takes a call and never answers. */
static void a_server_that_hangs_holds_nobody_up(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof(at);
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM, 0), call = -1;
	struct ap_debuginfod *d;
	struct ap_symbolizer *s;
	char silent[64];

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	snprintf(silent, sizeof(silent), "http://127.0.0.1:%d", ntohs(at.sin_port));
	d = start(silent, 0, 0);
	s = symbolizer(d);
	assert_int_equal(levels(s, "p"), 0);
	call = accept(fd, NULL, NULL);
	assert_true(call >= 0);
	assert_int_equal(levels(s, "p"), 0);
	ap_symbolizer_free(s);
	ap_debuginfod_stop(d);
}

static void refuses_what_is_no_server(void **state)
{
	static const char *const bad[] = {"file:///etc", "debuginfod.example.org", ""};
	struct ap_debuginfod_opts o = {.n_urls = 1, .dir = cache};
	struct ap_debuginfod *d = NULL;
	struct ap_error err = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		o.urls = &bad[i];
		assert_int_equal(ap_debuginfod_start(&o, &d, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "https://"));
	}
	o.urls = (const char *const[]){"http://127.0.0.1:1"};
	o.dir = "/proc/nonexistent";
	assert_true(ap_debuginfod_start(&o, &d, &err) < 0);
	assert_non_null(strstr(err.msg, "/proc/nonexistent"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start_server, stop_server)
	const struct CMUnitTest tests[] = {
		TEST(names_get_better_once_the_file_is_here),
		TEST(what_nobody_has_is_remembered),
		TEST(only_the_file_asked_for_is_kept),
		TEST(too_large_a_file_is_left),
		TEST(the_folder_stays_under_its_cap),
		TEST(shared_dwarf_is_fetched_too),
		TEST(a_server_that_hangs_holds_nobody_up),
		cmocka_unit_test(refuses_what_is_no_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
