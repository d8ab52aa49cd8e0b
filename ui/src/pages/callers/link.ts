// SPDX-License-Identifier: Apache-2.0
import { selectionLink } from "@/state/selection";

/** The page about one function, for the same selection. */
export function callersLink(search: string, name: string, module: string): string {
  return selectionLink("/callers", search, {}, module === "" ? { function: name } : { function: name, module });
}
