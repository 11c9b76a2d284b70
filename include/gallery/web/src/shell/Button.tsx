import type { ComponentProps, ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import "./button.css";

type ButtonProps = ComponentProps<"button"> & {
  /** `primary` once per view; `danger` for what cannot be taken back. */
  look?: "plain" | "primary" | "danger" | "quiet";
  icon?: IconName;
  children: ReactNode;
};

export function Button({ look = "plain", icon, className = "", children, ...rest }: ButtonProps) {
  return (
    <button type="button" className={`button button-${look} ${className}`} {...rest}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

type IconButtonProps = Omit<ComponentProps<"button">, "children"> & {
  icon: IconName;
  /** What it does, in words: its name for screen readers, and shown when the mouse rests. */
  label: string;
};

export function IconButton({ icon, label, className = "", ...rest }: IconButtonProps) {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}
