import { Fragment } from "react";
import { Button } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import "./keys-dialog.css";

const KEYS: [string, [string[], string][]][] = [
  [
    "Move",
    [
      [["←", "→", "↑", "↓"], "to the next image"],
      [["Page Up", "Page Down"], "by a screen"],
      [["Home", "End"], "to the first, to the last image"],
      [["Enter"], "open the image"],
      [["/"], "find text in keys"],
    ],
  ],
  [
    "Select",
    [
      [["Space"], "select, or no longer"],
      [["Shift", "arrows"], "select a range"],
      [["Ctrl", "A"], "select all that match"],
      [["Escape"], "clear the selection"],
    ],
  ],
  [
    "Edit",
    [
      [["L"], "assign and remove labels"],
      [["Ctrl", "Z"], "undo"],
      [["Ctrl", "Shift", "Z"], "redo"],
      [["?"], "these keys"],
    ],
  ],
];

export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog
      title="Keys"
      onClose={onClose}
      actions={
        <Button look="primary" onClick={onClose}>
          Close
        </Button>
      }
    >
      {KEYS.map(([title, keys]) => (
        <section key={title} className="keys">
          <h3>{title}</h3>
          <dl>
            {keys.map(([names, does]) => (
              <Fragment key={does}>
                <dt>
                  {names.map((each) => (
                    <kbd key={each}>{each}</kbd>
                  ))}
                </dt>
                <dd>{does}</dd>
              </Fragment>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
