import type { ReactNode } from "react";
import "./tabs.css";

/** Links to the pages of one thing; the router marks the one that is shown with `aria-current`. */
export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav className="tabs" aria-label={label}>
      {children}
    </nav>
  );
}
