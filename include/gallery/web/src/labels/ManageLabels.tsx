import { useState } from "react";
import { add, addLabel, dropLabel, type Draft } from "../edits/draft";
import type { LabelChoice } from "../edits/effect";
import { counted } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { Name } from "../shell/Name";
import { cleaned, faultOf, found } from "./naming";
import "./manage-labels.css";

type ManageLabelsProps = {
  choices: readonly LabelChoice[];
  limit: number;
  change: (how: (draft: Draft) => Draft) => void;
  onClose: () => void;
};

/** Labels of the whole dataset: add, rename, and merge by renaming one as another. Nothing is sent before a save. */
export function ManageLabels({ choices, limit, change, onClose }: ManageLabelsProps) {
  const [text, setText] = useState("");
  const [renamed, setRenamed] = useState("");
  const name = cleaned(text);
  const isTaken = choices.some(({ label }) => label === name);
  const fault = name ? faultOf(name) : "";
  const shown = found(choices, text);
  return (
    <Dialog
      title="Labels of the dataset"
      onClose={onClose}
      actions={
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      }
    >
      <form
        className="manage-labels-new"
        onSubmit={(event) => {
          event.preventDefault();
          if (!name || isTaken || fault) return;
          change((draft) => addLabel(draft, name));
          setText("");
        }}
      >
        <input
          type="text"
          className="input"
          aria-label="Find a label, or name a new one"
          placeholder="Find a label, or name a new one"
          autoComplete="off"
          dir="auto"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button type="submit" icon="add" disabled={!name || isTaken || fault !== ""}>
          Add
        </Button>
      </form>
      <p className="manage-labels-note">
        {fault ||
          `${choices.length} of ${limit} labels. A new label is in the dataset once an image has it; a name that is taken merges both labels.`}
      </p>
      <ul className="manage-labels">
        {shown.map((choice) =>
          choice.label === renamed ? (
            <li key={choice.label}>
              <Rename
                choice={choice}
                choices={choices}
                onCancel={() => setRenamed("")}
                onRename={(to) => {
                  setRenamed("");
                  change((draft) => rename(draft, choice, to));
                }}
              />
            </li>
          ) : (
            <li key={choice.label}>
              <span className="manage-labels-name">
                <Name>{choice.label}</Name>
              </span>
              <small>
                {choice.images ? counted(choice.images, "image") : "not used yet"}
                {choice.boxedImages > 0 && `, ${counted(choice.boxedImages, "image")} with boxes`}
              </small>
              <IconButton
                icon="pencil"
                label={`Rename or merge ${choice.label}`}
                onClick={() => setRenamed(choice.label)}
              />
              {choice.isNew && choice.images === 0 && (
                <IconButton
                  icon="trash"
                  label={`Drop ${choice.label}`}
                  onClick={() => change((draft) => dropLabel(draft, choice.label))}
                />
              )}
            </li>
          ),
        )}
      </ul>
    </Dialog>
  );
}

/** A label that no image and no edit has needs no renaming on the server. */
function rename(draft: Draft, { label, images, isNew }: LabelChoice, to: string): Draft {
  const without = dropLabel(draft, label);
  const isUsed = images > 0 || !isNew || draft.edits.length > 0;
  return isUsed ? add(without, { kind: "renaming", old: label, new: to }) : addLabel(without, to);
}

type RenameProps = {
  choice: LabelChoice;
  choices: readonly LabelChoice[];
  onRename: (to: string) => void;
  onCancel: () => void;
};

function Rename({ choice, choices, onRename, onCancel }: RenameProps) {
  const [text, setText] = useState(choice.label);
  const name = cleaned(text);
  const fault = faultOf(name);
  const other = choices.find(({ label }) => label === name && label !== choice.label);
  return (
    <form
      className="manage-labels-rename"
      onSubmit={(event) => {
        event.preventDefault();
        if (fault) return;
        if (name === choice.label) onCancel();
        else onRename(name);
      }}
    >
      <input
        type="text"
        className="input"
        aria-label={`New name of ${choice.label}`}
        autoComplete="off"
        dir="auto"
        // The person has just asked to write here.
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
        onFocus={(event) => event.target.select()}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          // Leaves the field, and not the dialog.
          event.preventDefault();
          event.stopPropagation();
          onCancel();
        }}
      />
      <Button
        type="submit"
        look={other ? "danger" : "primary"}
        disabled={fault !== "" || name === choice.label}
      >
        {other ? "Merge" : "Rename"}
      </Button>
      <Button onClick={onCancel}>Cancel</Button>
      <small>
        {fault ||
          (other
            ? `Merges ${counted(choice.images, "image")} into a label that ${counted(other.images, "image")} ${other.images === 1 ? "has" : "have"}. Afterwards nobody can tell them apart.`
            : `${counted(choice.images, "image")} will be renamed, boxes too.`)}
      </small>
    </form>
  );
}
