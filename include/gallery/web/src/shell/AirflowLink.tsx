import type { MouseEvent, ReactNode } from "react";
import { AIRFLOW } from "../api/client";
import type { RunLink } from "../api/messages";

/** The path of a run's own page in Airflow. */
export const runPath = ({ dag_id, run_id }: RunLink) =>
  `dags/${encodeURIComponent(dag_id)}/runs/${encodeURIComponent(run_id)}`;

type AirflowLinkProps = { path: string; className?: string; children: ReactNode };

/**
 * A link to one of Airflow's pages. Inside of Airflow's frame, whose sandbox lets nothing navigate the page around it,
 * Airflow's own router is told to go there; it listens to the history.
 */
export function AirflowLink({ path, className, children }: AirflowLinkProps) {
  const { href } = new URL(path, AIRFLOW);
  return (
    <a
      href={href}
      className={className}
      onClick={(event) => {
        if (!isPlain(event) || !isFramed()) return;
        event.preventDefault();
        openInAirflow(href);
      }}
    >
      {children}
    </a>
  );
}

function isPlain(event: MouseEvent): boolean {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

function isFramed(): boolean {
  if (window.parent === window) return false;
  try {
    return window.parent.location.origin === window.location.origin;
  } catch {
    // Another origin's page does not let us look.
    return false;
  }
}

function openInAirflow(href: string): void {
  window.parent.history.pushState(null, "", href);
  window.parent.dispatchEvent(new PopStateEvent("popstate", { state: null }));
}
