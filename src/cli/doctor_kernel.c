/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel offers, and what this user may do with it. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/doctor.h"
#include "symbol/symbolizer.h"

#define BPF_MAP_TYPE_ARENA_NUMBER 33 /* since Linux 6.9; libbpf 1.1 has no name for it */

/* The capabilities that profiling uses, with their numbers (linux/capability.h). */
static const struct {
	const char *name;
	unsigned int number;
	bool needed; /* else: for the processes of other users, or for kernel names */
} capabilities[] = {
	{"cap_bpf", 39, true},
	{"cap_perfmon", 38, true},
	{"cap_sys_ptrace", 19, false},
	{"cap_syslog", 34, false},
	{"cap_dac_read_search", 2, false},
	{"cap_checkpoint_restore", 40, false},
};

/* The six as setcap wants them. */
#define SETCAP \
	"cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog,cap_dac_read_search,cap_checkpoint_restore+ep"

/* A whole number from a file of /proc or /sys: 0 or -errno. */
static int read_number(const char *path, int64_t *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = ap_read_file(AT_FDCWD, path, 4096, &b);

	return r < 0 ? r : ap_parse_i64(ap_str_trim(ap_buf_view(&b)), ret);
}

/* The effective set of this process; 0 where it cannot be read. */
static uint64_t effective_capabilities(void)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str text, line;

	if (ap_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &b) < 0)
		return 0;
	ap_buf_byte(&b, '\0');
	text = ap_buf_view(&b);
	while (text.p) {
		line = ap_str_cut(&text, '\n');
		if (ap_str_starts(line, AP_STR("CapEff:")))
			return strtoull(line.p + 7, NULL, 16);
	}
	return 0;
}

static void check_capabilities(struct ap_doctor *d)
{
	uint64_t have = effective_capabilities();
	_cleanup_buf_ struct ap_buf missing = {0}, remedy = {0};
	enum ap_finding_status status = AP_FINDING_OK;

	for (size_t i = 0; i < AP_ARRAY_SIZE(capabilities); i++) {
		if (have & (1ull << capabilities[i].number))
			continue;
		ap_buf_printf(&missing, "%s%s", missing.n ? ", " : "", capabilities[i].name);
		if (capabilities[i].needed)
			status = AP_FINDING_FAIL;
		else if (status == AP_FINDING_OK)
			status = AP_FINDING_WARN;
	}
	ap_buf_printf(&remedy, "run with sudo, or once: sudo setcap " SETCAP " %s", d->exe);
	ap_buf_byte(&remedy, '\0');
	if (status == AP_FINDING_OK)
		ap_doctor_add(d, "capabilities", status, NULL, "all six are there");
	else
		ap_doctor_add(d, "capabilities", status, (char *)remedy.p, "missing: %.*s%s",
			      AP_STR_ARG(ap_buf_view(&missing)),
			      status == AP_FINDING_WARN
				      ? " (other users' processes will lack names)"
				      : "");
}

/* Whether kernel functions have names is tried; the setting tells how to get them. */
static void check_kptr(struct ap_doctor *d)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *symbolizer = ap_symbolizer_new(NULL);
	struct ap_error err = {0};
	int64_t v = 0;

	if (!symbolizer)
		return;
	if (read_number("/proc/sys/kernel/kptr_restrict", &v) < 0)
		v = 0;
	if (ap_symbolizer_kernel_status(symbolizer, &err) == 0)
		ap_doctor_add(d, "kptr_restrict", AP_FINDING_OK, NULL,
			      "%" PRId64 ": kernel functions have names", v);
	else
		ap_doctor_add(d, "kptr_restrict", AP_FINDING_WARN,
			      v >= 2 ? "sudo sysctl kernel.kptr_restrict=1"
				     : "grant cap_syslog (above)",
			      "%" PRId64 ": %s", v, err.msg);
}

/* Above 2, Debian's and Ubuntu's kernels want CAP_SYS_ADMIN for any event; others know no such value,
 * so what was tried decides. */
static void check_paranoid(struct ap_doctor *d)
{
	uint64_t have = effective_capabilities();
	bool admin = have & 1ull << 21, perfmon = admin || have & 1ull << 38;
	int64_t v;
	int r = read_number("/proc/sys/kernel/perf_event_paranoid", &v);

	if (r < 0)
		ap_doctor_add(d, "perf_event_paranoid", AP_FINDING_FAIL, NULL,
			      "cannot be read (%s): the kernel has no perf events", ap_strerror(r));
	else if (v > 2 && !admin && !d->records)
		ap_doctor_add(d, "perf_event_paranoid", AP_FINDING_FAIL,
			      "sudo sysctl kernel.perf_event_paranoid=2",
			      "%" PRId64
			      ": Debian's and Ubuntu's kernels refuse events even with cap_perfmon",
			      v);
	else if (perfmon)
		ap_doctor_add(d, "perf_event_paranoid", AP_FINDING_OK, NULL,
			      "%" PRId64 ": does not matter with cap_perfmon", v);
	else if (v > 0)
		ap_doctor_add(d, "perf_event_paranoid", AP_FINDING_FAIL,
			      "grant cap_perfmon (above)",
			      "%" PRId64 ": events of whole CPUs are refused", v);
	else
		ap_doctor_add(d, "perf_event_paranoid", AP_FINDING_OK, NULL, "%" PRId64, v);
}

