// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { CONTENTION, EVERYTHING, endsFilter, keyOf, kindQuery, kindsOf, parseKey, placeOf, recorders, waitsFilter } from "./locks";

const ID = { lock: "0x7f12", pid: "812", kind: "mutex", host: "db,1", caller: "" };
const KERNEL_ID = { lock: "[kernel heap]", pid: "0", kind: "percpu-rwsem write", host: "db,1", caller: "ext4_write [ext4]" };

describe("locks in the address", () => {
  it("survive a round trip", () => {
    expect(parseKey(keyOf(ID))).toEqual(ID);
    expect(parseKey(keyOf(KERNEL_ID))).toEqual(KERNEL_ID);
  });

  it("are read from addresses that know no locks of the kernel", () => {
    expect(parseKey("0x7f12,812,mutex,db,1")).toEqual(ID);
  });

  it.each(["", "0x1", "0x1,2,mutex", ",812,mutex,db", "0x7f12,x,mutex,db", "0x7f12,1,M,db"])("are not read from %o", (text) => {
    expect(parseKey(text)).toBeNull();
  });
});

describe("a lock's name", () => {
  it("is its place, where that is known", () => {
    expect(placeOf({ place: "lock in app", lock: "0x7f12" })).toBe("lock in app");
    expect(placeOf({ place: "", lock: "0x7f12" })).toBe("0x7f12");
  });
});

describe("filters of locks", () => {
  it("ask for contention, for all, or for one kind", () => {
    expect(kindQuery('{a="b"}', CONTENTION)).toEqual({ filter: '{a="b"}', contended: true });
    expect(kindQuery("", EVERYTHING)).toEqual({ filter: "", contended: false });
    expect(kindQuery('{kind="mutex",a="b"}', "join")).toEqual({ filter: '{a="b",kind="join"}', contended: false });
  });

  it("select the waits for one lock within the selection", () => {
    expect(waitsFilter('{service="x",pid="1"}', ID)).toBe('{service="x",host="db,1",pid="812",lock="0x7f12",kind="mutex"}');
  });

  it("select the waits for a lock of the kernel by where it is asked for", () => {
    expect(waitsFilter("", KERNEL_ID)).toBe('{host="db,1",pid="0",lock="[kernel heap]",kind="percpu-rwsem write",caller="ext4_write [ext4]"}');
  });

  it("offer the kinds of what is listed, each once", () => {
    expect(kindsOf("user")).not.toContain("spinlock");
    expect(kindsOf("kernel")).not.toContain("join");
    expect(kindsOf("all").filter((k) => k === "mutex")).toHaveLength(1);
  });

  it("name the threads as those see them who end waits", () => {
    expect(endsFilter('{thread="w",waker=~"h.*"}', ID)).toBe('{waiter="w",thread=~"h.*",host="db,1",pid="812",lock="0x7f12"}');
  });
});

describe("who records waits for locks", () => {
  const agent = (host: string, modes: string[], state: "ok" | "left" = "ok") => ({ host, state, modes });

  it("is nobody, some or all of the agents", () => {
    expect(recorders([])).toEqual({ text: "", idle: undefined });
    expect(recorders([agent("a", ["cpu"], "left"), agent("b", ["cpu"])])).toEqual({ text: "", idle: "b" });
    expect(recorders([agent("a", ["cpu", "lock"]), agent("b", ["cpu"]), agent("c", ["lock"])])).toEqual({ text: "2 of 3 agents record", idle: "b" });
    expect(recorders([agent("a", ["cpu", "lock"])])).toEqual({ text: "All agents record", idle: undefined });
  });
});
