// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import { setTheme, useTheme } from "@/state/theme";
import { Icon } from "./icons";

export function ThemeToggle(): ReactNode {
  const theme = useTheme();
  const next = theme === "dark" ? "light" : "dark";
  return (
    <button type="button" className="button quiet icon" onClick={() => setTheme(next)} aria-label={`Switch to the ${next} theme`} title={`Switch to the ${next} theme`}>
      <Icon name={theme === "dark" ? "sun" : "moon"} />
    </button>
  );
}
