import { describe, expect, it } from "vitest";
import type { Box, ImagePage, ImageRow } from "../api/messages";
import type { Edit } from "./draft";
import { extent, labelsAfter, pageAfter, rowAfter } from "./effect";

const A = "a".repeat(16);
const B = "b".repeat(16);
const box = (label: string): Box => ({ label, left: 1, top: 2, width: 3, height: 4 });
const row = (over: Partial<ImageRow> = {}): ImageRow => ({
  id: A,
  key: "k",
  labels: ["x"],
  box_labels: [],
  boxes: 0,
  is_in_dataset: true,
  state: "registered",
  reason: "IN_FOLDER",
  detail: "",
  errors: [],
  change: "",
  version: "",
  width: 0,
  height: 0,
  size_bytes: 0,
  last_modified: "",
  ...over,
});
const assign = (ids: string[], assigned: string[], remove: string[] = []): Edit => ({
  kind: "assignment",
  ids,
  assign: assigned,
  remove,
});
const rename = (old: string, name: string): Edit => ({ kind: "renaming", old, new: name });

describe("a row after edits", () => {
  it.each<[string, Edit[], string[]]>([
    ["assigned", [assign([A], ["y"])], ["x", "y"]],
    ["removed", [assign([A], [], ["x"])], []],
    ["replaced", [assign([A], ["y"], ["x"])], ["y"]],
    ["removed and assigned at once", [assign([A], ["x"], ["x"])], ["x"]],
    ["renamed", [rename("x", "y")], ["y"]],
    ["merged", [assign([A], ["y"]), rename("x", "y")], ["y"]],
    ["in their order", [rename("x", "y"), assign([A], ["x"])], ["y", "x"]],
    ["redrawn", [{ kind: "redrawing", id: A, seen: "", labels: ["z"], boxes: [] }], ["z"]],
  ])("has labels that were %s", (_, edits, labels) => {
    expect(rowAfter(row(), edits).labels).toEqual(labels);
  });

  it("is the very same one where nothing is about it", () => {
    const before = row();
    expect(rowAfter(before, [assign([B], ["y"]), rename("other", "y"), assign([A], ["x"])])).toBe(before);
    const removed = row({ is_in_dataset: false });
    expect(rowAfter(removed, [assign([A], ["y"])])).toBe(removed);
  });
});

it("shows boxes as they were drawn, under new names", () => {
  const page = { image: row(), boxes: [] as Box[] } as unknown as ImagePage;
  const after = pageAfter(page, [
    { kind: "redrawing", id: A, seen: "", labels: [], boxes: [box("x"), box("y")] },
    rename("x", "y"),
  ]);
  expect(after.boxes.map((each) => each.label)).toEqual(["y", "y"]);
  expect(after.image).toMatchObject({ labels: [], box_labels: ["y"], boxes: 2 });
});

it("offers the labels as they will be", () => {
  const known = [
    { label: "x", images: 3, boxed_images: 1 },
    { label: "y", images: 2, boxed_images: 0 },
  ];
  const after = labelsAfter(known, [rename("x", "y"), assign([A], ["new"])], ["unused"]);
  expect(after).toEqual([
    { label: "new", images: 0, boxedImages: 0, isNew: true },
    { label: "unused", images: 0, boxedImages: 0, isNew: true },
    { label: "y", images: 5, boxedImages: 1, isNew: false },
  ]);
});

it("counts every image once", () => {
  expect(extent([assign([A, B], ["y"]), assign([B], ["z"]), rename("x", "y")])).toEqual({
    images: 2,
    renamings: 1,
  });
});
