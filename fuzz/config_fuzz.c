/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: any bytes either configure every kind of option or give an error with a
 * message, and leave nothing behind. */
#include "base/config_internal.h"

struct settings {
	uint64_t number, size, time;
	bool on;
	char *text;
	struct ap_strings list;
	uint32_t choice;
};

static const char *const choices[] = {"red", "green", NULL};

#define OPTION(n, t, f)      \
	{.name = n,          \
	 .type = t,          \
	 .group = "",        \
	 .help = "",         \
	 .choices = choices, \
	 .offset = offsetof(struct settings, f)}
static const struct ap_option options[] = {
	OPTION("number", AP_OPT_UINT, number), OPTION("size", AP_OPT_BYTES, size),
	OPTION("time", AP_OPT_DURATION, time), OPTION("on", AP_OPT_BOOL, on),
	OPTION("text", AP_OPT_STRING, text),   OPTION("list", AP_OPT_LIST, list),
	OPTION("choice", AP_OPT_ENUM, choice),
};

static const struct ap_program program = {
	.name = "fuzz",
	.section = "agent",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_config_origin origins[AP_ARRAY_SIZE(options)] = {0};
	struct settings set = {0};
	struct ap_config cfg = {.program = &program, .values = &set, .origins = origins};
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_error err = {0};

	if (ap_config_read_yaml(&cfg, "fuzz", (struct ap_str){(const char *)data, size}, &err) <
	    0) {
		if (!err.msg[0])
			abort();
	} else {
		cfg.action = AP_CONFIG_PRINT;
		ap_config_render(&cfg, 80, &out);
	}
	for (size_t i = 0; i < set.list.n; i++)
		free(set.list.p[i]);
	ap_vec_free(&set.list);
	free(set.text);
	return 0;
}
