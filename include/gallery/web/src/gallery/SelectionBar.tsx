import { counted } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import "./selection-bar.css";

type SelectionBarProps = {
  count: number;
  total: number;
  canEdit: boolean;
  onLabel: () => void;
  onAll: () => void;
  onClear: () => void;
};

/** What can be done with the images that are selected. */
export function SelectionBar({ count, total, canEdit, onLabel, onAll, onClear }: SelectionBarProps) {
  return (
    <div className="selection-bar" role="toolbar" aria-label="Selected images">
      <IconButton icon="close" label="Clear the selection (Escape)" onClick={onClear} />
      <strong>{counted(count, "image")} selected</strong>
      {count < total && (
        <Button look="quiet" onClick={onAll}>
          Select all {total.toLocaleString()} matching
        </Button>
      )}
      <Button
        look="primary"
        icon="label"
        disabled={!canEdit}
        title={
          canEdit
            ? "Press L"
            : "Labels of a snapshot, or without the right to trigger imports, stay as they are"
        }
        onClick={onLabel}
      >
        Labels…
      </Button>
    </div>
  );
}