static void check_memlock(struct ap_doctor *d)
{
	struct rlimit lim = {0};
	int64_t kib = 0;
	char text[32];

	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_cur == RLIM_INFINITY)
		snprintf(text, sizeof(text), "unlimited");
	else
		snprintf(text, sizeof(text), "%" PRIu64 " KiB", (uint64_t)lim.rlim_cur / 1024);
	if (read_number("/proc/sys/kernel/perf_event_mlock_kb", &kib) < 0)
		kib = 0;
	ap_doctor_add(d, "locked memory", AP_FINDING_OK, NULL,
		      "%s by RLIMIT_MEMLOCK, %" PRId64
		      " KiB per CPU for event rings (BPF memory is not limited by it)",
		      text, kib);
}

void ap_doctor_check_permissions(struct ap_doctor *d)
{
	check_capabilities(d);
	check_paranoid(d);
	check_kptr(d);
	check_memlock(d);
}

static void check_release(struct ap_doctor *d)
{
	unsigned int major = 0, minor = 0;
	struct utsname u = {0};
	bool known = uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2;
	bool new_enough = known && (major > 5 || (major == 5 && minor >= 15));

	ap_doctor_add(d, "kernel", new_enough ? AP_FINDING_OK : AP_FINDING_FAIL,
		      new_enough ? NULL : "upgrade the kernel to 5.15 or newer", "%s on %s",
		      u.release, u.machine);
}

static bool has_type(const struct btf *btf, const char *name, uint32_t kind)
{
	return btf && btf__find_by_name_kind(btf, name, kind) > 0;
}

static void check_arena(struct ap_doctor *d)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create((enum bpf_map_type)BPF_MAP_TYPE_ARENA_NUMBER, "ap_doctor", 0, 0, 1,
				&opts);

	if (fd >= 0) {
		close(fd);
		ap_doctor_add(d, "BPF arena", AP_FINDING_OK, NULL, "yes");
	} else if (errno == EPERM) {
		ap_doctor_add(d, "BPF arena", AP_FINDING_WARN, NULL,
			      "unknown: not permitted to try");
	} else {
		ap_doctor_add(d, "BPF arena", AP_FINDING_WARN, NULL,
			      "no (since Linux 6.9): unwind tables will use arrays");
	}
}

/* `supported`: the answer of one of libbpf's probes. */
static void add_probe(struct ap_doctor *d, const char *name, int supported, const char *without)
{
	/* The probes cannot tell "refused" from "unknown to the kernel". */
	bool permitted = effective_capabilities() & (1ull << 39 | 1ull << 21);

	if (!permitted)
		ap_doctor_add(d, name, AP_FINDING_WARN, NULL, "unknown: not permitted to try");
	else if (supported > 0)
		ap_doctor_add(d, name, AP_FINDING_OK, NULL, "yes");
	else
		ap_doctor_add(d, name, AP_FINDING_FAIL, "upgrade the kernel", "no: %s", without);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

void ap_doctor_check_kernel(struct ap_doctor *d)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	struct btf *btf = btf__load_vmlinux_btf();

	check_release(d);
	if (btf)
		ap_doctor_add(d, "kernel BTF", AP_FINDING_OK, NULL, "/sys/kernel/btf/vmlinux");
	else
		ap_doctor_add(d, "kernel BTF", AP_FINDING_FAIL,
			      "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
			      "missing: /sys/kernel/btf/vmlinux cannot be read");
	add_probe(d, "perf event programs",
		  libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_PERF_EVENT, NULL),
		  "nothing can be sampled");
	add_probe(d, "BPF ring buffer", libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL),
		  "samples cannot be delivered");
	ap_doctor_add(d, "bpf_iter_num loops", AP_FINDING_OK, NULL,
		      has_type(btf, "bpf_iter_num_new", BTF_KIND_FUNC)
			      ? "yes"
			      : "no (since Linux 6.4): bounded loops are used");
	check_arena(d);
	ap_doctor_add(d, "typed tracepoints", AP_FINDING_OK, NULL,
		      has_type(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF)
			      ? "yes"
			      : "no: raw tracepoints are used");
	ap_doctor_add(d, "tracepoints of locks", AP_FINDING_OK, NULL,
		      has_type(btf, "btf_trace_contention_begin", BTF_KIND_TYPEDEF)
			      ? "yes"
			      : "no (since Linux 5.19): mode lock tells of programs' locks alone");
	btf__free(btf);
	libbpf_set_print(old);
}
