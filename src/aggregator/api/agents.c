/* SPDX-License-Identifier: Apache-2.0 */
/* The agents and the loss ledger. */
#include <stdio.h>

#include "aggregator/api/answer.h"
#include "base/clock.h"

#define DAY_NS (86400 * AP_NSEC_PER_SEC) /* no agent follows settings for longer */

static void answer_cost(struct ap_buf *b, const struct ap_agent_info *a)
{
	const struct ap_agent_status *s = &a->meta.status;

	ap_answer_object(b, "cost");
	ap_answer_u64(b, "cpu_user_ns", s->cpu_user_ns);
	ap_answer_u64(b, "cpu_bpf_ns", s->cpu_bpf_ns);
	ap_answer_share(b, "cpu_share", a->cpu_share);
	ap_answer_u64(b, "rss_bytes", s->rss_bytes);
	ap_answer_u64(b, "map_bytes", s->map_bytes);
	ap_buf_byte(b, '}');
}

static void answer_strings(struct ap_buf *b, const char *key, const char (*list)[AP_MODE_BYTES],
			   uint32_t n)
{
	ap_answer_array(b, key);
	for (uint32_t i = 0; i < n; i++) {
		ap_json_next(b);
		ap_json_string(b, ap_str_of(list[i]));
	}
	ap_buf_byte(b, ']');
}

/* null where it is 0. */
static void answer_some(struct ap_buf *b, const char *key, uint64_t v)
{
	if (v) {
		ap_answer_u64(b, key, v);
		return;
	}
	ap_json_key(b, key);
	ap_buf_puts(b, "null");
}

static void answer_wanted(struct ap_buf *b, const struct ap_agent_info *a, int64_t now_ns)
{
	const struct ap_wanted *w = &a->wanted;

	ap_json_key(b, "wanted");
	if (!w->version || !w->settings.remaining_ns || now_ns >= w->until_ns) {
		ap_buf_puts(b, "null");
		return;
	}
	ap_buf_byte(b, '{');
	answer_strings(b, "modes", w->settings.modes, w->settings.n_modes);
	answer_some(b, "frequency_hz", w->settings.frequency_hz);
	answer_some(b, "wait_threshold_ns", w->settings.wait_threshold_ns);
	ap_answer_i64(b, "until", w->until_ns / 1000000);
	ap_answer_u64(b, "version", w->version);
	ap_answer_bool(b, "heard", a->meta.status.settings.version == w->version);
	ap_buf_byte(b, '}');
}

static void answer_settings(struct ap_buf *b, const struct ap_agent_info *a, int64_t now_ns)
{
	const struct ap_settings_status *s = &a->meta.status.settings;
	int64_t left = (int64_t)AP_MIN(s->remaining_ns, (uint64_t)DAY_NS);
	int64_t until = s->remaining_ns ? a->last_seen_ns + left : 0;

	ap_json_key(b, "settings");
	ap_buf_byte(b, '{');
	ap_answer_str(b, "control",
		      !s->known	    ? AP_STR("none")
		      : s->accepted ? AP_STR("on")
				    : AP_STR("off"));
	answer_some(b, "max_frequency_hz", s->max_frequency_hz);
	answer_some(b, "max_duration_s", s->max_duration_ns / AP_NSEC_PER_SEC);
	answer_some(b, "active_until",
		    a->state != AP_AGENT_LEFT && until > now_ns ? (uint64_t)until / 1000000 : 0);
	answer_wanted(b, a, now_ns);
	ap_answer_str(b, "error", ap_str_of(s->error));
	ap_buf_byte(b, '}');
}

void ap_answer_agent(struct ap_buf *b, const struct ap_agent_info *a, int64_t now_ns)
{
	const struct ap_batch_meta *m = &a->meta;

	ap_answer_element(b);
	ap_answer_str(b, "id", ap_str_of(m->agent_id));
	ap_answer_str(b, "host", ap_str_of(m->host));
	ap_answer_str(b, "version", ap_str_of(m->version));
	ap_answer_str(b, "kernel", ap_str_of(m->kernel));
	ap_answer_str(b, "arch", ap_str_of(m->arch));
	ap_answer_u64(b, "cpus", m->cpus);
	ap_answer_str(b, "state", ap_str_of(ap_agent_state_name(a->state)));
	ap_answer_i64(b, "first_seen", a->first_seen_ns / 1000000);
	ap_answer_i64(b, "last_seen", a->last_seen_ns / 1000000);
	ap_answer_u64(b, "epoch", m->epoch);
	answer_strings(b, "modes", m->status.modes, m->status.n_modes);
	ap_answer_u64(b, "frequency_hz", m->status.frequency_hz);
	answer_some(b, "wait_threshold_ns", m->status.settings.wait_threshold_ns);
	answer_settings(b, a, now_ns);
	ap_answer_u64(b, "stride", AP_MAX(m->status.stride, 1u));
	ap_answer_u64(b, "queued_batches", m->status.queued_batches);
	answer_cost(b, a);
	ap_answer_u64(b, "samples", a->periods);
	ap_answer_share(b, "complete_share", ap_reason_complete_share(a->ledger.stacks));
	ap_answer_reasons(b, a->ledger.stacks);
	ap_answer_u64(b, "lost", ap_ledger_lost(&a->ledger));
	ap_buf_byte(b, '}');
}

