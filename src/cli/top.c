/* SPDX-License-Identifier: Apache-2.0 */
/* aperture top: what runs and waits on this machine now, as tables that are renewed every other second. */
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/io.h"
#include "cli/screen.h"
#include "cli/session.h"
#include "cli/tty.h"

#define TARGET	 "What to look at (default: the whole machine)"
#define FIELD(f) .offset = offsetof(struct settings, f)

struct settings {
	struct ap_session_settings session;
	uint64_t interval, iterations, rows;
	struct ap_strings services;
	char *filter, *sort;
	uint32_t view;
	bool batch, reverse;
};

static const char *const view_names[] = {"functions", "processes", "threads",  "services",
					 "waits",     "locks",	   "syscalls", NULL};

static const struct ap_option options[] = {
	AP_SESSION_OPTION_PID(struct settings, TARGET),
	AP_SESSION_OPTION_ALL(struct settings, TARGET),
	AP_SESSION_OPTION_CGROUP(struct settings, TARGET),
	{.name = "service",
	 .type = AP_OPT_LIST,
	 .metavar = "NAME",
	 .group = TARGET,
	 .help = "only processes of these services, as the view of services names them",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(services)},
	{.name = "interval",
	 .short_name = 'n',
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "2s",
	 .min = 100 * AP_NSEC_PER_MSEC,
	 .max = 3600 * AP_NSEC_PER_SEC,
	 .group = "How",
	 .help = "what a page covers, and how often there is a new one",
	 FIELD(interval)},
	{.name = "mode",
	 .type = AP_OPT_LIST,
	 .metavar = "MODE",
	 .value = "cpu,offcpu,lock,syscall",
	 .group = "How",
	 .help = "cpu, offcpu: where threads wait, lock: waits for locks, syscall: system calls; "
		 "each has its cost in what is watched",
	 FIELD(session.modes)},
	AP_SESSION_OPTION_WAIT_THRESHOLD(struct settings, "How"),
	AP_SESSION_OPTION_SYSCALLS(struct settings, "How"),
	AP_SESSION_OPTION_FREQUENCY(struct settings, "How"),
	AP_SESSION_OPTION_MAX_FRAMES(struct settings, "How"),
	AP_SESSION_OPTION_TABLE_BYTES(struct settings, "How"),
	{.name = "view",
	 .type = AP_OPT_ENUM,
	 .metavar = "VIEW",
	 .value = "functions",
	 .choices = view_names,
	 .group = "What is shown first",
	 .help = "the view to begin with",
	 FIELD(view)},
	{.name = "sort",
	 .type = AP_OPT_STRING,
	 .metavar = "COLUMN",
	 .group = "What is shown first",
	 .help = "the title of the column that rows are sorted by (default: the view's own)",
	 FIELD(sort)},
	{.name = "reverse",
	 .short_name = 'r',
	 .type = AP_OPT_BOOL,
	 .group = "What is shown first",
	 .help = "the other way round",
	 FIELD(reverse)},
	{.name = "filter",
	 .type = AP_OPT_STRING,
	 .metavar = "TEXT",
	 .group = "What is shown first",
	 .help = "only rows with this text in a name",
	 FIELD(filter)},
	{.name = "batch",
	 .short_name = 'b',
	 .type = AP_OPT_BOOL,
	 .group = "Plain pages",
	 .help = "print the view page after page instead of taking the terminal",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(batch)},
	{.name = "iterations",
	 .short_name = 'i',
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .group = "Plain pages",
	 .help = "end after so many pages",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(iterations)},
	{.name = "rows",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "20",
	 .min = 1,
	 .max = 1000000,
	 .group = "Plain pages",
	 .help = "rows of a page",
	 FIELD(rows)},
};

