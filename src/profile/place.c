/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/place.h"

#include <string.h>

#include "profile/lock_kind.h"

/* How modules begin. */
static const char *const libc_modules[] = {"libc.so", "libc-",	    "libc.musl",
					   "ld-",     "libpthread", "[vdso]"};
static const char *const runtime_modules[] = {
	"libstdc++", "libc++",	 "libabsl_", "libjvm.so",
	"libuv.so",  "libevent", "libev.so", "libglib-2.0",
};

/* How functions of runtimes begin. */
static const char *const runtime_names[] = {
	/* Go: its scheduler, and what of its library calls the system */
	"runtime.",
	"syscall.",
	"internal/poll.",
	"internal/syscall/",
	"internal/runtime/",
	"sync.",
	"time.Sleep",
	"os.(*File).",
	"net.(*netFD).",
	"net.(*conn).",
	/* C++: templates of its library, whose names begin with their type, and what GCC's headers build them of */
	"void std::",
	"bool std::",
	"std::cv_status std::",
	"__gthread_",
	"__glibcxx_",
	/* Rust */
	"std::",
	"<std::",
	"core::",
	"<core::",
	"parking_lot",
	"mio::",
	"<mio::",
	"tokio::runtime::",
	/* Abseil */
	"absl::",
	"Absl",
	/* CPython's conditions */
	"PyCOND_",
	/* Java, as perf maps write it */
	"java.lang.",
	"java.util.concurrent.",
	"jdk.internal.",
	"sun.nio.",
	"sun.misc.",
	"Ljava/lang/",
	"Ljava/util/concurrent/",
	"Ljdk/internal/",
	"Lsun/nio/",
	"Lsun/misc/",
	/* libuv in Node.js */
	"uv__",
	"uv_run",
	"uv_cond_",
	"uv_mutex_",
	"uv_sem_",
};

/* Functions of the C library, where it is linked into the program, without the marks below. */
static const char *const libc_names[] = {
	"start_thread",	  "clone",	  "clone3",	 "syscall",
	"nanosleep",	  "usleep",	  "sleep",	 "clock_nanosleep",
	"poll",		  "ppoll",	  "select",	 "pselect",
	"epoll_wait",	  "epoll_pwait",  "read",	 "readv",
	"pread64",	  "pread",	  "write",	 "writev",
	"pwrite64",	  "pwrite",	  "recv",	 "recvfrom",
	"recvmsg",	  "send",	  "sendto",	 "sendmsg",
	"accept",	  "accept4",	  "connect",	 "wait4",
	"waitpid",	  "waitid",	  "fsync",	 "fdatasync",
	"msync",	  "flock",	  "semop",	 "msgrcv",
	"pause",	  "sigtimedwait", "sigwaitinfo", "syscall_cp",
	"syscall_cp_asm", "syscall_cp_c",
};
static const char *const libc_marks[] = {"__GI_", "__libc_", "_"};

static bool begins_with(struct ap_str s, const char *const *starts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ap_str_starts(s, ap_str_of(starts[i])))
			return true;
	return false;
}

static bool is_libc_name(struct ap_str name)
{
	if (ap_str_is(name, "_start") || ap_str_starts(name, AP_STR("__libc_start_")))
		return true;
	for (size_t i = 0; i < AP_ARRAY_SIZE(libc_marks); i++) {
		size_t n = strlen(libc_marks[i]);

		while (ap_str_starts(name, ap_str_of(libc_marks[i])))
			name = (struct ap_str){name.p + n, name.n - n};
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(libc_names); i++)
		if (ap_str_is(name, libc_names[i]))
			return true;
	return false;
}

enum ap_place_rank ap_place_rank(struct ap_str name, struct ap_str module, enum ap_frame_kind kind)
{
	if (kind == AP_FRAME_KERNEL)
		return AP_PLACE_KERNEL;
	if (begins_with(module, libc_modules, AP_ARRAY_SIZE(libc_modules)) ||
	    (kind != AP_FRAME_JIT && is_libc_name(name)))
		return AP_PLACE_LIBC;
	if (begins_with(module, runtime_modules, AP_ARRAY_SIZE(runtime_modules)) ||
	    begins_with(name, runtime_names, AP_ARRAY_SIZE(runtime_names)) ||
	    ap_lock_is_primitive(name))
		return AP_PLACE_RUNTIME;
	return AP_PLACE_PROGRAM;
}

uint32_t ap_place_of(const struct ap_profile *p, uint32_t stack, enum ap_place_rank *ret_rank)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	uint32_t place = 0;

	*ret_rank = AP_PLACE_KERNEL;
	for (uint32_t i = 0; i < s.n; i++) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i]);
		struct ap_str name =
			ap_profile_str(p, ap_profile_get_function(p, f->function)->name);
		enum ap_place_rank rank =
			ap_place_rank(name, ap_profile_module(p, f->mapping), f->kind);

		if (rank < *ret_rank)
			continue;
		*ret_rank = rank;
		place = s.frames[i];
	}
	return place;
}
