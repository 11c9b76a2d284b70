import { useEffect, useId, useRef, useState } from "react";
import type { Box } from "../api/messages";
import { cleaned } from "../labels/naming";
import { nameOf } from "./drawing";
import type { Size } from "./orientation";
import { labelColour } from "./palette";
import { boxFault } from "./rules";
import "./box-list.css";

const SIDES = [
  ["left", "Left"],
  ["top", "Top"],
  ["width", "Width"],
  ["height", "Height"],
] as const;

type List = {
  boxes: readonly Box[];
  selected: string;
  stored: Size | null;
  labels: readonly string[];
  canEdit: boolean;
  onSelect: (name: string) => void;
  onChange: (name: string, change: Partial<Box>) => void;
  onDelete: (name: string) => void;
};

/** Every box with its label and its exact numbers, to be changed by keyboard. */
export function BoxList(props: List) {
  const choices = useId();
  return (
    <>
      <datalist id={choices}>
        {props.labels.map((label) => (
          <option key={label}>{label}</option>
        ))}
      </datalist>
      <ol className="box-list">
        {props.boxes.map((box, index) => (
          <BoxItem key={nameOf(box)} {...props} box={box} number={index + 1} choices={choices} />
        ))}
      </ol>
    </>
  );
}

function BoxItem({
  box,
  number,
  choices,
  selected,
  stored,
  canEdit,
  onSelect,
  onChange,
  onDelete,
}: List & { box: Box; number: number; choices: string }) {
  const name = nameOf(box);
  const isSelected = name === selected;
  const fault = boxFault(box, stored);
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isSelected) item.current?.scrollIntoView({ block: "nearest" });
  }, [isSelected]);
  return (
    <li ref={item} data-selected={isSelected || undefined}>
      <div className="box-list-head">
        <button
          type="button"
          className="box-list-number"
          aria-pressed={isSelected}
          aria-label={`Box ${number}: ${box.label}`}
          style={{ background: labelColour(box.label) }}
          onClick={() => onSelect(isSelected ? "" : name)}
        >
          {number}
        </button>
        <LabelField
          label={box.label}
          name={`Label of box ${number}`}
          choices={choices}
          isReadOnly={!canEdit}
          onFocus={() => onSelect(name)}
          onChange={(label) => onChange(name, { label })}
        />
        {canEdit && (
          <button
            type="button"
            className="box-list-delete"
            aria-label={`Delete box ${number}`}
            title="Delete (Del)"
            onClick={() => onDelete(name)}
          >
            ×
          </button>
        )}
      </div>
      <div className="box-list-numbers">
        {SIDES.map(([side, title]) => (
          <label key={side}>
            <span>{title}</span>
            <NumberField
              value={box[side]}
              least={side === "left" || side === "top" ? 0 : 1}
              isWrong={fault !== ""}
              isReadOnly={!canEdit}
              onFocus={() => onSelect(name)}
              onChange={(value) => onChange(name, { [side]: value })}
            />
          </label>
        ))}
      </div>
      {fault && <p className="box-list-fault">{fault}</p>}
    </li>
  );
}

/** A label to type or to choose; an empty one is not taken, and Escape brings the last one back. */
function LabelField(props: {
  label: string;
  name: string;
  choices: string;
  isReadOnly: boolean;
  onFocus: () => void;
  onChange: (label: string) => void;
}) {
  const [typed, setTyped] = useState<string | null>(null);
  const take = () => {
    const label = cleaned(typed ?? "");
    if (label && label !== props.label) props.onChange(label);
    setTyped(null);
  };
  return (
    <input
      className="box-list-label"
      aria-label={props.name}
      list={props.choices}
      maxLength={255}
      readOnly={props.isReadOnly}
      value={typed ?? props.label}
      onFocus={(event) => {
        props.onFocus();
        event.target.select();
      }}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={take}
      onKeyDown={(event) => {
        if (event.key === "Enter") take();
        if (event.key === "Escape") setTyped(null);
      }}
    />
  );
}

/** A number of pixels, taken as it is typed, as soon as it is one. */
function NumberField(props: {
  value: number;
  least: number;
  isWrong: boolean;
  isReadOnly: boolean;
  onFocus: () => void;
  onChange: (value: number) => void;
}) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      type="number"
      // Boxes of other tools may have fractions, which are no fault.
      step="any"
      min={props.least}
      max={10_000}
      aria-invalid={props.isWrong || typed === ""}
      readOnly={props.isReadOnly}
      value={typed ?? props.value}
      onFocus={props.onFocus}
      onChange={(event) => {
        const { value, valueAsNumber } = event.target;
        setTyped(value);
        if (Math.abs(valueAsNumber) <= 10_000) props.onChange(valueAsNumber);
      }}
      onBlur={() => setTyped(null)}
      onKeyDown={(event) => {
        const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
        if (step === undefined || props.isReadOnly) return;
        event.preventDefault();
        setTyped(null);
        props.onChange(Math.round(props.value) + step * (event.shiftKey ? 10 : 1));
      }}
    />
  );
}
