// SPDX-License-Identifier: Apache-2.0
/** What gives a module its symbols: by what it is, in steps with commands to copy. */
import type { Module } from "@/api/model";

export interface Remedy {
  title: string;
  text: string;
  command?: string;
}

const KERNEL = 1;

/** One word for a POSIX shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A kernel, the vDSO or memory: no file that could be looked in. */
function isPseudo(module: Module): boolean {
  return !module.module.startsWith("/");
}

export function moduleName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || "(unknown)";
}

/** `origin`: the address of the aggregator, for its command line. */
export function remediesOf(module: Module, origin: string): Remedy[] {
  if (module.kind === KERNEL) {
    return [{
      title: "Let the agent read the kernel's addresses",
      text: "It needs CAP_SYSLOG, and a kernel that does not hide them even so. What is stored already keeps its addresses.",
      command: "sysctl kernel.kptr_restrict=1",
    }];
  }
  if (module.build_id === "" && isPseudo(module)) {
    return [{
      title: "Let the runtime tell what it compiled",
      text: "This is code made at run time. Start the program so that it writes /tmp/perf-PID.map, as node --perf-basic-prof, python -X perf and DOTNET_PerfMapEnabled=1 do. What is stored already keeps its addresses.",
    }];
  }
  if (module.build_id === "") {
    return [{
      title: "Build it with a build-id",
      text: "Without one, no debug file can be known to belong to it. Linkers add one on demand, and most compilers do so by default.",
      command: "gcc -Wl,--build-id …",
    }];
  }
  if (isPseudo(module)) {
    return [{ title: "Nothing to install", text: "The kernel maps this code into processes; it has no file that could be looked in." }];
  }
  const path = quote(module.module), push = `aperture symbols push --server ${quote(origin)}`;
  return [
    {
      title: "Push the symbols from wherever they are",
      text: "On the machine that built it or has its debug file. Only names travel, and they rename what is stored as well.",
      command: `${push} ${path}`,
    },
    {
      title: "Ask a debuginfod server",
      text: "Distributions run public ones; DEBUGINFOD_URLS says which to ask.",
      command: `${push} "$(debuginfod-find debuginfo ${module.build_id})"`,
    },
    {
      title: "Install the debug package, then push",
      text: "For what the distribution built, on a host that has it. The agent there names new samples by itself from then on.",
      command: `apt install $(find-dbgsym-packages ${path}) && ${push} ${path}`,
    },
  ];
}
