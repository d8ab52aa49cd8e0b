// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { formatFilter, parseFilter, valueOf, withLabel, withoutLabel, type Matcher } from "./filter";
import { choice, flag, list, readState, text, writeState } from "./params";
import { dayBefore, isRelative, previousRange, rangeProblem, relativeAge, resolveRange, resolveTime } from "./time";

const schema = {
  search: text(),
  live: flag(),
  view: choice(["both", "graph", "table"], "both"),
  hide: list(),
};

describe("URL state", () => {
  it.each([
    { search: "a&b=c #%", live: true, view: "table" as const, hide: ["x", "std::map<int, int>"] },
    { search: "", live: false, view: "both" as const, hide: [] },
    { search: "größe 😀", live: false, view: "graph" as const, hide: ["=,&"] },
  ])("survives a round trip: %o", (state) => {
    expect(readState(schema, writeState(schema, "", state))).toEqual(state);
  });

  it("leaves defaults out and foreign parameters alone", () => {
    expect(writeState(schema, "from=now-6h&view=table", { view: "both", live: false })).toBe("from=now-6h");
  });

  it("keeps states of one schema apart by a prefix", () => {
    const left = { search: "a", live: true, view: "table" as const, hide: ["x", "y"] };
    const address = writeState(schema, writeState(schema, "search=mine", left, "l."), { search: "b" }, "r.");
    expect(readState(schema, address, "l.")).toEqual(left);
    expect(readState(schema, address, "r.")).toEqual({ search: "b", live: false, view: "both", hide: [] });
    expect(readState(schema, address).search).toBe("mine");
  });

  it("reads nonsense as the default", () => {
    expect(readState(schema, "view=%00&live=maybe")).toEqual({ search: "", live: false, view: "both", hide: [] });
  });
});

describe("filter", () => {
  const cases: Matcher[][] = [
    [],
    [{ label: "service", op: "=", value: "redis" }],
    [
      { label: "host", op: "=~", value: "web-.*\\d" },
      { label: "k8s.io-app", op: "!=", value: 'say "hi", {ok}\n' },
    ],
    [{ label: "a", op: "!~", value: "" }],
  ];
  it.each(cases.map((c) => [c]))("survives a round trip: %o", (matchers) => {
    expect(parseFilter(formatFilter(matchers))).toEqual(matchers);
  });

  it.each(["{", "service=x", "{service=x}", '{service="x}', '{service="x" host="y"}', '{1a="x"}', '{a="x",,}'])(
    "refuses %s",
    (filter) => {
      expect(parseFilter(filter)).toBeNull();
    },
  );

  it("leaves a label out, and a malformed filter alone", () => {
    expect(withoutLabel('{service="a",state=~"b.*",state!="x"}', "state")).toBe('{service="a"}');
    expect(withoutLabel('{state="a"}', "state")).toBe("");
    expect(withoutLabel("{state=", "state")).toBe("{state=");
  });

  it("tells the one value that a label may have", () => {
    expect(valueOf('{service="a b",host=~"x"}', "service")).toBe("a b");
    expect([valueOf('{host=~"x"}', "host"), valueOf('{a="1",a!="2"}', "a"), valueOf("", "a"), valueOf("{", "a")]).toEqual([null, null, null, null]);
  });

  it("replaces an equality and keeps the rest", () => {
    expect(withLabel('{service="a",host=~"w.*"}', "service", "b")).toBe('{host=~"w.*",service="b"}');
    expect(withLabel("", "host", "h1")).toBe('{host="h1"}');
  });
});

describe("time", () => {
  const now = Date.UTC(2026, 0, 2, 3, 4, 5);

  it("resolves every way of writing a time", () => {
    expect(resolveTime("now", now)).toBe(now);
    expect(resolveTime("now-90s", now)).toBe(now - 90_000);
    expect(resolveTime("1700000000000", now)).toBe(1_700_000_000_000);
    expect(resolveTime("2026-01-02T00:00:00Z", now)).toBe(Date.UTC(2026, 0, 2));
  });

  it.each(["", "yesterday", "now-1y", "now+1h", "2026-13-99T00:00:00Z", "-5"])("refuses %s", (text) => {
    expect(resolveTime(text, now)).toBeNull();
  });

  it("keeps the previous range as long, and relative where it can", () => {
    expect(previousRange({ from: "now-1h", to: "now" }, now)).toEqual({ from: "now-2h", to: "now-1h" });
    expect(previousRange({ from: "now-90m", to: "now" }, now)).toEqual({ from: "now-3h", to: "now-90m" });
    expect(previousRange({ from: "1000", to: "3000" }, now)).toEqual({ from: "-1000", to: "1000" });
  });

  it("finds the same hours a day earlier", () => {
    expect(dayBefore({ from: "now-1h", to: "now" }, now)).toEqual({ from: "now-25h", to: "now-1d" });
    expect(dayBefore({ from: "86401000", to: "now" }, now)).toEqual({ from: "1000", to: "now-1d" });
  });

  it("tells what is wrong with a range", () => {
    expect(rangeProblem({ from: "now-1h", to: "now" }, now)).toBeNull();
    expect(rangeProblem({ from: "now", to: "now-1h" }, now)).toMatch(/before/);
    expect(rangeProblem({ from: "x", to: "now" }, now)).toMatch(/start/);
    expect(isRelative({ from: "5", to: "now" })).toBe(false);
    expect(relativeAge("now-7d")).toBe(7 * 86_400_000);
    expect(resolveRange({ from: "bad", to: "now" }, now)).toEqual({ from: now - 3_600_000, to: now });
  });
});
