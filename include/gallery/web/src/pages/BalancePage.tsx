import { useQuery } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { datasetQuery, statisticsQuery } from "../api/queries";
import { LabelBalance } from "../balance/LabelBalance";
import { SizePlot } from "../balance/SizePlot";
import { EmptyState } from "../shell/EmptyState";
import { ProblemNote } from "../shell/ProblemNote";
import { filtersOf, queryOf } from "../views/view";
import "../balance/balance.css";

const FRAME = "/datasets/$project/$type";

/** How many images each label has, and how large images are. */
export function BalancePage() {
  const name = useParams({ from: FRAME });
  const view = useSearch({ from: FRAME });
  const query = useMemo(() => queryOf(view), [view]);
  const dataset = useQuery(datasetQuery(name, view.snapshot));
  const isReady = dataset.data !== undefined && dataset.data.indexing == null;
  const statistics = useQuery({
    ...statisticsQuery(name, query, dataset.data?.version ?? ""),
    enabled: isReady,
  });
  const other = {
    project: name.project,
    type: name.type === "train" ? ("test" as const) : ("train" as const),
  };
  const otherDataset = useQuery({ ...datasetQuery(other), retry: false });
  const others = useQuery({
    ...statisticsQuery(other, {}, otherDataset.data?.version ?? ""),
    enabled: otherDataset.data !== undefined && otherDataset.data.shown_images > 0,
    retry: false,
  });

  const error = dataset.error ?? statistics.error;
  if (error) {
    const retry = () => void Promise.all([dataset.refetch(), statistics.refetch()]);
    return <ProblemNote error={error} onRetry={retry} />;
  }
  if (!statistics.data) return <p className="balance-waiting">Counting labels and sizes…</p>;
  const { labels, unlabelled, sizes, unknown_sizes } = statistics.data;
  if (labels.length === 0 && unlabelled === 0) {
    return <EmptyState title="There are no images to count">The dataset, or its view, is empty.</EmptyState>;
  }
  return (
    <div className="balance">
      {filtersOf(view) > 0 && (
        <p className="balance-filtered">Only images of the current view are counted.</p>
      )}
      <LabelBalance
        name={name}
        view={view}
        labels={labels}
        labelled={filtersOf(view) > 0 ? null : (dataset.data?.labelled ?? null)}
        unlabelled={unlabelled}
        other={others.data && { type: other.type, labels: others.data.labels }}
      />
      <SizePlot bins={sizes} unknown={unknown_sizes} />
    </div>
  );
}
