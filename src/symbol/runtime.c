/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/runtime.h"

#include "base/macro.h"

enum ap_runtime ap_runtime_of_file(struct ap_str path)
{
	static const struct {
		const char *name;
		enum ap_runtime runtime;
		bool versioned; /* a version may follow: "php8.2", "libruby-3.1.so.3.1" */
	} files[] = {
		{"node", AP_RUNTIME_NODE, false},
		{"nodejs", AP_RUNTIME_NODE, false},
		{"libnode.so", AP_RUNTIME_NODE, true},
		{"chrome", AP_RUNTIME_CHROMIUM, false},
		{"chromium", AP_RUNTIME_CHROMIUM, false},
		{"electron", AP_RUNTIME_CHROMIUM, false},
		{"deno", AP_RUNTIME_DENO, false},
		{"libjvm.so", AP_RUNTIME_HOTSPOT, false},
		{"libj9jit", AP_RUNTIME_OPENJ9, true},
		{"libcoreclr.so", AP_RUNTIME_DOTNET, false},
		{"mono", AP_RUNTIME_MONO, false},
		{"mono-sgen", AP_RUNTIME_MONO, false},
		{"libmono", AP_RUNTIME_MONO, true},
		{"php", AP_RUNTIME_PHP, true},
		{"libphp", AP_RUNTIME_PHP, true},
		{"ruby", AP_RUNTIME_RUBY, true},
		{"libruby", AP_RUNTIME_RUBY, true},
		{"beam.smp", AP_RUNTIME_ERLANG, false},
		{"luajit", AP_RUNTIME_LUAJIT, true},
		{"libluajit", AP_RUNTIME_LUAJIT, true},
		{"wasmtime", AP_RUNTIME_WASMTIME, false},
	};
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

	if (slash)
		path = (struct ap_str){slash + 1, path.n - (size_t)(slash + 1 - path.p)};
	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++)
		if (files[i].versioned ? ap_str_starts(path, ap_str_of(files[i].name))
				       : ap_str_is(path, files[i].name))
			return files[i].runtime;
	return AP_RUNTIME_UNKNOWN;
}

const char *ap_runtime_hint(enum ap_runtime r)
{
	static const char *const hints[] = {
#define X(id, hint) hint,
		AP_RUNTIME_LIST(X)
#undef X
	};

	return hints[(size_t)r < AP_ARRAY_SIZE(hints) ? (size_t)r : AP_RUNTIME_UNKNOWN];
}
