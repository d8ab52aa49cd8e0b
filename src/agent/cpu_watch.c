/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cpu_watch.h"

#include <fcntl.h>

#include "agent/cpus.h"
#include "base/io.h"

#define ONLINE_CPUS "/sys/devices/system/cpu/online"

/* A CPU may go between reading the list and opening the event: the next look sees to it. */
static int start_cpu(void *ctx, uint32_t cpu)
{
	struct ap_cpu_watch *w = ctx;
	int r = ap_sideband_add_cpu(w->sideband, cpu);

	if (r == 0 && w->sampling)
		r = ap_capture_start_cpu(w->capture, cpu);
	return r == -ENODEV ? 0 : r;
}

static void stop_cpu(struct ap_cpu_watch *w, uint32_t cpu)
{
	ap_capture_stop_cpu(w->capture, cpu);
	ap_sideband_remove_cpu(w->sideband, cpu);
}

struct cpu_set {
	bool on[AP_CPUS_MAX];
};

static int mark_cpu(void *ctx, uint32_t cpu)
{
	((struct cpu_set *)ctx)->on[cpu] = true;
	return 0;
}

static void stop_missing(struct ap_cpu_watch *w, struct ap_str now)
{
	struct cpu_set *before = calloc(2, sizeof(*before)), *after = before + 1;

	if (!before)
		return;
	ap_cpu_list_parse(ap_str_of(w->online), mark_cpu, before);
	ap_cpu_list_parse(now, mark_cpu, after);
	for (uint32_t i = 0; i < AP_ARRAY_SIZE(before->on); i++) {
		if (before->on[i] && !after->on[i])
			stop_cpu(w, i);
	}
	free(before);
}

static void unwatched(struct ap_cpu_watch *w)
{
	const struct ap_sideband_event e = {.kind = AP_SIDEBAND_LOST};

	ap_process_table_apply(w->processes, &e);
}

/* A CPU that went and came back between two looks is in the list as before, but its events are over. */
static int revive_cpu(void *ctx, uint32_t cpu)
{
	struct ap_cpu_watch *w = ctx;

	if (!ap_capture_cpu_stalled(w->capture, cpu))
		return 0;
	stop_cpu(w, cpu);
	unwatched(w);
	return start_cpu(w, cpu);
}

static int look(struct ap_cpu_watch *w, bool all)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_str list;
	int r = ap_read_file(AT_FDCWD, ONLINE_CPUS, sizeof(w->online) - 1, &b);

	if (r < 0)
		return r;
	list = ap_buf_view(&b);
	if (!all && ap_str_is(list, w->online))
		return ap_cpu_list_parse(list, revive_cpu, w);
	if (!all)
		unwatched(w);
	stop_missing(w, list);
	memcpy(w->online, list.p, list.n);
	w->online[list.n] = '\0';
	return ap_cpu_list_parse(list, start_cpu, w);
}

int ap_cpu_watch_all(struct ap_cpu_watch *w)
{
	return look(w, true);
}

int ap_cpu_watch_update(struct ap_cpu_watch *w)
{
	return look(w, false);
}
