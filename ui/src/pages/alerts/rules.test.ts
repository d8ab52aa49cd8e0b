// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import type { AlertMetric, AlertRule } from "@/api/model";
import { conditionText, draftOf, NEW_DRAFT, parseWebhooks, requestOf, valueText, webhooksText, withMetric } from "./rules";

const METRIC: AlertMetric = { name: "cpu_time", unit: "seconds/s", text: "CPU time, in cores", source: "samples", takes: ["window_s", "filter", "baseline"] };
const RULE: AlertRule = {
  id: 6, name: "n", description: "", enabled: true, severity: "critical", metric: "cpu_time", operator: "gte", threshold: 0.3, recover: 0.2,
  for_s: 300, interval_s: 60, window_s: 600, filter: '{service="a"}', min_samples: 100, baseline: { offset_s: 604800, window_s: 600 },
  webhooks: [{ url: "http://am/api/v2/alerts", format: "alertmanager" }, { url: "http://x/", format: "json" }], unit: "ratio",
  status: { state: "ok", since: null, fired_at: null, evaluated_at: null, value: null, samples: 0, silenced: false, error: null },
};

test("a rule that is edited and not changed is sent as it was", () => {
  const { id: _id, unit: _unit, status: _status, ...sent } = RULE;
  expect(requestOf(draftOf(RULE), METRIC, RULE)).toEqual(sent);
});

test("only what the metric takes is sent", () => {
  const request = requestOf({ ...NEW_DRAFT, metric: "cpu_time", function: "f", type: "cpu:samples" }, METRIC, null);
  expect(request).not.toHaveProperty("function");
  expect(request).not.toHaveProperty("type");
  expect(request.baseline).toBeNull();
});

test("another metric begins with its own interval and least number of samples", () => {
  const request = requestOf(withMetric(draftOf(RULE), "lock_time"), METRIC, RULE);
  expect(request).not.toHaveProperty("interval_s");
  expect(request).not.toHaveProperty("min_samples");
});

test("the interval and the least number of samples are sent as they are typed", () => {
  expect(requestOf({ ...draftOf(RULE), interval_s: "30", min_samples: "7" }, METRIC, RULE)).toMatchObject({ interval_s: 30, min_samples: 7 });
  expect(requestOf({ ...draftOf(RULE), min_samples: "7" }, { ...METRIC, source: "system" }, null)).not.toHaveProperty("min_samples");
});

test("webhooks are one a line", () => {
  expect(parseWebhooks(webhooksText(RULE.webhooks))).toEqual(RULE.webhooks);
  expect(parseWebhooks("\n  \n")).toEqual([]);
});

test("conditions read as sentences", () => {
  expect(conditionText(RULE, METRIC)).toBe('CPU time, in cores where {service="a"} against the baseline ≥ +30.0 % for 5.00 min');
  expect(valueText(0.123, "ratio")).toBe("12.3 %");
  expect(valueText(-0.5, "ratio", true)).toBe("-50.0 %");
});
