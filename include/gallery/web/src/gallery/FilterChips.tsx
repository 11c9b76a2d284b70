import type { View } from "../api/messages";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { filtersOf, toggled, unfiltered, viewOf } from "../views/view";
import "./filter-chips.css";

type FilterChipsProps = { view: View; onChange: (view: View) => void };

/** What narrows the view down, each to be taken back with a press. */
export function FilterChips({ view, onChange }: FilterChipsProps) {
  if (!filtersOf(view)) return null;
  const chips: [string, string, View][] = [];
  for (const name of ["label", "error", "state", "reason", "change"] as const) {
    for (const value of view[name] ?? []) chips.push([name, value, toggled(view, name, value)]);
  }
  if (view.labelled != null) {
    const without = viewOf({ ...view, labelled: undefined });
    chips.push(["", view.labelled ? "labelled" : "unlabelled", without]);
  }
  if (view.boxed != null) {
    chips.push(["", view.boxed ? "with boxes" : "without boxes", viewOf({ ...view, boxed: undefined })]);
  }
  if (view.key) chips.push(["key", view.key, viewOf({ ...view, key: "" })]);
  return (
    <div className="filter-chips">
      {chips.map(([name, value, without]) => (
        <button
          key={`${name} ${value}`}
          type="button"
          className="filter-chip"
          aria-label={`Take back the filter ${name} ${value}`}
          onClick={() => onChange(without)}
        >
          {name && <span>{name}</span>}
          {name === "error" && value === "*" ? "any" : <Name>{value}</Name>}
          <Icon name="close" size={12} />
        </button>
      ))}
      <button type="button" className="filter-chips-clear" onClick={() => onChange(unfiltered(view))}>
        Clear all
      </button>
    </div>
  );
}
