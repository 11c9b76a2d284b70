import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import type { DatasetPage, Difference, View } from "../api/messages";
import { comparisonQuery, datasetQuery, type DatasetName } from "../api/queries";
import { byDifference, comparedSnapshots, NOTHING, type Snapshots } from "../comparison/address";
import { LabelChanges } from "../comparison/LabelChanges";
import { Side } from "../comparison/Side";
import { CountToggles } from "../facts/CountToggles";
import { KeyField } from "../facts/KeyField";
import { changeTone, snapshotTime } from "../facts/texts";
import { Badge, counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { EmptyState } from "../shell/EmptyState";
import { Name } from "../shell/Name";
import { ProblemNote } from "../shell/ProblemNote";
import { PAGE_ROWS, usePages } from "../tables/usePages";
import { VirtualTable, type Column } from "../tables/VirtualTable";
import { toggled, viewOf } from "../views/view";
import "../comparison/compare.css";

const ROUTE = "/datasets/$project/$type/compare";

/** What differs between two snapshots. */
export function ComparePage() {
  const name = useParams({ from: ROUTE });
  const search = useSearch({ from: ROUTE });
  const dataset = useQuery(datasetQuery(name));
  if (dataset.isError) return <ProblemNote error={dataset.error} onRetry={() => void dataset.refetch()} />;
  if (dataset.isPending) return <p className="compare-waiting">Reading the snapshots…</p>;
  if (dataset.data.snapshots.length === 0) {
    return (
      <EmptyState title="There is nothing to compare yet">
        Each import writes a snapshot; there is none of this dataset.
      </EmptyState>
    );
  }
  return <Compare name={name} search={search} dataset={dataset.data} />;
}

function Compare({
  name,
  search,
  dataset,
}: {
  name: DatasetName;
  search: View & Snapshots;
  dataset: DatasetPage;
}) {
  const navigate = useNavigate();
  const show = useCallback(
    (next: View & Snapshots) => void navigate({ to: ROUTE, params: name, search: next, replace: true }),
    [navigate, name],
  );
  const { before, after } = comparedSnapshots(search, dataset);
  const asked = { before, after, change: search.change ?? [], key: search.key ?? "" };
  const snapshots: Snapshots = { before: before || NOTHING, after };
  const first = useQuery(comparisonQuery(name, asked, 0, PAGE_ROWS));
  const [range, setRange] = useState<[number, number]>([0, PAGE_ROWS - 1]);
  const onRange = useCallback((from: number, until: number) => setRange([from, until]), []);
  const { rowAt, error, retry } = usePages(
    range,
    (offset) => comparisonQuery(name, asked, offset, PAGE_ROWS),
    ({ differences }) => differences,
  );
  const columns = useMemo(
    () => columnsOf(name, before, after, dataset.snapshot_id),
    [name, before, after, dataset.snapshot_id],
  );
  const comparison = first.data;

  return (
    <div className="compare">
      <div className="compare-snapshots">
        <Chooser
          label="Before"
          value={before || NOTHING}
          dataset={dataset}
          hasNothing
          onChange={(id) => show({ ...search, ...snapshots, before: id })}
        />
        <Button
          look="quiet"
          disabled={!before}
          title="Exchange the two snapshots"
          onClick={() => show({ ...search, before: after, after: before })}
        >
          ⇄<span className="hidden-text">Exchange</span>
        </Button>
        <Chooser
          label="After"
          value={after}
          dataset={dataset}
          onChange={(id) => show({ ...search, ...snapshots, after: id })}
        />
      </div>
      {error ? (
        <ProblemNote error={error} onRetry={retry} />
      ) : !comparison ? (
        <p className="compare-waiting">Comparing the snapshots…</p>
      ) : (
        <>
          <CountToggles
            label="Changes"
            counts={Object.entries(comparison.counts)
              .filter(([change]) => change !== "unchanged")
              .map(([value, count]) => ({ value, count, tone: changeTone(value) }))}
            chosen={search.change ?? []}
            onToggle={(change) => show({ ...toggled(search, "change", change), ...snapshots })}
          />
          <LabelChanges labels={byDifference(comparison.labels)} />
          <div className="compare-tools">
            <KeyField
              value={search.key ?? ""}
              onChange={(key) => show({ ...viewOf({ ...search, key }), ...snapshots })}
            />
            <span className="compare-total" role="status">
              {counted(comparison.total, "difference")}
            </span>
          </div>
          {comparison.total === 0 ? (
            <EmptyState icon="check" title="No differences">
              {asked.key || asked.change.length > 0
                ? "No image has what you chose."
                : "Both snapshots say the same."}
            </EmptyState>
          ) : (
            <VirtualTable
              key={JSON.stringify(asked)}
              label="Differences"
              columns={columns}
              total={comparison.total}
              rowHeight={92}
              rowAt={rowAt}
              onRange={onRange}
            />
          )}
        </>
      )}
    </div>
  );
}

/** An image is looked at in the snapshot that has it; the one that is shown anyway can be edited. */
function snapshotView(snapshot: string, shown: string): View {
  return snapshot === shown ? {} : { snapshot };
}

function columnsOf(
  name: DatasetName,
  before: string,
  after: string,
  shown: string,
): Column<Difference, never>[] {
  return [
    {
      title: "Image",
      width: "minmax(200px, 2fr)",
      cell: ({ id, key, changes, moved_to }) => (
        <>
          <span className="compare-changes">
            {changes.map((change) => (
              <Badge key={change} tone={changeTone(change)}>
                {change}
              </Badge>
            ))}
          </span>
          <Link
            className="virtual-link"
            to="/datasets/$project/$type/images/$id"
            params={{ ...name, id }}
            search={snapshotView(changes.includes("removed") ? before : after, shown)}
          >
            <span className="compare-key" title={key}>
              <Name>{key}</Name>
            </span>
          </Link>
          {moved_to && (
            <small className="virtual-two" title={moved_to}>
              now <Name>{moved_to}</Name>
            </small>
          )}
        </>
      ),
    },
    {
      title: "Before",
      width: "minmax(260px, 3fr)",
      cell: (row) => (
        <Side
          name={name}
          id={row.id}
          snapshot={before}
          version={row.before_version}
          labels={row.before}
          others={row.after ?? []}
          boxes={row.before_boxes}
          kind="before"
        />
      ),
    },
    {
      title: "After",
      width: "minmax(260px, 3fr)",
      cell: (row) => (
        <Side
          name={name}
          id={row.id}
          snapshot={after}
          version={row.after_version}
          labels={row.after}
          others={row.before ?? []}
          boxes={row.after_boxes}
          kind="after"
        />
      ),
    },
  ];
}

function Chooser({
  label,
  value,
  dataset,
  hasNothing = false,
  onChange,
}: {
  label: string;
  value: string;
  dataset: DatasetPage;
  hasNothing?: boolean;
  onChange: (id: string) => void;
}) {
  const isKnown = value === NOTHING || dataset.snapshots.some(({ snapshot_id }) => snapshot_id === value);
  return (
    <label className="compare-chooser">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {hasNothing && <option value={NOTHING}>Nothing: before the first snapshot</option>}
        {!isKnown && <option value={value}>{snapshotTime(value)}</option>}
        {dataset.snapshots.map(({ snapshot_id, images, is_current, action }) => (
          <option key={snapshot_id} value={snapshot_id}>
            {snapshotTime(snapshot_id)}, {counted(images, "image")}
            {action && `, ${action}`}
            {is_current && ", registered"}
          </option>
        ))}
      </select>
    </label>
  );
}
