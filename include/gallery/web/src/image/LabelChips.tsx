import { useId, useState } from "react";
import { labelColour } from "../boxes/palette";
import { cleaned, faultOf } from "../labels/naming";
import { IconButton } from "../shell/Button";
import { Name } from "../shell/Name";

/** An image's labels, to take away, and a field to add one. */
export function LabelChips({
  labels,
  choices,
  canEdit,
  onChange,
}: {
  labels: readonly string[];
  choices: readonly string[];
  canEdit: boolean;
  onChange: (labels: string[]) => void;
}) {
  const [typed, setTyped] = useState("");
  const list = useId();
  const fault = cleaned(typed) ? faultOf(cleaned(typed)) : "";
  const add = (text: string) => {
    const label = cleaned(text);
    if (faultOf(label)) return;
    if (!labels.includes(label)) onChange([...labels, label]);
    setTyped("");
  };
  return (
    <div className="label-chips">
      {labels.length === 0 && <p className="image-hint">No label for the whole image.</p>}
      {labels.length > 0 && (
        <ul>
          {labels.map((label) => (
            <li key={label}>
              <span className="label-dot" style={{ background: labelColour(label) }} />
              <Name>{label}</Name>
              {canEdit && (
                <IconButton
                  icon="close"
                  label={`Remove ${label}`}
                  onClick={() => onChange(labels.filter((each) => each !== label))}
                />
              )}
            </li>
          ))}
        </ul>
      )}
      {canEdit && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            add(typed);
          }}
        >
          <input
            aria-label="Add a label"
            aria-invalid={fault !== ""}
            list={list}
            maxLength={255}
            placeholder="Add a label"
            value={typed}
            onChange={(event) => {
              const { value } = event.target;
              // Choosing from the list is no typing: it comes as a whole.
              const { inputType } = event.nativeEvent as InputEvent;
              if (inputType === "insertReplacementText" || inputType === undefined) add(value);
              else setTyped(value);
            }}
          />
          <datalist id={list}>
            {choices
              .filter((label) => !labels.includes(label))
              .map((label) => (
                <option key={label}>{label}</option>
              ))}
          </datalist>
          {typed && !fault && (
            <button type="submit">Add{choices.includes(cleaned(typed)) ? "" : " new"}</button>
          )}
        </form>
      )}
    </div>
  );
}
