import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import "./badge.css";

export type Tone = "neutral" | "accent" | "good" | "warning" | "bad";

/** A state in a word or two. */
export function Badge({
  tone = "neutral",
  icon,
  title,
  children,
}: {
  tone?: Tone;
  icon?: IconName;
  title?: string;
  children: ReactNode;
}) {
  return (
    <span className={`badge badge-${tone}`} title={title}>
      {icon && <Icon name={icon} size={13} />}
      {children}
    </span>
  );
}

/** A number of things, as the reader's language writes it; a dash where it is not known. */
export function Count({ value, of }: { value: number | null | undefined; of?: string }) {
  return (
    <span className="count">
      {value == null ? <span title="not known">–</span> : value.toLocaleString()}
      {of && ` ${of}`}
    </span>
  );
}

/** "1 image", "2,000 images". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
