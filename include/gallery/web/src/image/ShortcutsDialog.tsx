import { Dialog } from "../shell/Dialog";

const KEYS: readonly [string, string][] = [
  ["j, k", "next and previous image; → and ← too, while no box is chosen"],
  ["+, −, wheel", "zoom in and out, at the pointer"],
  ["0, 1", "fit the picture; one pixel for one pixel"],
  ["Space + drag", "move the picture; the middle button, too"],
  ["drag", "draw a box"],
  ["n", "add a box in the middle of the picture"],
  ["[, ]", "choose the previous or the next box"],
  ["arrows", "move the chosen box by a pixel; with Shift by 10"],
  ["Alt + arrows", "make the chosen box larger or smaller; with Shift by 10"],
  ["l", "change the chosen box's label"],
  ["Delete", "delete the chosen box"],
  ["c", "copy the boxes of the previous image"],
  ["Esc", "choose no box"],
  ["Ctrl + Z, Ctrl + Y", "undo, redo"],
];

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="image-keys">
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
