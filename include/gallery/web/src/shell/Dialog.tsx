import { useEffect, useId, useRef, type ReactNode } from "react";
import { IconButton } from "./Button";
import "./dialog.css";

type DialogProps = {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  /** Buttons, the one that goes on last. */
  actions?: ReactNode;
  size?: "small" | "medium" | "large";
};

/**
 * A dialog over the page, as long as it is rendered. The browser's own `<dialog>` keeps the focus in it and gives it
 * back; Airflow's frame forbids `confirm()` and windows.
 */
export function Dialog({ title, onClose, children, actions, size = "medium" }: DialogProps) {
  const place = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = place.current;
    if (!dialog || dialog.open) return undefined;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={place}
      className={`dialog dialog-${size}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        // Closing is the owner's, who stops rendering it.
        event.preventDefault();
        onClose();
      }}
      // A press outside of the dialog is one on its backdrop, which is the dialog's own.
      onPointerDown={(event) => {
        if (event.target === place.current) onClose();
      }}
    >
      <div className="dialog-page">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        <div className="dialog-body">{children}</div>
        {actions && <footer className="dialog-actions">{actions}</footer>}
      </div>
    </dialog>
  );
}
