import { useEffect, useId, useState, type RefObject } from "react";
import type { View } from "../api/messages";
import { Button, IconButton } from "../shell/Button";
import { SORTS, viewOf } from "../views/view";
import "./toolbar.css";

const SORT_TITLES: Record<(typeof SORTS)[number], string> = {
  key: "Key",
  label: "Label",
  boxes: "Boxes",
  pixels: "Pixels",
  size: "File size",
  modified: "Last modified",
  change: "Change",
};

export const SIZES = { least: 96, most: 320, step: 16, first: 168 } as const;

type ToolbarProps = {
  view: View;
  onChange: (view: View, isTyping?: boolean) => void;
  size: number;
  onSize: (size: number) => void;
  search: RefObject<HTMLInputElement | null>;
  filters: number;
  isFiltersOpen: boolean;
  onFilters: () => void;
  onManage: () => void;
  onKeys: () => void;
};

/** Text to find, the order, and the size of the tiles. */
export function Toolbar(props: ToolbarProps) {
  const { view, onChange, size, onSize, filters } = props;
  const sortId = useId();
  const sort = view.sort ?? "key";
  return (
    <div className="toolbar">
      <Button
        className="toolbar-filters"
        icon="filter"
        aria-expanded={props.isFiltersOpen}
        aria-label={filters ? `Filters, ${filters} chosen` : "Filters"}
        onClick={props.onFilters}
      >
        Filters{filters > 0 && ` · ${filters}`}
      </Button>
      <KeyField view={view} onChange={onChange} search={props.search} />
      <div className="toolbar-end">
        <label htmlFor={sortId} className="toolbar-label">
          Sort
        </label>
        <select
          id={sortId}
          className="input toolbar-sort"
          value={sort}
          onChange={(event) => onChange(viewOf({ ...view, sort: event.target.value }))}
        >
          {SORTS.map((each) => (
            <option key={each} value={each}>
              {SORT_TITLES[each]}
            </option>
          ))}
        </select>
        <IconButton
          icon={view.descending ? "down" : "up"}
          label={view.descending ? "Descending; sort ascending" : "Ascending; sort descending"}
          onClick={() => onChange(viewOf({ ...view, descending: !view.descending }))}
        />
        <input
          type="range"
          className="toolbar-size"
          aria-label="Size of the tiles"
          title="Size of the tiles"
          min={SIZES.least}
          max={SIZES.most}
          step={SIZES.step}
          value={size}
          onChange={(event) => onSize(Number(event.target.value))}
        />
        <IconButton icon="label" label="Manage labels" onClick={props.onManage} />
        <IconButton icon="keyboard" label="Keys (?)" onClick={props.onKeys} />
      </div>
    </div>
  );
}

const PAUSE_MS = 250;

type KeyFieldProps = Pick<ToolbarProps, "view" | "onChange" | "search">;

/** Text in the key; the address changes once one pauses. */
function KeyField({ view, onChange, search }: KeyFieldProps) {
  const known = view.key ?? "";
  const [text, setText] = useState(known);
  const [last, setLast] = useState(known);
  if (known !== last) {
    // The address became another one, by a link or by the browser's way back.
    setLast(known);
    if (known !== text.trim()) setText(known);
  }
  useEffect(() => {
    if (text.trim() === known) return undefined;
    const timer = window.setTimeout(() => onChange(viewOf({ ...view, key: text.trim() }), true), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [text, known, view, onChange]);
  return (
    <input
      ref={search}
      type="search"
      className="input toolbar-search"
      placeholder="Find text in keys"
      aria-label="Find text in keys"
      title="Press /"
      dir="auto"
      spellCheck={false}
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
  );
}
