import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { address } from "../api/client";
import type { DatasetPage, Download, ImageRow, View } from "../api/messages";
import { datasetPath, datasetQuery, imagesQuery, type DatasetName } from "../api/queries";
import { CountToggles } from "../facts/CountToggles";
import { KeyField } from "../facts/KeyField";
import { sizeText, snapshotTime, STATE_MEANINGS, stateTone, timeText } from "../facts/texts";
import { Badge, counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { EmptyState } from "../shell/EmptyState";
import { Menu, MenuItem } from "../shell/Menu";
import { Key, Name } from "../shell/Name";
import { announce } from "../shell/notices";
import { ProblemNote } from "../shell/ProblemNote";
import { PAGE_ROWS, usePages } from "../tables/usePages";
import { VirtualTable, type Column } from "../tables/VirtualTable";
import { queryOf, SORTS, toggled, viewOf } from "../views/view";
import "./ledger.css";

const FRAME = "/datasets/$project/$type";
type Sort = (typeof SORTS)[number];

/** Every object that was seen, in its state, with the reason and what to do. */
export function LedgerPage() {
  const name = useParams({ from: FRAME });
  const view = useSearch({ from: FRAME });
  const dataset = useQuery(datasetQuery(name, view.snapshot));
  if (dataset.isError) return <ProblemNote error={dataset.error} onRetry={() => void dataset.refetch()} />;
  if (dataset.isPending) return <p className="ledger-waiting">Reading the ledger…</p>;
  if (dataset.data.indexing != null) {
    return <p className="ledger-waiting">The server prepares the dataset; the ledger appears by itself.</p>;
  }
  if (!dataset.data.snapshot_id) {
    return (
      <EmptyState title="There is no ledger yet">
        The ledger is written by imports, and this dataset has no snapshot of one.
      </EmptyState>
    );
  }
  return <Ledger name={name} view={view} dataset={dataset.data} />;
}

function Ledger({ name, view, dataset }: { name: DatasetName; view: View; dataset: DatasetPage }) {
  const navigate = useNavigate();
  const show = useCallback(
    (next: View) => void navigate({ to: `${FRAME}/ledger`, params: name, search: next, replace: true }),
    [navigate, name],
  );
  // A view without states means images in the dataset; the ledger means every object.
  const query = useMemo(
    () =>
      queryOf(
        view.state?.length || view.reason?.length
          ? view
          : { ...view, state: dataset.states.map(({ value }) => value) },
      ),
    [view, dataset.states],
  );
  const [range, setRange] = useState<[number, number]>([0, PAGE_ROWS - 1]);
  const onRange = useCallback((first: number, last: number) => setRange([first, last]), []);
  const ask = (offset: number) => imagesQuery(name, query, dataset.version, offset, PAGE_ROWS);
  const total = useQuery(ask(0)).data?.total;
  const { rowAt, error, retry } = usePages(range, ask, ({ images }) => images);
  const explanations = useMemo(
    () => new Map(dataset.reasons.map(({ value, explanation }) => [value, explanation])),
    [dataset.reasons],
  );
  const columns = useMemo(() => columnsOf(name, view, explanations), [name, view, explanations]);
  useEffect(() => {
    if (total !== undefined) announce(counted(total, "object"));
  }, [total]);
  const isFiltered = Boolean(view.state?.length || view.reason?.length || view.key);

  return (
    <div className="ledger">
      <CountToggles
        label="States"
        counts={dataset.states.map(({ value, count }) => ({ value, count, tone: stateTone(value) }))}
        chosen={view.state ?? []}
        meanings={STATE_MEANINGS}
        onToggle={(state) => show(toggled(view, "state", state))}
      />
      <Reasons dataset={dataset} view={view} onShow={show} />
      <div className="ledger-tools">
        <KeyField value={view.key ?? ""} onChange={(key) => show(viewOf({ ...view, key }))} />
        <span className="ledger-total">{total === undefined ? "…" : counted(total, "object")}</span>
        {isFiltered && (
          <Button
            look="quiet"
            icon="close"
            onClick={() =>
              show(viewOf({ snapshot: view.snapshot, sort: view.sort, descending: view.descending }))
            }
          >
            Show all
          </Button>
        )}
        <Downloads name={name} dataset={dataset} />
      </div>
      {error && <ProblemNote error={error} onRetry={retry} />}
      {total === 0 ? (
        <EmptyState icon="filter" title="Nothing is in this view">
          No object has what you chose.
        </EmptyState>
      ) : (
        <VirtualTable<ImageRow, Sort>
          key={JSON.stringify(query)}
          label="Ledger"
          columns={columns}
          total={total ?? 0}
          rowAt={rowAt}
          onRange={onRange}
          sort={view.sort ?? "key"}
          isDescending={view.descending ?? false}
          onSort={(sort, descending) => show(viewOf({ ...view, sort, descending }))}
        />
      )}
    </div>
  );
}

function columnsOf(
  name: DatasetName,
  view: View,
  explanations: ReadonlyMap<string, string>,
): Column<ImageRow, Sort>[] {
  return [
    {
      title: "Key",
      width: "minmax(220px, 3fr)",
      sort: "key",
      cell: ({ id, key }) => (
        <Link
          className="virtual-link"
          to="/datasets/$project/$type/images/$id"
          params={{ ...name, id }}
          search={view}
        >
          <Key>{key}</Key>
        </Link>
      ),
    },
    {
      title: "State",
      width: "120px",
      cell: ({ state }) => <Badge tone={stateTone(state)}>{state}</Badge>,
    },
    {
      title: "Reason, and what to do",
      width: "minmax(260px, 3fr)",
      cell: ({ reason, detail }) => {
        const explanation = explanations.get(reason) ?? "";
        return (
          <span title={[explanation, detail].filter(Boolean).join("\n")}>
            <span className="virtual-two">
              <code>{reason}</code>{" "}
              {detail && (
                <span className="ledger-detail">
                  <Name>{detail}</Name>
                </span>
              )}
            </span>
            <small className="virtual-two">{explanation}</small>
          </span>
        );
      },
    },
    {
      title: "Labels",
      width: "minmax(90px, 1fr)",
      sort: "label",
      cell: ({ labels, box_labels }) => <Name>{[...new Set([...labels, ...box_labels])].join(", ")}</Name>,
    },
    {
      title: "Size",
      width: "90px",
      isNumber: true,
      sort: "size",
      cell: ({ size_bytes }) => (size_bytes ? sizeText(size_bytes) : "–"),
    },
    {
      title: "Modified",
      width: "170px",
      sort: "modified",
      cell: ({ last_modified }) => (last_modified ? timeText(last_modified) : "–"),
    },
  ];
}

function Reasons({
  dataset,
  view,
  onShow,
}: {
  dataset: DatasetPage;
  view: View;
  onShow: (view: View) => void;
}) {
  const reasons = dataset.reasons.toSorted((a, b) => b.count - a.count);
  const chosen = view.reason?.length ?? 0;
  return (
    <details className="ledger-reasons" open={chosen > 0 || undefined}>
      <summary>
        {counted(reasons.length, "reason")}
        {chosen > 0 && `, ${chosen} chosen`}
      </summary>
      <table>
        <thead className="hidden-text">
          <tr>
            <th>Reason</th>
            <th>Objects</th>
            <th>Meaning</th>
          </tr>
        </thead>
        <tbody>
          {reasons.map(({ value, count, explanation }) => (
            <tr key={value} data-chosen={view.reason?.includes(value) || undefined}>
              <td aria-label={value}>
                <button
                  type="button"
                  aria-pressed={view.reason?.includes(value) ?? false}
                  onClick={() => onShow(toggled(view, "reason", value))}
                >
                  <code>{value}</code>
                </button>
              </td>
              <td className="ledger-number">{count.toLocaleString()}</td>
              <td>{explanation}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

const DOWNLOADS: readonly (readonly [Download["kind"], title: string, hint: string])[] = [
  ["manifest", "Manifest", "As Rekognition and SageMaker Ground Truth read it"],
  ["ledger.csv", "Ledger as CSV", "For spreadsheets"],
  ["ledger.parquet", "Ledger as Parquet", "For Athena, DuckDB and data frames"],
  ["coco.json", "COCO", "Images, labels and boxes as JSON"],
];

function Downloads({ name, dataset }: { name: DatasetName; dataset: DatasetPage }) {
  const snapshot = dataset.snapshot_id;
  return (
    <div className="ledger-downloads">
      <span>Snapshot of {snapshotTime(snapshot)}</span>
      <Menu label="Download" icon="download">
        {DOWNLOADS.map(([file, title, hint]) => (
          <MenuItem
            key={file}
            href={address(`${datasetPath(name)}/downloads/${file}`, { snapshot })}
            download
            hint={hint}
          >
            {title}
          </MenuItem>
        ))}
      </Menu>
    </div>
  );
}
