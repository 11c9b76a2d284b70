import { expect, it } from "vitest";
import type { DatasetPage } from "../api/messages";
import { byDifference, comparedSnapshots, NOTHING, snapshotsOf } from "./address";

const [FIRST, SECOND, THIRD] = [
  "20250101T000000Z-0a1b2c3d",
  "20250201T000000Z-0a1b2c3d",
  "20250301T000000Z-0a1b2c3d",
] as const;
const dataset = {
  snapshot_id: THIRD,
  base_snapshot_id: FIRST,
  snapshots: [THIRD, FIRST, SECOND].map((snapshot_id) => ({ snapshot_id })),
} as DatasetPage;

it("reads what anybody may write into an address", () => {
  expect(snapshotsOf({ before: FIRST, after: SECOND, other: "x" })).toEqual({ before: FIRST, after: SECOND });
  expect(snapshotsOf({ before: NOTHING, after: NOTHING })).toEqual({ before: NOTHING });
  expect(snapshotsOf({ before: `${FIRST}/../x`, after: [SECOND] })).toEqual({});
});

it("compares with what the snapshot started from, else with the one before", () => {
  expect(comparedSnapshots({}, dataset)).toEqual({ before: FIRST, after: THIRD });
  expect(comparedSnapshots({ after: SECOND }, dataset)).toEqual({ before: FIRST, after: SECOND });
  expect(comparedSnapshots({ after: FIRST }, dataset)).toEqual({ before: "", after: FIRST });
  expect(comparedSnapshots({ before: NOTHING }, dataset)).toEqual({ before: "", after: THIRD });
});

it("puts the largest difference first, whichever way it goes", () => {
  const labels = [
    { label: "b", before: 1, after: 1 },
    { label: "more", before: 0, after: 5 },
    { label: "less", before: 9, after: 0 },
    { label: "a", before: 2, after: 2 },
  ];
  expect(byDifference(labels).map(({ label }) => label)).toEqual(["less", "more", "a", "b"]);
});
