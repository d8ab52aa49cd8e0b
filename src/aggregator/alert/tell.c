/* SPDX-License-Identifier: Apache-2.0 */
/* From a notice to messages that wait for the next save, so that a state and what is told of it are on disk together. */
#include "aggregator/alert/engine_internal.h"
#include "aggregator/alert/outbox.h"

/* Requests may come before the start. */
static const char *dashboard_url(struct ap_alert_engine *e)
{
	const char *url = __atomic_load_n(&e->base_url, __ATOMIC_ACQUIRE);

	return url ? url : "/";
}

static void outgoing_free(struct ap_alert_outgoing *o)
{
	free(o->url);
	free(o->body);
}

/* What there is no memory for is not told; the rule's state shows it nevertheless. */
static void add(struct ap_alert_engine *e, const struct ap_alert_message *m,
		const struct ap_alert_hook *hook, bool durable)
{
	_cleanup_buf_ struct ap_buf body = {0};
	struct ap_alert_outgoing o = {
		.rule = m->rule->id, .created_ms = m->now_ms, .durable = durable};

	ap_alert_message_write(&body, m, hook->format);
	ap_buf_byte(&body, '\0');
	if (ap_buf_error(&body))
		return;
	o.url = strdup(hook->url);
	o.body = strdup((const char *)body.p);
	if (!o.url || !o.body || ap_vec_push(&e->outgoing, o) < 0)
		outgoing_free(&o);
}

void ap_alert_tell(struct ap_alert_engine *e, struct ap_alert_notice *n,
		   const struct ap_alert_context *context, int64_t now_ms)
{
	const struct ap_alert_message m = {
		.rule = n->rule,
		.status = &n->status,
		.context = n->firing ? context : NULL,
		.firing = n->firing,
		.now_ms = now_ms,
		.base_url = dashboard_url(e),
	};

	for (uint32_t i = 0; e->o.notifier && i < n->rule->n_hooks; i++)
		add(e, &m, &n->rule->hooks[i], true);
	ap_alert_rule_unref(AP_TAKE_PTR(n->rule));
}

bool ap_alert_has_alertmanager(const struct ap_alert_rule *rule)
{
	for (uint32_t i = 0; i < rule->n_hooks; i++)
		if (rule->hooks[i].format == AP_ALERT_ALERTMANAGER)
			return true;
	return false;
}

void ap_alert_repeat(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
		     const struct ap_alert_status *status, int64_t now_ms)
{
	const struct ap_alert_message m = {.rule = rule,
					   .status = status,
					   .firing = true,
					   .now_ms = now_ms,
					   .base_url = dashboard_url(e)};

	for (uint32_t i = 0; e->o.notifier && i < rule->n_hooks; i++)
		if (rule->hooks[i].format == AP_ALERT_ALERTMANAGER)
			add(e, &m, &rule->hooks[i], false);
}

static struct ap_outbox_message message_of(const struct ap_alert_outgoing *o)
{
	return (struct ap_outbox_message){o->id, o->rule, o->url, o->body, o->created_ms};
}

int ap_alert_outgoing_put(struct ap_alert_engine *e, struct ap_error *err)
{
	int r = 0;

	AP_VEC_FOREACH(&e->outgoing, o) {
		const struct ap_outbox_message m = message_of(o);

		if (o->durable && r == 0)
			r = ap_outbox_put(e->db, &m, &o->id, err);
	}
	return r;
}

void ap_alert_outgoing_send(struct ap_alert_engine *e, bool saved)
{
	AP_VEC_FOREACH(&e->outgoing, o) {
		struct ap_outbox_message m = message_of(o);

		if (!saved) /* told all the same, but not again after a crash */
			m.id = 0;
		/* What does not fit is counted by the notifier. */
		if (ap_notifier_push(e->o.notifier, &m) < 0 && m.id)
			ap_outbox_delete(e->db, m.id);
		outgoing_free(o);
	}
	e->outgoing.n = 0;
}
