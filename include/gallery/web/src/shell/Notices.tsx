import { useSyncExternalStore } from "react";
import { IconButton } from "./Button";
import { dismiss, noticesNow, onNotices } from "./notices";
import "./notices.css";

/** Once in the page: the notices in its corner, and the place that screen readers listen to. */
export function Notices() {
  const { notices, spoken } = useSyncExternalStore(onNotices, noticesNow);
  return (
    <>
      <div className="hidden-text" role="status" aria-live="polite">
        {spoken}
      </div>
      <div className="notices">
        {notices.map(({ id, text, tone }) => (
          <div key={id} className={`notice notice-${tone}`}>
            <span>{text}</span>
            <IconButton icon="close" label="Dismiss" onClick={() => dismiss(id)} />
          </div>
        ))}
      </div>
    </>
  );
}
