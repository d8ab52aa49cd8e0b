/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/grpc_glue.h"

#include <absl/base/options.h>
#include <dlfcn.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdio.h>

#define TEXT_OF(name) #name
#define TEXT(name)    TEXT_OF(name)

/* gRPC's mutexes are Abseil's, which distributions build with a search for deadlocks: whoever locks one enters it into
 * a graph of all of them, behind one lock for the whole process. Switched off, ten thousand agents' pushes take a fifth
 * less time. The function that does it is C++, so it is looked up by its mangled name; a build without it searches, as
 * it would have. */
static void search_for_no_deadlocks(void)
{
	enum { IGNORE = 0 };
	static const char space[] = TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
	void (*set_mode)(int mode);
	char name[128];

	snprintf(name, sizeof(name),
		 "_ZN4absl%zu%s29SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE",
		 sizeof(space) - 1, space);
	set_mode = (void (*)(int))dlsym(RTLD_DEFAULT, name);
	if (set_mode)
		set_mode(IGNORE);
}

static void no_log(gpr_log_func_args *args)
{
}

static void init(void)
{
	search_for_no_deadlocks();
	gpr_set_log_function(no_log);
	grpc_init();
}

void ap_grpc_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
}

grpc_byte_buffer *ap_grpc_message(struct ap_str s)
{
	grpc_slice slice = grpc_slice_from_copied_buffer(s.p ? s.p : "", s.n);
	grpc_byte_buffer *m = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	return m;
}

int ap_grpc_message_read(grpc_byte_buffer *m, struct ap_buf *out)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;

	if (!grpc_byte_buffer_reader_init(&reader, m))
		return -EBADMSG;
	ap_buf_reserve(out, grpc_byte_buffer_length(m));
	while (grpc_byte_buffer_reader_next(&reader, &slice)) {
		ap_buf_append(out, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
		grpc_slice_unref(slice);
	}
	grpc_byte_buffer_reader_destroy(&reader);
	return ap_buf_error(out);
}
