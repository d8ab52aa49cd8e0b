// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { CONTENTION, EVERYTHING, endsFilter, keyOf, kindQuery, parseKey, waitsFilter } from "./locks";

const ID = { lock: "0x7f12", pid: "812", kind: "mutex", host: "db,1" };

describe("locks in the address", () => {
  it("survive a round trip", () => {
    expect(parseKey(keyOf(ID))).toEqual(ID);
  });

  it.each(["", "0x1", "0x1,2,mutex", "7f,812,mutex,db", "0x7f12,x,mutex,db"])("are not read from %o", (text) => {
    expect(parseKey(text)).toBeNull();
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

  it("name the threads as those see them who end waits", () => {
    expect(endsFilter('{thread="w",waker=~"h.*"}', ID)).toBe('{waiter="w",thread=~"h.*",host="db,1",pid="812",lock="0x7f12"}');
  });
});
