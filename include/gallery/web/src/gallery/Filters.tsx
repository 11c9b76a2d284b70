import { memo, useState, type ReactNode } from "react";
import type { Count as CountOf, DatasetPage, View } from "../api/messages";
import { Count } from "../shell/Badge";
import { Button } from "../shell/Button";
import { Name } from "../shell/Name";
import { filtersOf, toggled, unfiltered, viewOf } from "../views/view";
import "./filters.css";

type FiltersProps = { page: DatasetPage; view: View; onChange: (view: View) => void };

/** Labels beyond this many have to be searched for. */
const SHOWN_LABELS = 12;

/** What narrows the view down, with the counts of the whole dataset. */
export const Filters = memo(function Filters({ page, view, onChange }: FiltersProps) {
  const [text, setText] = useState("");
  const [isAll, setAll] = useState(false);
  const chosen = view.label ?? [];
  const found = page.labels.filter(({ label }) => label.toLowerCase().includes(text.trim().toLowerCase()));
  const shown =
    isAll || text ? found : found.filter(({ label }, at) => at < SHOWN_LABELS || chosen.includes(label));
  const count = filtersOf(view);
  return (
    <div className="filters">
      <div className="filters-head">
        <h2>Filters</h2>
        {count > 0 && (
          <Button look="quiet" onClick={() => onChange(unfiltered(view))}>
            Clear {count}
          </Button>
        )}
      </div>
      <Group title="Labels" chosen={chosen.length + (view.labelled == null ? 0 : 1)} isOpen>
        <Either
          name="labelled"
          value={view.labelled}
          choices={[
            ["Labelled", page.labelled],
            ["Unlabelled", page.unlabelled],
          ]}
          onChange={(labelled) => onChange(viewOf({ ...view, labelled }))}
        />
        {page.labels.length > 8 && (
          <input
            type="search"
            className="input filters-search"
            placeholder={`Find one of ${page.labels.length} labels`}
            aria-label="Find a label"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        {shown.map(({ label, images }) => (
          <Choice
            key={label}
            count={images}
            isChosen={chosen.includes(label)}
            onToggle={() => onChange(toggled(view, "label", label))}
          >
            <Name>{label}</Name>
          </Choice>
        ))}
        {!found.length && text && <p className="filters-none">No label has this in its name.</p>}
        {shown.length < found.length && (
          <Button look="quiet" onClick={() => setAll(true)}>
            {found.length - shown.length} more
          </Button>
        )}
      </Group>
      <Group title="Bounding boxes" chosen={view.boxed == null ? 0 : 1} isOpen>
        <Either
          name="boxed"
          value={view.boxed}
          choices={[
            ["With boxes", page.boxed],
            ["Without boxes", page.shown_images - page.boxed],
          ]}
          onChange={(boxed) => onChange(viewOf({ ...view, boxed }))}
        />
      </Group>
      {page.base_snapshot_id && page.changes.length > 0 && (
        <List
          title="Changed in this snapshot"
          name="change"
          counts={page.changes}
          view={view}
          onChange={onChange}
        />
      )}
      {page.errors.length > 0 && (
        <List title="Errors" name="error" counts={page.errors} view={view} onChange={onChange}>
          <Choice
            count={page.errors.reduce((sum, each) => sum + each.count, 0)}
            isChosen={view.error?.includes("*") ?? false}
            onToggle={() => onChange(toggled(view, "error", "*"))}
          >
            any error
          </Choice>
        </List>
      )}
      <List title="Ledger state" name="state" counts={page.states} view={view} onChange={onChange} />
      {(view.reason?.length ?? 0) > 0 && (
        <List title="Ledger reason" name="reason" counts={page.reasons} view={view} onChange={onChange} />
      )}
    </div>
  );
});

type GroupProps = { title: string; chosen: number; isOpen?: boolean; children: ReactNode };

function Group({ title, chosen, isOpen = false, children }: GroupProps) {
  return (
    <details className="filter-group" open={isOpen || chosen > 0}>
      <summary>
        {title}
        {chosen > 0 && <span className="filter-chosen">{chosen}</span>}
      </summary>
      <div className="filter-choices">{children}</div>
    </details>
  );
}

type ListProps = {
  title: string;
  name: "error" | "state" | "reason" | "change";
  counts: readonly CountOf[];
  view: View;
  onChange: (view: View) => void;
  children?: ReactNode;
};

function List({ title, name, counts, view, onChange, children }: ListProps) {
  const chosen: readonly string[] = view[name] ?? [];
  return (
    <Group title={title} chosen={chosen.length} isOpen={name === "change"}>
      {children}
      {counts.map(({ value, count, explanation }) => (
        <Choice
          key={value}
          count={count}
          title={explanation}
          isChosen={chosen.includes(value)}
          onToggle={() => onChange(toggled(view, name, value))}
        >
          {value === value.toUpperCase() ? <code>{value}</code> : value}
        </Choice>
      ))}
    </Group>
  );
}

type ChoiceProps = {
  count: number;
  title?: string;
  isChosen: boolean;
  onToggle: () => void;
  children: ReactNode;
};

function Choice({ count, title, isChosen, onToggle, children }: ChoiceProps) {
  return (
    <label className="choice" title={title || undefined}>
      <input type="checkbox" checked={isChosen} onChange={onToggle} />
      <span className="choice-text">{children}</span>
      <Count value={count} />
    </label>
  );
}

type EitherProps = {
  name: string;
  value: boolean | null | undefined;
  choices: [[string, number], [string, number]];
  onChange: (value: boolean | undefined) => void;
};

/** Two choices that exclude each other, of which one can be taken back. */
function Either({ name, value, choices, onChange }: EitherProps) {
  return choices.map(([text, count], at) => {
    const own = at === 0;
    return (
      <Choice
        key={`${name} ${text}`}
        count={count}
        isChosen={value === own}
        onToggle={() => onChange(value === own ? undefined : own)}
      >
        {text}
      </Choice>
    );
  });
}
