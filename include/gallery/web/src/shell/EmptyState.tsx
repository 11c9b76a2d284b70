import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import "./empty-state.css";

/** What a page says when there is nothing to show: why, and the first step. */
export function EmptyState({
  icon = "dataset",
  title,
  children,
  actions,
}: {
  icon?: IconName;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className="empty-state">
      <Icon name={icon} size={36} />
      <h2>{title}</h2>
      {children && <div className="empty-state-text">{children}</div>}
      {actions && <div className="empty-state-actions">{actions}</div>}
    </div>
  );
}