void ap_api_agents(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	_cleanup_free_ char *command = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_params p;
	uint32_t reporting, expected;
	int64_t now = ap_clock_unix_ns();
	size_t n;

	if (!ap_params_query(req, names, &p))
		return;
	if (ap_agents_list(api->agents, now, &agents, &n) < 0 ||
	    asprintf(&command, "aperture-agent --server %s%s%s", api->agent_address,
		     api->tls ? " --tls-ca FILE" : "",
		     ap_guard_required(api->guard) ? " --token-file FILE" : "") < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	ap_agents_hosts(api->agents, now - 3600 * (int64_t)AP_NSEC_PER_SEC, now, &reporting,
			&expected);
	ap_buf_puts(&b, "{\"agents\":[");
	for (size_t i = 0; i < n; i++)
		ap_answer_agent(&b, &agents[i], now);
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "hosts_expected", expected);
	ap_answer_str(&b, "install_command", ap_str_of(command));
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

/* ---- The ledger. ---- */

static void add_ledger(struct ap_ledger *sum, const struct ap_ledger *l)
{
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		sum->count[i] += l->count[i];
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++)
		sum->stacks[i] += l->stacks[i];
}

/* What the aggregator itself counts: the stages after the agents'. */
static void add_own(const struct ap_api *api, struct ap_ledger *sum)
{
	struct ap_ingest_stats ingest;
	struct ap_writer_stats writer;

	ap_ingest_get_stats(api->ingest, &ingest);
	ap_writer_get_stats(api->writer, &writer);
	add_ledger(sum, &ingest.ledger);
	sum->count[AP_LEDGER_STORE_IN] += writer.periods_in;
	sum->count[AP_LEDGER_STORE_OUT] += writer.periods_stored;
	sum->count[AP_LEDGER_STORE_DAMAGED] += writer.periods_damaged;
}

/* The members of an object that the caller has opened; closes it. */
static void answer_entry(struct ap_buf *b, const char *name, const char *text, uint64_t count)
{
	ap_answer_str(b, "name", ap_str_of(name));
	ap_answer_str(b, "text", ap_str_of(text));
	ap_answer_u64(b, "count", count);
	ap_buf_byte(b, '}');
}

/* The entries [first, end) are one stage's. */
static void answer_stage(struct ap_buf *b, const struct ap_ledger *l, uint32_t first, uint32_t end)
{
	static const char *const keys[] = {"in", "out"};
	int64_t balance = 0;

	ap_answer_element(b);
	ap_answer_str(b, "stage", ap_str_of(ap_ledger_entries[first].stage));
	for (uint32_t i = first; i < end; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		int64_t count = (int64_t)l->count[e->id];

		balance += e->kind == AP_LEDGER_KIND_IN ? count : -count;
		if (e->kind == AP_LEDGER_KIND_LOSS)
			continue;
		ap_answer_object(b, keys[e->kind]);
		answer_entry(b, e->name, e->text, l->count[e->id]);
	}
	ap_answer_array(b, "losses");
	for (uint32_t i = first; i < end; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (e->kind != AP_LEDGER_KIND_LOSS)
			continue;
		ap_answer_element(b);
		answer_entry(b, e->name, e->text, l->count[e->id]);
	}
	ap_buf_byte(b, ']');
	ap_answer_i64(b, "balance", balance);
	ap_buf_byte(b, '}');
}

static bool stage_is_own(const char *stage)
{
	return strcmp(stage, "ingest") == 0 || strcmp(stage, "store") == 0;
}

/* `own`: with the aggregator's stages, which are not kept per agent. */
static void answer_stages(struct ap_buf *b, const struct ap_ledger *l, bool own)
{
	ap_buf_puts(b, "{\"stages\":[");
	for (uint32_t i = 0, end; i < ap_ledger_entry_count; i = end) {
		const char *stage = ap_ledger_entries[i].stage;

		for (end = i; end < ap_ledger_entry_count; end++) {
			if (strcmp(ap_ledger_entries[end].stage, stage) != 0)
				break;
		}
		if (!own && stage_is_own(stage))
			continue;
		answer_stage(b, l, i, end);
	}
	ap_buf_puts(b, "],\"reasons\":[");
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (strcmp(ap_reason_name(i), "unknown") == 0)
			break;
		ap_answer_element(b);
		answer_entry(b, ap_reason_name(i), ap_reason_text(i), l->stacks[i]);
	}
	ap_buf_byte(b, ']');
}

/* Sums the ledgers of all agents, or of the one with that id. */
static size_t sum_agents(const struct ap_agent_info *agents, size_t n, struct ap_str id,
			 struct ap_ledger *sum, struct ap_coverage *cov)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		if (id.p && !ap_str_is(id, agents[i].meta.agent_id))
			continue;
		found++;
		add_ledger(sum, &agents[i].ledger);
		cov->samples += agents[i].periods;
		cov->hosts_expected += agents[i].state != AP_AGENT_LEFT;
		cov->hosts_reporting += agents[i].state == AP_AGENT_OK;
	}
	memcpy(cov->reasons, sum->stacks, sizeof(cov->reasons));
	cov->complete_share = ap_reason_complete_share(cov->reasons);
	return found;
}

void ap_api_ledger(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"agent", NULL};
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov = {0};
	struct ap_ledger sum = {0};
	struct ap_params p;
	struct ap_str id = {0};
	size_t n;

	if (!ap_params_query(req, names, &p))
		return;
	ap_params_get(&p, "agent", &id);
	if (ap_agents_list(api->agents, ap_clock_unix_ns(), &agents, &n) < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	if (sum_agents(agents, n, id, &sum, &cov) == 0 && id.p) {
		ap_http_reply_error(req, 404, "not_found", "agent",
				    "no agent has the id '%.*s': /api/v1/agents lists them",
				    (int)AP_MIN(id.n, (size_t)100), id.p);
		return;
	}
	if (!id.p)
		add_own(api, &sum);
	cov.lost = ap_ledger_lost(&sum);
	answer_stages(&b, &sum, !id.p);
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}
