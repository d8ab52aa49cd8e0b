// SPDX-License-Identifier: Apache-2.0
/** What can be done with one frame: the context menu of the flame graph. */
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { copyText } from "./basics";
import type { SetFlameState, FlameState } from "./flame-state";
import { Icon, type IconName } from "./icons";

export interface MenuTarget {
  x: number;
  y: number;
  name: string;
  module: string;
  zoomKey: string;
  path: string[];
  isRoot: boolean;
}

/** Links to other pages about a function; absent in a saved file. */
export interface FrameLinks {
  callers(name: string, module: string): void;
  showInTop(name: string): void;
  compare(name: string): void;
}

function Item({ icon, onSelect, children, hint }: { icon: IconName; onSelect(): void; children: ReactNode; hint?: string }): ReactNode {
  return (
    <DropdownMenu.Item className="menu-item" onSelect={onSelect}>
      <Icon name={icon} />
      {children}
      {hint ? <span className="muted">{hint}</span> : null}
    </DropdownMenu.Item>
  );
}

export function FlameMenu(props: {
  target: MenuTarget | null;
  state: FlameState;
  set: SetFlameState;
  links?: FrameLinks;
  onClose(): void;
}): ReactNode {
  const { target, state, set, links } = props;
  if (!target) return null;
  const { name } = target;
  return (
    <DropdownMenu.Root open onOpenChange={(open) => !open && props.onClose()} modal={false}>
      <DropdownMenu.Trigger asChild>
        <span className="menu-anchor" style={{ left: target.x, top: target.y }} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="start" sideOffset={2} collisionPadding={8}>
          <div className="menu-label truncate">{name}</div>
          <Item icon="search" onSelect={() => set({ zoom: target.zoomKey })} hint="Enter">Zoom here</Item>
          {target.isRoot ? null : (
            <>
              <Item icon="focus" onSelect={() => set({ focus: name, callers: "", zoom: "" })}>Only calls through this</Item>
              <Item icon="callers" onSelect={() => set({ callers: name, focus: "", zoom: "" })}>Who calls this</Item>
              <Item icon="hide" onSelect={() => set({ hide: [...state.hide, name] })}>Hide this function</Item>
              <div className="menu-line" />
              <Item icon="search" onSelect={() => set({ search: name, re: false })}>Search for this</Item>
              {links ? (
                <>
                  <Item icon="callers" onSelect={() => links.callers(name, target.module)}>Callers and callees</Item>
                  <Item icon="top" onSelect={() => links.showInTop(name)}>Show in Top functions</Item>
                  <Item icon="compare" onSelect={() => links.compare(name)}>Compare with before</Item>
                </>
              ) : null}
            </>
          )}
          <div className="menu-line" />
          <Item icon="copy" onSelect={() => void copyText(name)}>Copy the name</Item>
          <Item icon="copy" onSelect={() => void copyText(target.path.join(";"))}>Copy the stack</Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
