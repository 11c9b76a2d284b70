import { describe, expect, it } from "vitest";
import type { Conflict, Redrawing } from "../api/messages";
import {
  add,
  addLabel,
  canUndo,
  discard,
  drop,
  EMPTY,
  finishSaving,
  keepMine,
  redo,
  startSaving,
  stopSaving,
  takeTheirs,
  toSend,
  undo,
  type Draft,
  type Edit,
} from "./draft";

const A = "a".repeat(16);
const B = "b".repeat(16);
const assign = (ids: string[], ...labels: string[]): Edit => ({ kind: "assignment", ids, assign: labels });
const rename = (old: string, name: string): Edit => ({ kind: "renaming", old, new: name });
const redraw = (id: string, labels: string[], seen = "s1"): Redrawing => ({
  kind: "redrawing",
  id,
  seen,
  labels,
  boxes: [],
});
const conflict = (id: string, labels: string[]): Conflict => ({
  id,
  key: `k/${id}`,
  seen: "s2",
  theirs_labels: labels,
  theirs_boxes: [],
});
const draft = (...edits: Edit[]): Draft => edits.reduce(add, EMPTY);

describe("undo and redo", () => {
  it("takes the last edit back, and does it again", () => {
    const [one, two] = [assign([A], "x"), assign([B], "y")];
    const undone = undo(draft(one, two));
    expect(undone.edits).toEqual([one]);
    expect(redo(undone)).toEqual(draft(one, two));
  });

  it("has nothing to do again after another edit", () => {
    const after = add(undo(draft(assign([A], "x"))), assign([B], "y"));
    expect(redo(after)).toBe(after);
  });

  it("leaves alone what is being saved", () => {
    const saving = startSaving(draft(assign([A], "x")), "1", 1);
    expect(canUndo(saving)).toBe(false);
    expect(undo(saving)).toBe(saving);
    expect(drop(saving, saving.edits[0] as Edit)).toBe(saving);
    expect(discard(add(saving, assign([B], "y"))).edits).toEqual(saving.edits);
  });
});

describe("what is sent", () => {
  it("has only the last drawing of an image", () => {
    const edits = [redraw(A, ["x"]), assign([A], "y"), redraw(B, ["x"]), redraw(A, ["z"])];
    expect(toSend(edits)).toEqual(edits.slice(1));
  });
});

describe("the end of a save", () => {
  const none = { conflicts: [], refusals: [] };

  it("takes away what was saved, and keeps what was edited meanwhile", () => {
    const saving = startSaving(addLabel(draft(assign([A], "x")), "x"), "1", 1);
    const later = assign([B], "y");
    const after = finishSaving(add(saving, later), none);
    expect(after.edits).toEqual([later]);
    expect(after.labels).toEqual([]);
    expect(after.saving).toBeNull();
  });

  it("loses nothing when the save fails", () => {
    const before = draft(assign([A], "x"), rename("x", "y"));
    expect(stopSaving(startSaving(before, "1", 2))).toEqual(before);
  });

  it("keeps the edits of images that were left out, under the names that labels have by now", () => {
    const edits = [assign([A, B], "x"), redraw(B, ["x"]), rename("x", "y")];
    const after = finishSaving(startSaving(draft(...edits), "1", 3), {
      conflicts: [conflict(B, ["theirs"])],
      refusals: [],
    });
    expect(after.edits).toEqual([assign([B], "y"), redraw(B, ["y"])]);
    expect(after.leftovers.conflicts).toHaveLength(1);
  });

  it("knows no conflict where somebody made the same of the image", () => {
    const saving = startSaving(draft(redraw(A, ["x", "y"])), "1", 1);
    const after = finishSaving(saving, { conflicts: [conflict(A, ["y", "x"])], refusals: [] });
    expect(after).toEqual(EMPTY);
  });

  it("happens once", () => {
    const after = finishSaving(startSaving(draft(assign([A], "x")), "1", 1), none);
    expect(finishSaving(after, none)).toBe(after);
  });
});

describe("a conflict", () => {
  const saving = startSaving(draft(redraw(A, ["mine"])), "1", 1);
  const left = { conflicts: [conflict(A, ["theirs"])], refusals: [] };
  const after = finishSaving(saving, left);

  it("sends mine over theirs", () => {
    const kept = keepMine(after, conflict(A, ["theirs"]));
    expect(kept.edits).toEqual([{ ...redraw(A, ["mine"]), seen: "s2", force: true }]);
    expect(kept.leftovers.conflicts).toEqual([]);
  });

  it("lets mine go", () => {
    expect(takeTheirs(after, A)).toEqual(EMPTY);
    const shared = takeTheirs(draft(assign([A, B], "x")), A);
    expect(shared.edits).toEqual([assign([B], "x")]);
  });
});
