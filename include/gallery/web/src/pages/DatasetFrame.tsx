import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useId, useState } from "react";
import type { DatasetPage } from "../api/messages";
import { datasetQuery, type DatasetName } from "../api/queries";
import { FreshnessNote } from "../datasets/FreshnessNote";
import { statusOf } from "../datasets/status";
import { SaveBar } from "../edits/SaveBar";
import { AirflowLink, runPath } from "../shell/AirflowLink";
import { Badge, counted } from "../shell/Badge";
import { EmptyState } from "../shell/EmptyState";
import { Name } from "../shell/Name";
import { ProblemNote } from "../shell/ProblemNote";
import { Progress } from "../shell/Progress";
import { Tabs } from "../shell/Tabs";
import { viewOf } from "../views/view";
import "./dataset-frame.css";

const FROM = "/datasets/$project/$type";

/** A dataset's head with its tabs, around its pages, and what is pending below them. */
export function DatasetFrame() {
  const name = useParams({ from: FROM });
  const view = useSearch({ from: FROM });
  const page = useQuery(datasetQuery(name, view.snapshot));
  const [isAsking, setAsking] = useState(false);
  const snapshot = viewOf({ snapshot: view.snapshot });
  return (
    <section className="dataset">
      <header className="dataset-head">
        <div className="dataset-title">
          <h1>
            <Link to="/" className="dataset-up">
              Datasets
            </Link>
            <span aria-hidden="true">/</span>
            <Name>{name.project}</Name>
          </h1>
          <nav className="dataset-types" aria-label="Dataset type">
            {(["train", "test"] as const).map((type) => (
              <Link key={type} to={FROM} params={{ project: name.project, type }}>
                {type === "train" ? "Training" : "Test"}
              </Link>
            ))}
          </nav>
          {page.data && <Facts page={page.data} />}
        </div>
        <div className="dataset-bar">
          <Tabs label="The dataset's pages">
            <Link
              to={FROM}
              params={name}
              search={snapshot}
              activeOptions={{ exact: true, includeSearch: false }}
            >
              Gallery
            </Link>
            <Link
              to="/datasets/$project/$type/ledger"
              params={name}
              search={snapshot}
              activeOptions={{ includeSearch: false }}
            >
              Ledger
            </Link>
            <Link
              to="/datasets/$project/$type/compare"
              params={name}
              activeOptions={{ includeSearch: false }}
            >
              Compare
            </Link>
            <Link
              to="/datasets/$project/$type/balance"
              params={name}
              search={snapshot}
              activeOptions={{ includeSearch: false }}
            >
              Balance
            </Link>
          </Tabs>
          <div className="dataset-state">
            {page.data && !view.snapshot && (
              <FreshnessNote
                freshness={page.data.freshness}
                isAsking={isAsking}
                onAgain={() => {
                  setAsking(true);
                  void page.refetch().finally(() => setAsking(false));
                }}
              />
            )}
            {page.data && <Snapshots name={name} page={page.data} chosen={view.snapshot ?? ""} />}
          </div>
        </div>
      </header>
      <div className="dataset-page">
        <Content page={page.data} error={page.error} onRetry={() => void page.refetch()} />
      </div>
      <SaveBar name={name} />
    </section>
  );
}

type ContentProps = { page: DatasetPage | undefined; error: Error | null; onRetry: () => void };

function Content({ page, error, onRetry }: ContentProps) {
  if (!page) {
    return error ? (
      <div className="dataset-note">
        <ProblemNote error={error} onRetry={onRetry} />
      </div>
    ) : (
      <p className="dataset-note">Reading the dataset…</p>
    );
  }
  if (page.indexing !== null) {
    return (
      <EmptyState icon="clock" title="Preparing the dataset">
        <p>Its manifest and ledger are read once, so that filters and pages are quick afterwards.</p>
        <Progress share={page.indexing} label="Preparing the dataset" />
      </EmptyState>
    );
  }
  return <Outlet />;
}

function Facts({ page }: { page: DatasetPage }) {
  const { text, tone } = statusOf(page.card.status);
  const share = page.shown_images ? Math.floor((page.labelled / page.shown_images) * 100) : null;
  return (
    <p className="dataset-facts">
      <Badge tone={tone} title={page.card.status_message || page.card.status}>
        {text}
      </Badge>
      {page.indexing === null && (
        <>
          <span>{counted(page.shown_images, "image")}</span>
          {share !== null && <span>{share} % labelled</span>}
          <span>{counted(page.labels.length, "label")}</span>
        </>
      )}
      {page.card.working && (
        <Badge tone="accent" icon="refresh">
          <AirflowLink path={runPath(page.card.working)}>{page.card.working.dag_id}</AirflowLink> works on it
        </Badge>
      )}
      {page.card.is_saving && (
        <Badge tone="accent" icon="refresh">
          edits are being saved
        </Badge>
      )}
    </p>
  );
}

function Snapshots({ name, page, chosen }: { name: DatasetName; page: DatasetPage; chosen: string }) {
  const navigate = useNavigate();
  const id = useId();
  if (!page.snapshots.length) return null;
  return (
    <div className={chosen ? "snapshots snapshots-past" : "snapshots"}>
      <label htmlFor={id} className="hidden-text">
        Show
      </label>
      <select
        id={id}
        className="input"
        title="The dataset as it is, or one of its snapshots"
        value={chosen}
        onChange={(event) =>
          void navigate({
            to: ".",
            params: name,
            search: (before) => viewOf({ ...before, snapshot: event.target.value }),
          })
        }
      >
        <option value="">The dataset as it is</option>
        {page.snapshots.map((snapshot) => (
          <option key={snapshot.snapshot_id} value={snapshot.snapshot_id}>
            {new Date(snapshot.as_of).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })},{" "}
            {counted(snapshot.images, "image")}
            {snapshot.is_current ? ", registered" : ""}
          </option>
        ))}
      </select>
    </div>
  );
}
