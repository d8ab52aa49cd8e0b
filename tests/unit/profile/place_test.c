/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/place.h"

#include "sample_profile.h"

/* A stack, outermost first: "module!function", "module!" without a symbol; modules "[kernel]" and "[jit]" are
 * what they say. */
static uint32_t stack_of(struct ap_profile *p, const char *const *frames)
{
	uint32_t ids[16], n = 0, id;

	for (; frames[n]; n++) {
		struct ap_str rest = ap_str_of(frames[n]), module = ap_str_cut(&rest, '!');
		struct ap_function fn = {0};
		struct ap_mapping m = {0};
		struct ap_frame f = {.offset = n};

		f.kind = ap_str_is(module, "[kernel]") ? AP_FRAME_KERNEL
			 : ap_str_is(module, "[jit]")  ? AP_FRAME_JIT
						       : AP_FRAME_NATIVE;
		ap_profile_string(p, rest, &fn.name);
		ap_profile_string(p, module, &m.path);
		ap_profile_mapping(p, &m, &f.mapping);
		if (rest.n)
			ap_profile_function(p, &fn, &f.function);
		assert_int_equal(ap_profile_frame(p, &f, &ids[n]), 0);
	}
	assert_int_equal(ap_profile_stack(p, ids, n, 0, &id), 0);
	return id;
}

struct place_case {
	const char *place; /* "" none */
	const char *const frames[9];
};

static void check(const struct place_case *cases, size_t n, enum ap_place_rank rank)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
		_cleanup_buf_ struct ap_buf name = {0};
		enum ap_place_rank got;
		uint32_t frame = ap_place_of(p, stack_of(p, cases[i].frames), &got);

		if (frame)
			ap_profile_frame_name(p, frame, &name);
		if (!ap_str_is(ap_buf_view(&name), cases[i].place) || got != rank)
			fail_msg("'%.*s' of rank %d instead of '%s'",
				 AP_STR_ARG(ap_buf_view(&name)), got, cases[i].place);
	}
}

#define LIBC	  "/usr/lib/x86_64-linux-gnu/libc.so.6!"
#define SYS(name) "[kernel]!entry_SYSCALL_64_after_hwframe", "[kernel]!" name

static void waits_are_the_programs(void **state)
{
	static const struct place_case cases[] = {
		{"aeApiPoll",
		 {"redis!_start", LIBC "__libc_start_main", "redis!main", "redis!aeApiPoll",
		  LIBC "epoll_wait", SYS("ep_poll")}},
		/* Without symbols in the C library, or in the program. */
		{"web+0x1", {"web!main", "web!", LIBC "", SYS("do_nanosleep")}},
		/* Linked statically: glibc's, musl's. */
		{"load", {"app!main", "app!load", "app!__libc_read", SYS("ksys_read")}},
		{"serve",
		 {"app!serve", "app!accept4", "app!__syscall_cp", "app!__syscall_cp_c", SYS("x")}},
		{"work",
		 {"app!work", "libstdc++.so.6!std::condition_variable::wait(std::unique_lock&)",
		  LIBC "pthread_cond_wait", SYS("futex_wait")}},
		{"work",
		 {"app!work", "app!void std::this_thread::sleep_for<long>(long const&)",
		  LIBC "clock_nanosleep"}},
		{"glib_app_run",
		 {"app!glib_app_run", "libglib-2.0.so.0!g_main_loop_run", LIBC "poll"}},
		{"main.(*Cart).load",
		 {"shop!runtime.goexit.abi0", "shop!main.(*Cart).load", "shop!os.(*File).Read",
		  "shop!internal/poll.(*FD).Read", "shop!syscall.Syscall", SYS("vfs_read")}},
		{"app::serve",
		 {"r!std::rt::lang_start", "r!app::serve", "r!<std::net::TcpStream as Read>::read",
		  LIBC "recv", SYS("sock_recvmsg")}},
		{"shop.Worker.take",
		 {"libjvm.so!JavaThread::run", "[jit]!java.lang.Thread.run",
		  "[jit]!shop.Worker.take", "[jit]!java.util.concurrent.locks.LockSupport.park",
		  "libjvm.so!Unsafe_Park", LIBC "pthread_cond_wait", SYS("futex_wait")}},
		/* A method of that name is no function of the C library. */
		{"read", {"libjvm.so!JavaThread::run", "[jit]!shop.Worker.run", "[jit]!read"}},
		{"do_page", {"app!main", "app!do_page", "[kernel]!asm_exc_page_fault"}},
	};

	check(cases, AP_ARRAY_SIZE(cases), AP_PLACE_PROGRAM);
}

static void a_stack_without_the_program_says_what_it_can(void **state)
{
	static const struct place_case runtimes[] = {
		{"runtime.futex",
		 {"shop!runtime.mcall", "shop!runtime.stopm", "shop!runtime.futex"}},
		{"uv__io_poll", {"node!uv_run", "node!uv__io_poll", LIBC "epoll_wait"}},
	};
	static const struct place_case libcs[] = {
		{"read", {LIBC "clone3", LIBC "start_thread", LIBC "read", SYS("x")}},
		{"_start", {"ld-linux-x86-64.so.2!_start", SYS("mmap")}},
	};
	static const struct place_case kernels[] = {
		{"worker_thread", {"[kernel]!ret_from_fork", "[kernel]!worker_thread"}},
		{"", {NULL}},
	};

	check(runtimes, AP_ARRAY_SIZE(runtimes), AP_PLACE_RUNTIME);
	check(libcs, AP_ARRAY_SIZE(libcs), AP_PLACE_LIBC);
	check(kernels, AP_ARRAY_SIZE(kernels), AP_PLACE_KERNEL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_are_the_programs),
		cmocka_unit_test(a_stack_without_the_program_says_what_it_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
