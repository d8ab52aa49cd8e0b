// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import type { Module } from "@/api/model";
import { moduleName, quote, remediesOf } from "./remedies";

const ORIGIN = "http://127.0.0.1:9090";

function module(fields: Partial<Module>): Module {
  return { module: "/usr/sbin/nginx", build_id: "ab12", kind: 0, total: 2, self: 1, share: 0.5, frames: 3, ...fields };
}

describe("remedies", () => {
  it("names the file and the build-id where a debug file can be found", () => {
    const commands = remediesOf(module({}), ORIGIN).map((r) => r.command);
    expect(commands[0]).toBe("aperture symbols push --server http://127.0.0.1:9090 /usr/sbin/nginx");
    expect(commands[1]).toContain("debuginfod-find debuginfo ab12");
    expect(commands[2]).toContain("/usr/sbin/nginx");
  });

  it("does not offer to push what has no file or no build-id", () => {
    for (const m of [module({ module: "[kernel]", build_id: "", kind: 1 }), module({ module: "[anon]", build_id: "", kind: 2 }), module({ module: "[vdso]" }), module({ build_id: "" })]) {
      const remedies = remediesOf(m, ORIGIN);
      expect(remedies).toHaveLength(1);
      expect(remedies[0]?.command ?? "").not.toContain("symbols push");
    }
  });

  it("gives a hostile path to the shell as one word", () => {
    expect(quote("/opt/a b")).toBe("'/opt/a b'");
    expect(quote("/x'; rm -rf ~ #")).toBe(`'/x'\\''; rm -rf ~ #'`);
    expect(quote("$(id)")).toBe("'$(id)'");
    expect(remediesOf(module({ module: "/a$(id)" }), ORIGIN)[0]?.command).toContain("'/a$(id)'");
  });

  it("names a module by the end of its path", () => {
    expect(moduleName("/usr/sbin/nginx")).toBe("nginx");
    expect(moduleName("[kernel]")).toBe("[kernel]");
    expect(moduleName("")).toBe("(unknown)");
  });
});
