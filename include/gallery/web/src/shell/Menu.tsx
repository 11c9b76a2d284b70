import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import "./menu.css";

type MenuProps = {
  /** What opens it says. */
  label: ReactNode;
  icon?: IconName;
  look?: "plain" | "primary" | "quiet";
  disabled?: boolean;
  children: ReactNode;
};

/** A button with a menu of `MenuItem`s below it; arrows, Home, End and Escape work in it. */
export function Menu({ label, icon, look = "plain", disabled = false, children }: MenuProps) {
  const id = useId();
  const opener = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);

  const items = () => [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const move = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all.at(to % all.length)?.focus();
  };
  return (
    <>
      <button
        ref={opener}
        type="button"
        className={`button button-${look}`}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        popoverTarget={id}
        disabled={disabled}
      >
        {icon && <Icon name={icon} />}
        <span>{label}</span>
        <Icon name="down" size={14} />
      </button>
      {/* Keys and clicks are its items', which it looks after together. */}
      {/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus */}
      <div
        ref={menu}
        id={id}
        role="menu"
        className="menu"
        popover="auto"
        onKeyDown={move}
        onClick={() => menu.current?.hidePopover()}
        onToggle={(event) => {
          const opens = event.newState === "open";
          setOpen(opens);
          if (opens) items()[0]?.focus();
        }}
        onBeforeToggle={(event) => {
          if (event.newState === "open" && opener.current && menu.current)
            putBelow(menu.current, opener.current);
        }}
      >
        {isOpen && children}
      </div>
    </>
  );
}

type MenuItemProps = { icon?: IconName; disabled?: boolean; hint?: ReactNode; children: ReactNode } & (
  { onSelect: () => void; href?: never } | { href: string; onSelect?: never; download?: boolean }
);

export function MenuItem(props: MenuItemProps) {
  const { icon, hint, children } = props;
  const content = (
    <>
      {icon && <Icon name={icon} />}
      <span className="menu-item-text">
        {children}
        {hint && <small>{hint}</small>}
      </span>
    </>
  );
  if (props.href !== undefined) {
    return (
      <a role="menuitem" className="menu-item" tabIndex={-1} href={props.href} download={props.download}>
        {content}
      </a>
    );
  }
  return (
    <button
      type="button"
      role="menuitem"
      className="menu-item"
      tabIndex={-1}
      disabled={props.disabled}
      onClick={props.onSelect}
    >
      {content}
    </button>
  );
}

/** Place a popover, which lies in the browser's top layer, at what opened it, within the window. */
export function putBelow(popover: HTMLElement, opener: HTMLElement): void {
  const { left, right, bottom, top } = opener.getBoundingClientRect();
  const { style } = popover;
  style.inset = "auto";
  if (left > window.innerWidth / 2) style.right = `${Math.max(8, window.innerWidth - right)}px`;
  else style.left = `${Math.max(8, left)}px`;
  const room = window.innerHeight - bottom;
  if (room < 240 && top > room) style.bottom = `${window.innerHeight - top + 4}px`;
  else style.top = `${bottom + 4}px`;
  style.maxHeight = `${Math.max(room, top) - 16}px`;
}
