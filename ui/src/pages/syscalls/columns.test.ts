// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { errorHint, errorText } from "./columns";

describe("errors of a system call", () => {
  it("begin with the most frequent", () => {
    const errnos = [{ errno: 4, name: "EINTR", count: 3 }, { errno: 11, name: "EAGAIN", count: 5 }, { errno: 999, name: "", count: 158_000 }];
    expect(errorText({ errnos })).toBe("999 158k, EAGAIN 5, EINTR 3");
    expect(errnos[0]!.name).toBe("EINTR");
  });

  it("say what the kernel's own are", () => {
    expect(errorHint("ERESTARTNOHAND")).toMatch(/signal/);
    expect(errorHint("EINTR")).toBeUndefined();
  });
});
