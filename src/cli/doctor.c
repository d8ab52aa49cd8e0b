/* SPDX-License-Identifier: Apache-2.0 */
/* aperture doctor: runs every check, shows what was found and how to mend it. Whether recording
 * works is not guessed from the parts: the profiler is opened as `record` would open it. */
#include "cli/doctor.h"

#include <limits.h>
#include <stdarg.h>

#include "agent/profiler.h"
#include "base/io.h"
#include "base/json.h"
#include "cli/cli.h"

struct settings {
	bool json;
};

static const struct ap_option options[] = {
	{.name = "json",
	 .type = AP_OPT_BOOL,
	 .group = "Output",
	 .help = "one JSON object on stdout, for programs",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = offsetof(struct settings, json)},
};

static const struct ap_program program = {
	.name = "aperture doctor",
	.section = "cli.doctor",
	.sections = ap_cli_sections,
	.summary = "Checks what this machine permits, and says how to permit the rest.",
	.notes = "Exit status: 0 where `aperture record` would work, else 1.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

void ap_doctor_add(struct ap_doctor *d, const char *name, enum ap_finding_status status,
		   const char *remedy, const char *fmt, ...)
{
	struct ap_finding f = {.group = d->group, .status = status};
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	f.name = ap_arena_strdup(&d->arena, ap_str_of(name));
	f.detail = ap_arena_strdup(&d->arena, ap_str_of(detail));
	if (remedy)
		f.remedy = ap_arena_strdup(&d->arena, ap_str_of(remedy));
	if (f.name && f.detail && (f.remedy || !remedy))
		ap_vec_push(&d->findings, f);
}

static void check_profiler(struct ap_doctor *d)
{
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = NULL;
	struct ap_profiler_options o = {.exact_time = true};
	struct ap_error err = {0};
	int r = ap_profiler_open(&o, &err, &p);

	d->records = r == 0;
	if (r == 0)
		ap_doctor_add(d, "aperture record", AP_FINDING_OK, NULL,
			      "works: the programs load (%s) and the events open",
			      ap_profiler_variant(p));
	else
		ap_doctor_add(d, "aperture record", AP_FINDING_FAIL, NULL, "does not work: %s",
			      err.msg);
}

/* What the tracepoints of the scheduler and the memory of waiting threads, and those of system calls,
 * are needed for. */
static void check_modes(struct ap_doctor *d, const char *name, uint32_t modes)
{
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = NULL;
	struct ap_profiler_options o = {.modes = modes};
	struct ap_error err = {0};

	if (!d->records)
		return;
	if (ap_profiler_open(&o, &err, &p) == 0)
		ap_doctor_add(d, name, AP_FINDING_OK, NULL, "the programs load");
	else
		ap_doctor_add(d, name, AP_FINDING_WARN, NULL, "the programs do not load: %s",
			      err.msg);
}

static void show(const struct ap_doctor *d, struct ap_buf *out)
{
	static const char *const plain[] = {"ok  ", "warn", "FAIL"};
	static const char *const coloured[] = {"\033[32m✔\033[0m", "\033[33m!\033[0m",
					       "\033[31m✘\033[0m"};
	struct ap_terminal t = ap_terminal_of(STDOUT_FILENO);
	const char *group = NULL;

	for (size_t i = 0; i < d->findings.n; i++) {
		const struct ap_finding *f = &d->findings.p[i];

		if (f->group != group)
			ap_buf_printf(out, "%s%s\n", group ? "\n" : "", f->group);
		group = f->group;
		ap_buf_printf(out, "  %s %-22s %s\n", (t.colour ? coloured : plain)[f->status],
			      f->name, f->detail);
		if (f->remedy)
			ap_buf_printf(out, "  %*s → %s\n", (t.colour ? 1 : 4) + 23, "", f->remedy);
	}
}

static void show_json(const struct ap_doctor *d, struct ap_buf *out)
{
	static const char *const names[] = {"ok", "warn", "fail"};

	ap_buf_byte(out, '{');
	ap_json_key(out, "version");
	ap_json_string(out, AP_STR(APERTURE_VERSION));
	ap_json_key(out, "ok");
	ap_buf_puts(out, d->records ? "true" : "false");
	ap_json_key(out, "checks");
	ap_buf_byte(out, '[');
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct ap_finding *f = &d->findings.p[i];
		struct {
			const char *key, *value;
		} fields[] = {{"group", f->group},
			      {"name", f->name},
			      {"status", names[f->status]},
			      {"detail", f->detail},
			      {"remedy", f->remedy}};

		ap_buf_puts(out, i ? ",{" : "{");
		for (size_t k = 0; k < AP_ARRAY_SIZE(fields); k++) {
			ap_json_key(out, fields[k].key);
			if (fields[k].value)
				ap_json_string(out, ap_str_of(fields[k].value));
			else
				ap_buf_puts(out, "null");
		}
		ap_buf_byte(out, '}');
	}
	ap_buf_puts(out, "]}\n");
}

int ap_cmd_doctor(int argc, char **argv)
{
	struct settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_doctor d = {0};
	char exe[PATH_MAX];
	ssize_t n;
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	d.exe = n > 0 ? exe : "aperture";
	d.group = "Recording CPU profiles";
	check_profiler(&d);
	check_modes(&d, "modes offcpu and lock", AP_MODE_OFFCPU | AP_MODE_LOCK);
	check_modes(&d, "mode syscall", AP_MODE_SYSCALL);
	ap_doctor_check_kernel(&d);
	ap_doctor_check_permissions(&d);
	d.group = "This machine";
	ap_doctor_check_host(&d);
	if (set.json)
		show_json(&d, &out);
	else
		show(&d, &out);
	status = ap_buf_error(&out) || ap_write_all(STDOUT_FILENO, out.p, out.n) < 0 || !d.records
			 ? AP_EXIT_ERROR
			 : AP_EXIT_OK;
	ap_vec_free(&d.findings);
	ap_arena_free(&d.arena);
	return status;
}