static const struct ap_program program = {
	.name = "aperture top",
	.section = "cli.top",
	.sections = ap_cli_sections,
	.summary = "Shows what runs and waits on this machine, live.",
	.notes = "In the view ? shows the keys, and q quits.\n"
		 "Exit status: 0, 1 error, 2 usage, 4 not permitted.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

struct live {
	const struct settings *set;
	struct ap_session session;
	struct ap_screen screen;
	struct ap_tty tty;
	int signals; /* signalfd of what concerns the terminal */
	struct ap_profile *profile;
	bool *wanted;
	struct ap_grid grid;
	bool is_ended; /* what was asked for has ended: the last page stays */
	uint64_t pages, since_ns, own_ns, bpf_ns;
	uint64_t held_ns; /* the last page that was not shown, while paused; 0: none */
	struct ap_screen_status status;
	char clock[16], what[80];
};

static int pick_sort(struct live *l, struct ap_error *err)
{
	struct ap_screen *s = &l->screen;
	const struct ap_view_info *info = ap_view_info(s->view);
	const char *titles[16] = {NULL}, *near;

	s->reversed[s->view] = l->set->reverse;
	if (!l->set->sort)
		return 0;
	for (uint32_t i = 0; i < info->n_columns && i + 1 < AP_ARRAY_SIZE(titles); i++) {
		titles[i] = info->columns[i].title;
		if (strcasecmp(l->set->sort, titles[i]) == 0) {
			s->sort[s->view] = i;
			return 0;
		}
	}
	near = ap_nearest_name(ap_str_of(l->set->sort), titles);
	return ap_error_set(err, -EINVAL, "--sort %s: the view has no such column; %s is one",
			    l->set->sort, near ?: titles[0]);
}

static int prepare(struct live *l, const struct ap_config *cfg, struct ap_error *err)
{
	const struct settings *set = l->set;
	size_t n = set->filter ? strlen(set->filter) : 0;
	int e = ap_session_prepare(&l->session, cfg, err);

	if (e < 0)
		return e;
	if (n > sizeof(l->screen.filter))
		return ap_error_set(err, -EINVAL, "--filter: at most %zu bytes",
				    sizeof(l->screen.filter));
	if (!set->batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return ap_error_set(err, -EINVAL,
				    "this view needs a terminal: --batch prints plain pages");
	memcpy(l->screen.filter, set->filter ?: "", n);
	l->screen.n_filter = n;
	l->screen.view = set->view;
	ap_screen_init(&l->screen);
	return pick_sort(l, err);
}

static int take_signals(struct live *l, struct ap_error *err)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGWINCH);
	sigaddset(&mask, SIGTSTP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	l->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->signals < 0
		       ? ap_error_set(err, -errno, "cannot take signals: %s", ap_strerror(errno))
		       : 0;
}

static void resize(struct live *l)
{
	if (l->set->batch)
		return;
	ap_tty_size(&l->tty, &l->screen.rows, &l->screen.style.width);
}

/* By label set: whether it is of a service that was asked for. */
static int want_services(struct live *l)
{
	const struct ap_strings *services = &l->set->services;
	uint32_t n = ap_intern_count(l->profile->label_sets);

	free(AP_TAKE_PTR(l->wanted));
	if (!services->n)
		return 0;
	l->wanted = calloc(n, sizeof(*l->wanted));
	if (!l->wanted)
		return -ENOMEM;
	for (uint32_t id = 0; id < n; id++) {
		struct ap_str service = ap_profile_label_value(l->profile, id, AP_STR("service"));

		for (size_t i = 0; i < services->n; i++)
			l->wanted[id] |= ap_str_is(service, services->p[i]);
	}
	return 0;
}

static void name_target(struct live *l)
{
	const struct ap_session *s = &l->session;

	if (l->is_ended)
		snprintf(l->what, sizeof(l->what), "ended");
	else if (s->target == AP_TARGET_CGROUP)
		snprintf(l->what, sizeof(l->what), "%s", s->set->cgroup);
	else if (s->target == AP_TARGET_PIDS)
		snprintf(l->what, sizeof(l->what), "process%s %s%s", s->set->pids.n > 1 ? "es" : "",
			 s->set->pids.p[0], s->set->pids.n > 1 ? " …" : "");
	else
		snprintf(l->what, sizeof(l->what), "%s", s->host);
}

/* What the view has cost since the last page, and how long that was ago. */
static void take_cost(struct live *l, uint64_t now)
{
	struct ap_screen_status *t = &l->status;
	struct ap_profiler_cost cost;

	ap_profiler_cost(l->session.profiler, &cost);
	t->time_ns = now - l->since_ns;
	t->own_ns = cost.cpu_ns - l->own_ns;
	t->bpf_ns = cost.bpf_ns - AP_MIN(l->bpf_ns, cost.bpf_ns);
	l->own_ns = cost.cpu_ns;
	l->bpf_ns = cost.bpf_ns;
	l->since_ns = now;
}

static void take_status(struct live *l, uint64_t now)
{
	struct ap_screen_status *t = &l->status;
	time_t seconds = (time_t)(ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_SEC);
	struct tm tm;

	take_cost(l, now);
	t->cpu_ns = 0;
	AP_VEC_FOREACH(&l->profile->samples, s)
		if (s->event == AP_EVENT_CPU && (!l->wanted || l->wanted[s->labels]))
			t->cpu_ns += s->value;
	t->lost = ap_ledger_lost(ap_profiler_ledger(l->session.profiler));
	name_target(l);
	if (localtime_r(&seconds, &tm))
		strftime(l->clock, sizeof(l->clock), "%H:%M:%S", &tm);
}

/* The table of the view from what was collected last. */
static int build(struct live *l)
{
	const struct ap_view_of of = {.profile = l->profile,
				      .wanted = l->wanted,
				      .time_ns = l->status.time_ns,
				      .modes = l->session.modes};

	ap_grid_free(&l->grid);
	l->grid = (struct ap_grid){0};
	return ap_view_build(l->screen.view, &of, &l->grid);
}

static int draw(struct live *l)
{
	_cleanup_buf_ struct ap_buf out = {0};
	int r = ap_screen_arrange(&l->screen, &l->grid);

	if (r == 0 && l->set->batch)
		r = ap_screen_page(&l->screen, &l->grid, &l->status, l->set->rows, &out);
	else if (r == 0)
		r = ap_screen_draw(&l->screen, &l->grid, &l->status, &out);
	if (r < 0)
		return r;
	return l->set->batch ? ap_write_all(STDOUT_FILENO, out.p, out.n)
			     : ap_tty_draw(&l->tty, ap_buf_view(&out), l->screen.rows);
}

/* The next page. While the view is paused, what is collected is dropped, and the old one stays. */
static int refresh(struct live *l, uint64_t now, struct ap_error *err)
{
	struct ap_profile *batch = NULL;
	int e = ap_session_collect(&l->session, &batch, err);

	if (e < 0)
		return e;
	if (l->screen.paused) {
		ap_profile_free(batch);
		l->held_ns = now;
		return 0;
	}
	if (l->held_ns)
		take_cost(l, l->held_ns);
	l->held_ns = 0;
	ap_profile_free(l->profile);
	l->profile = batch ?: ap_profile_new();
	e = l->profile ? want_services(l) : -ENOMEM;
	if (e == 0) {
		take_status(l, now);
		e = build(l);
	}
	if (e == 0)
		e = draw(l);
	l->pages++;
	l->is_ended = !ap_profiler_target_alive(l->session.profiler);
	return e;
}

/* Stops as a program does that is told to by its terminal, and takes that again when it goes on. */
static int stop(struct live *l, struct ap_error *err)
{
	ap_tty_release(&l->tty);
	raise(SIGSTOP);
	return ap_tty_take(&l->tty, err);
}

static int take_keys(struct live *l)
{
	enum ap_view view = l->screen.view;
	bool changed = false;
	char bytes[256];
	ssize_t n = read(l->tty.in, bytes, sizeof(bytes));
	struct ap_str input = {bytes, n > 0 ? (size_t)n : 0};
	int r = 0;

	/* The terminal is gone. */
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		l->screen.quit = true;
	for (int key; (key = ap_key_next(&input)) != AP_KEY_NONE;)
		changed |= ap_screen_key(&l->screen, key);
	if (view != l->screen.view)
		r = build(l);
	return r < 0 || !changed ? r : draw(l);
}

static int take_terminal_signals(struct live *l, struct ap_error *err)
{
	struct signalfd_siginfo i;
	int r = 0;

	while (r == 0 && read(l->signals, &i, sizeof(i)) == sizeof(i)) {
		if (i.ssi_signo == SIGTSTP)
			r = stop(l, err);
		resize(l);
		r = r ?: draw(l);
	}
	return r;
}

static bool is_over(const struct live *l)
{
	return l->screen.quit || l->session.end != AP_SESSION_END_NONE ||
	       (l->set->iterations && l->pages >= l->set->iterations) ||
	       (l->set->batch && l->is_ended);
}

static int loop(struct live *l, struct ap_error *err)
{
	uint64_t next = l->since_ns + l->set->interval;
	int r = 0;

	while (r == 0 && !is_over(l)) {
		struct pollfd p[] = {{.fd = l->session.signals, .events = POLLIN},
				     {.fd = l->signals, .events = POLLIN},
				     {.fd = l->set->batch ? -1 : l->tty.in, .events = POLLIN}};
		uint64_t now = ap_clock_mono_ns();
		struct timespec left = ap_clock_timespec(next > now ? next - now : 0);

		if (ppoll(p, AP_ARRAY_SIZE(p), &left, NULL) < 0 && errno != EINTR)
			return ap_error_set(err, -errno, "cannot wait: %s", ap_strerror(errno));
		ap_session_take_signals(&l->session);
		if (p[1].revents)
			r = take_terminal_signals(l, err);
		if (r == 0 && p[2].revents)
			r = take_keys(l);
		now = ap_clock_mono_ns();
		if (r < 0 || now < next || is_over(l))
			continue;
		next = now + l->set->interval;
		r = refresh(l, now, err);
	}
	return r;
}

static int run(struct live *l, struct ap_error *err)
{
	struct ap_session *s = &l->session;
	int r = take_signals(l, err); /* before there are threads that would take them */

	if (r == 0)
		r = ap_session_open(s, err);
	if (r == 0)
		r = ap_session_start(s, err);
	if (r == 0 && !l->set->batch)
		r = ap_tty_take(&l->tty, err);
	if (r < 0)
		return r;
	resize(l);
	l->screen.style.terminal = ap_terminal_of(STDOUT_FILENO);
	l->status.note = s->refused;
	l->status.modes = s->modes;
	l->status.cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	l->since_ns = s->start_ns;
	l->profile = ap_profile_new();
	r = l->profile ? build(l) : -ENOMEM;
	take_status(l, ap_clock_mono_ns());
	if (r == 0 && !l->set->batch)
		r = draw(l);
	if (r == 0)
		r = loop(l, err);
	ap_tty_release(&l->tty);
	/* A pager that was left early has seen what it wanted. */
	if (r < 0 && r != -EPIPE && !err->code)
		ap_error_set(err, r, "cannot show the view: %s", ap_strerror(r));
	return r == -EPIPE ? 0 : r;
}

static void live_free(struct live *l)
{
	ap_tty_release(&l->tty);
	ap_session_close(&l->session);
	ap_profile_free(l->profile);
	ap_grid_free(&l->grid);
	free(l->wanted);
	ap_cleanup_fd(&l->signals);
}

int ap_cmd_top(int argc, char **argv)
{
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_(live_free) struct live l = {
		.set = &set,
		.session = {.program = &program,
			    .set = &set.session,
			    .exact_time = true,
			    .quiet = true,
			    AP_SESSION_INIT},
		.signals = -1,
	};
	struct ap_error err = {0};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	if (prepare(&l, &cfg, &err) < 0) {
		status = ap_cli_fail(&program, &err);
		return err.code == -EINVAL ? AP_EXIT_USAGE : status;
	}
	l.status.clock = l.clock;
	l.status.what = l.what;
	ap_tty_watch_faults();
	return run(&l, &err) < 0 ? ap_cli_fail(&program, &err) : AP_EXIT_OK;
}
