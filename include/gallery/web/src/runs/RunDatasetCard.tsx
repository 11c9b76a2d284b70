import { Link } from "@tanstack/react-router";
import type { RunDataset, RunPage } from "../api/messages";
import { NOTHING } from "../comparison/address";
import { changeTone, snapshotTime, stateTone } from "../facts/texts";
import { Badge } from "../shell/Badge";
import { Name } from "../shell/Name";
import { GateQuestion } from "./GateQuestion";

const ACTIONS: Record<string, string> = {
  create: "created",
  update: "updated",
  replace: "replaced",
  none: "left as it was",
};

/** What the run did, or would do, to one dataset. */
export function RunDatasetCard({ run, dataset }: { run: RunPage; dataset: RunDataset }) {
  const {
    project,
    dataset_type: type,
    action,
    snapshot_id,
    base_snapshot_id,
    counts,
    states,
    held,
  } = dataset;
  const name = { project, type };
  return (
    <article className="run-dataset">
      <header>
        <h2>
          <Name>{project}</Name> {type}
        </h2>
        {action && !held && (
          <Badge tone={action === "none" ? "neutral" : "good"}>{ACTIONS[action] ?? action}</Badge>
        )}
        {snapshot_id && <span className="run-hint">Snapshot of {snapshotTime(snapshot_id)}</span>}
      </header>
      {held && <GateQuestion run={run} dataset={dataset} held={held} />}
      {!held && <Counts label="Changes" counts={counts} tone={changeTone} />}
      <Counts label="Ledger" counts={states} tone={stateTone} />
      <nav className="run-links" aria-label={`Pages of ${project} ${type}`}>
        {snapshot_id && (
          <>
            <Link
              className="button"
              to="/datasets/$project/$type"
              params={name}
              search={{ snapshot: snapshot_id }}
            >
              Gallery
            </Link>
            <Link
              className="button"
              to="/datasets/$project/$type/compare"
              params={name}
              search={{ before: base_snapshot_id || NOTHING, after: snapshot_id }}
            >
              What changed
            </Link>
            <Link
              className="button"
              to="/datasets/$project/$type/ledger"
              params={name}
              search={{ snapshot: snapshot_id }}
            >
              Ledger
            </Link>
          </>
        )}
        <Link className="button button-quiet" to="/datasets/$project/$type" params={name}>
          The dataset as it is now
        </Link>
      </nav>
    </article>
  );
}

function Counts({
  label,
  counts,
  tone,
}: {
  label: string;
  counts: Readonly<Record<string, number>>;
  tone: typeof changeTone;
}) {
  const entries = Object.entries(counts);
  if (entries.length === 0) return null;
  return (
    <div className="run-counts">
      <span className="run-hint">{label}</span>
      <dl>
        {entries.map(([value, count]) => (
          <div key={value}>
            <dt>
              <Badge tone={tone(value)}>{value}</Badge>
            </dt>
            <dd>{count.toLocaleString()}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
