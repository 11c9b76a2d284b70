/** Which two snapshots are compared, as in the page's address. */

import type { Comparison, DatasetPage, LabelChange } from "../api/messages";

/** In addresses: what there was before the first snapshot. */
export const NOTHING = "nothing";

export type Snapshots = { before?: string; after?: string };

export function snapshotsOf(search: Record<string, unknown>): Snapshots {
  const snapshots: Snapshots = {};
  const isSnapshot = (value: unknown): value is string =>
    typeof value === "string" && /^\d{8}T\d{6}Z-[0-9a-f]{8}$/u.test(value);
  const { before, after } = search;
  if (before === NOTHING || isSnapshot(before)) snapshots.before = before;
  if (isSnapshot(after)) snapshots.after = after;
  return snapshots;
}

/** The two snapshots as the server is asked for them: the shown one and the one before, unless others are chosen. */
export function comparedSnapshots(
  { before, after }: Snapshots,
  dataset: DatasetPage,
): Pick<Comparison, "before" | "after"> {
  const chosen = after ?? dataset.snapshot_id;
  if (before !== undefined) return { before: before === NOTHING ? "" : before, after: chosen };
  if (chosen === dataset.snapshot_id) return { before: dataset.base_snapshot_id, after: chosen };
  // The ids begin with their time.
  const earlier = dataset.snapshots.map(({ snapshot_id }) => snapshot_id).filter((id) => id < chosen);
  return { before: earlier.toSorted().at(-1) ?? "", after: chosen };
}

/** The labels that differ most first. */
export function byDifference(labels: readonly LabelChange[]): LabelChange[] {
  const size = ({ before, after }: LabelChange) => Math.abs(after - before);
  return labels.toSorted((a, b) => size(b) - size(a) || a.label.localeCompare(b.label));
}
