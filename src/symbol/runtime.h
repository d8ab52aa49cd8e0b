/* SPDX-License-Identifier: Apache-2.0 */
/* Language runtimes that compile at run time, told by the files that a process maps, and what each
 * must be asked for to leave a perf map.
 *
 * Sources: the runtimes' own manuals: V8 --perf-basic-prof; JDK-8254723 (jcmd Compiler.perfmap, JDK
 * 17); .NET runtime configuration "Export perf maps"; Eclipse OpenJ9 -XX:+PerfTool; Mono --jitmap;
 * PHP ext/opcache/jit (jit_debug bit 4); Ruby YJIT --yjit-perf; Erlang/OTP +JPperf; LuaJIT
 * lj_gdbjit/perftools build option; Wasmtime book, "Using perf on Linux". CPython's -X perf writes
 * trampolines and names only those: anonymous code of a Python process is none of its own. */
#ifndef AP_SYMBOL_RUNTIME_H
#define AP_SYMBOL_RUNTIME_H

#include "base/str.h"

#define AP_RUNTIME_LIST(X)                                                 \
	X(UNKNOWN, "[jit]")                                                \
	X(NODE, "[jit: needs --perf-basic-prof]")                          \
	X(CHROMIUM, "[jit: needs --js-flags=--perf-basic-prof]")           \
	X(DENO, "[jit: needs --v8-flags=--perf-basic-prof]")               \
	X(HOTSPOT, "[jit: needs jcmd PID Compiler.perfmap]")               \
	X(OPENJ9, "[jit: needs -XX:+PerfTool]")                            \
	X(DOTNET, "[jit: needs DOTNET_PerfMapEnabled=1]")                  \
	X(MONO, "[jit: needs --jitmap]")                                   \
	X(PHP, "[jit: needs opcache.jit_debug=16]")                        \
	X(RUBY, "[jit: needs --yjit-perf]")                                \
	X(ERLANG, "[jit: needs +JPperf true]")                             \
	X(LUAJIT, "[jit: needs LuaJIT built with -DLUAJIT_USE_PERFTOOLS]") \
	X(WASMTIME, "[jit: needs --profile=perfmap]")

enum ap_runtime {
#define X(id, hint) AP_RUNTIME_##id,
	AP_RUNTIME_LIST(X)
#undef X
		AP_RUNTIME_COUNT,
};

/* What the base name of an executable or library says: "/usr/bin/node", "libjvm.so". */
enum ap_runtime ap_runtime_of_file(struct ap_str path);
/* What a frame of its compiled code is called where there is no map; never NULL. */
const char *ap_runtime_hint(enum ap_runtime r);

#endif
