import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import type { ImageRow } from "../api/messages";
import type { LabelChoice } from "../edits/effect";
import { counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { cleaned, faultOf, found } from "./naming";
import "./label-picker.css";

export type Picked = { assign: string[]; remove: string[] };

type LabelPickerProps = {
  /** Images that it is about. */
  count: number;
  /** Their rows as they will be, where all of them are known. */
  rows: readonly ImageRow[] | null;
  choices: readonly LabelChoice[];
  onPick: (picked: Picked) => void;
  onManage: () => void;
  onClose: () => void;
};

type Option = { label: string; isNew: boolean; note: string };

/** Labels to assign to images and to remove from them: type, Enter chooses, Enter again applies. */
export function LabelPicker({ count, rows, choices, onPick, onManage, onClose }: LabelPickerProps) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(-1);
  const [picked, setPicked] = useState<ReadonlyMap<string, "assign" | "remove">>(new Map());
  const listId = useId();
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);

  const name = cleaned(text);
  const options: Option[] = found(choices, text).map(({ label, images }) => ({
    label,
    isNew: false,
    note: images ? counted(images, "image") : "new",
  }));
  // A label that was picked and is new is listed like any other from then on.
  for (const label of picked.keys()) {
    const isKnown = choices.some((each) => each.label === label);
    if (!isKnown && found([{ label }], text).length) options.push({ label, isNew: false, note: "new" });
  }
  const isTaken = options.some((option) => option.label === name);
  const fault = name ? faultOf(name) : "";
  if (name && !isTaken && !fault) options.push({ label: name, isNew: true, note: "" });
  // A text that was typed has its best match chosen already.
  const chosen = at >= 0 ? Math.min(at, options.length - 1) : name ? 0 : -1;

  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    list.current?.children[chosen]?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const have = (label: string): "all" | "some" | "none" | "unknown" => {
    if (!rows) return "unknown";
    const number = rows.filter((row) => row.labels.includes(label)).length;
    return number === 0 ? "none" : number === rows.length ? "all" : "some";
  };
  const pick = (label: string, what: "assign" | "remove") => {
    setPicked((before) => {
      const after = new Map(before);
      if (after.get(label) === what) after.delete(label);
      else after.set(label, what);
      return after;
    });
  };
  /** The likelier one: what all images have already can only be removed. */
  const toggle = (label: string) => {
    const known = picked.get(label);
    pick(label, known ?? (have(label) === "all" ? "remove" : "assign"));
  };
  const apply = () => {
    const of = (what: string) => [...picked].filter(([, each]) => each === what).map(([label]) => label);
    if (picked.size) onPick({ assign: of("assign"), remove: of("remove") });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt(Math.max(-1, Math.min(options.length - 1, chosen + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const option = options[chosen];
      if (event.ctrlKey || event.metaKey || !option) {
        apply();
        return;
      }
      if (event.shiftKey) pick(option.label, "remove");
      else toggle(option.label);
      setText("");
      setAt(-1);
    }
  };
  return (
    <Dialog
      title={`Labels of ${counted(count, "image")}`}
      onClose={onClose}
      actions={
        <>
          <Button look="quiet" className="label-picker-manage" onClick={onManage}>
            Manage labels…
          </Button>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={!picked.size} onClick={apply}>
            Apply to {counted(count, "image")}
          </Button>
        </>
      }
    >
      <div className="label-picker">
        <input
          ref={input}
          type="text"
          className="input"
          role="combobox"
          aria-label="Find or create a label"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={chosen >= 0 ? `${listId}-${chosen}` : undefined}
          placeholder="Find or create a label"
          autoComplete="off"
          dir="auto"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(-1);
          }}
          onKeyDown={onKeyDown}
        />
        <div className="label-picker-picked" aria-live="polite">
          {[...picked].map(([label, what]) => (
            <button
              key={label}
              type="button"
              className={`picked picked-${what}`}
              title="Take it back"
              onClick={() => pick(label, what)}
            >
              <Icon name={what === "assign" ? "add" : "minus"} size={13} />
              <Name>{label}</Name>
            </button>
          ))}
          {!picked.size && <span>Enter chooses a label, Shift+Enter removes it, Enter again applies.</span>}
        </div>
        {fault && <p className="label-picker-fault">{fault}</p>}
        <div ref={list} id={listId} role="listbox" aria-label="Labels" className="label-options">
          {options.map((option, index) => (
            // Keys are the field's, in which the focus stays.
            // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
            <div
              key={option.isNew ? "\n" : option.label}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={picked.has(option.label)}
              className={index === chosen ? "label-option label-option-active" : "label-option"}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => toggle(option.label)}
            >
              <Mark have={have(option.label)} picked={picked.get(option.label)} />
              <span className="label-option-name">
                {option.isNew && "Create “"}
                <Name>{option.label}</Name>
                {option.isNew && "”"}
              </span>
              <small>{option.note}</small>
              {have(option.label) !== "none" && !option.isNew && (
                // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
                <span
                  aria-hidden="true"
                  className="label-option-remove"
                  onClick={(event) => {
                    event.stopPropagation();
                    pick(option.label, "remove");
                  }}
                >
                  Remove
                </span>
              )}
            </div>
          ))}
        </div>
        {!options.length && !fault && <p>There is no label yet: write the first one.</p>}
      </div>
    </Dialog>
  );
}

function Mark({ have, picked }: { have: "all" | "some" | "none" | "unknown"; picked: string | undefined }) {
  const state = picked ?? have;
  const said = {
    assign: "will be assigned",
    remove: "will be removed",
    all: "on all of them",
    some: "on some of them",
    none: "on none of them",
    unknown: "",
  }[state];
  return (
    <span className={`label-mark label-mark-${state}`} title={said || undefined}>
      {(state === "assign" || state === "all") && <Icon name="check" size={13} />}
      {(state === "some" || state === "remove") && <Icon name="minus" size={13} />}
      {said && <span className="hidden-text">{said}</span>}
    </span>
  );
}
