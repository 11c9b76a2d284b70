import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { RunPage as Run } from "../api/messages";
import { runQuery } from "../api/queries";
import { RunDatasetCard } from "../runs/RunDatasetCard";
import { Badge, type Tone } from "../shell/Badge";
import { EmptyState } from "../shell/EmptyState";
import { Name } from "../shell/Name";
import { ProblemNote } from "../shell/ProblemNote";
import "../runs/run.css";

const TONES: Record<string, Tone> = { success: "good", failed: "bad", running: "accent", queued: "neutral" };

/** What a Dag run changed, or what it asks a person for. */
export function RunPage() {
  const { dagId, runId } = useParams({ from: "/runs/$dagId/$runId" });
  const run = useQuery(runQuery(dagId, runId));
  if (run.isError) return <ProblemNote error={run.error} onRetry={() => void run.refetch()} />;
  if (run.isPending) return <p className="run-waiting">Reading the run…</p>;
  if (!run.data.is_ours) return <NotOurs run={run.data} />;
  const { source, state, datasets } = run.data;
  const waits = datasets.some(({ held }) => held !== null);
  return (
    <section className="run">
      <header>
        <h1>
          <Name>{runId}</Name>
        </h1>
        {state && <Badge tone={TONES[state] ?? "neutral"}>{state}</Badge>}
        {waits && (
          <Badge tone="warning" icon="clock">
            waits for a person
          </Badge>
        )}
        <p>
          <Name>{dagId}</Name>
          {source && (
            <>
              {" from "}
              <Name>{source}</Name>
            </>
          )}
        </p>
      </header>
      {datasets.length === 0 && (
        <EmptyState icon="clock" title="Nothing to show yet">
          The run has not come far enough to say what it changes. The page looks again by itself.
        </EmptyState>
      )}
      {datasets
        .toSorted((a, b) => Number(b.held !== null) - Number(a.held !== null))
        .map((dataset) => (
          <RunDatasetCard
            key={`${dataset.project}/${dataset.dataset_type}`}
            run={run.data}
            dataset={dataset}
          />
        ))}
    </section>
  );
}

function NotOurs({ run }: { run: Run }) {
  const isUnderway = ["queued", "running"].includes(run.state);
  return (
    <EmptyState icon={isUnderway ? "clock" : "dataset"} title="This run has no dataset to show">
      {isUnderway
        ? "It is still under way. If it is an import of Custom Labels, what it changes appears here by itself."
        : "Either it is a run of another Dag, or it ended before it had a dataset. Airflow’s graph and logs have what it did."}
    </EmptyState>
  );
}
