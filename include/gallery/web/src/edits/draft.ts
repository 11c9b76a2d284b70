/** Edits that a person has made and not saved yet, as a value: what can be done to them, and what is sent of them. */

import type { Assignment, Conflict, Redrawing, Refusal, Renaming } from "../api/messages";

export type Edit = Assignment | Renaming | Redrawing;

/** A save that the server works on; `count` edits from the first one are in it. */
export type Saving = { saveId: string; count: number };

/** What the last save left out, for a person to decide. */
export type Leftovers = { conflicts: readonly Conflict[]; refusals: readonly Refusal[] };

export type Draft = {
  readonly edits: readonly Edit[];
  /** Edits that were undone, the latest one first. */
  readonly undone: readonly Edit[];
  /** Labels that were added and that no image has yet. */
  readonly labels: readonly string[];
  readonly saving: Saving | null;
  readonly leftovers: Leftovers;
};

const NOTHING_LEFT: Leftovers = { conflicts: [], refusals: [] };

export const EMPTY: Draft = { edits: [], undone: [], labels: [], saving: null, leftovers: NOTHING_LEFT };

export function add(draft: Draft, edit: Edit): Draft {
  return { ...draft, edits: [...draft.edits, edit], undone: [] };
}

/** Edits that are being saved cannot be undone any more. */
export const canUndo = (draft: Draft): boolean => draft.edits.length > (draft.saving?.count ?? 0);
export const canRedo = (draft: Draft): boolean => draft.undone.length > 0;

export function undo(draft: Draft): Draft {
  const last = draft.edits.at(-1);
  if (!last || !canUndo(draft)) return draft;
  return { ...draft, edits: draft.edits.slice(0, -1), undone: [last, ...draft.undone] };
}

export function redo(draft: Draft): Draft {
  const [next, ...later] = draft.undone;
  if (!next) return draft;
  return { ...draft, edits: [...draft.edits, next], undone: later };
}

/** Every edit that is not being saved goes, and what the last save left out with them. */
export function discard(draft: Draft): Draft {
  return { ...EMPTY, edits: draft.edits.slice(0, draft.saving?.count ?? 0), saving: draft.saving };
}

/** One edit goes, wherever it is in the order. */
export function drop(draft: Draft, edit: Edit): Draft {
  const place = draft.edits.indexOf(edit);
  if (place < (draft.saving?.count ?? 0)) return draft;
  return { ...draft, edits: draft.edits.filter((_, index) => index !== place) };
}

/** A label to choose from before any image has it. */
export function addLabel(draft: Draft, label: string): Draft {
  return draft.labels.includes(label) ? draft : { ...draft, labels: [...draft.labels, label] };
}

export function dropLabel(draft: Draft, label: string): Draft {
  return { ...draft, labels: draft.labels.filter((each) => each !== label) };
}

/** The edits as they are sent: of one image's drawings only the last one counts. */
export function toSend(edits: readonly Edit[]): Edit[] {
  const last = new Map<string, Edit>();
  for (const edit of edits) if (edit.kind === "redrawing") last.set(edit.id, edit);
  return edits.filter((edit) => edit.kind !== "redrawing" || last.get(edit.id) === edit);
}

/** Labels that an edit gives to images. */
export function given(edit: Edit): string[] {
  if (edit.kind === "assignment") return edit.assign ?? [];
  if (edit.kind === "renaming") return [edit.new];
  return [...edit.labels, ...edit.boxes.map((box) => box.label)];
}

// Saving

export function startSaving(draft: Draft, saveId: string, count: number): Draft {
  return { ...draft, saving: { saveId, count }, leftovers: NOTHING_LEFT };
}

/** The save did not come to its end: every edit is pending again. */
export const stopSaving = (draft: Draft): Draft => ({ ...draft, saving: null });

/** The save came to its end: only what it left out, and what was edited meanwhile, is pending. */
export function finishSaving(draft: Draft, left: Leftovers): Draft {
  if (!draft.saving) return draft;
  const { count } = draft.saving;
  const saved = draft.edits.slice(0, count);
  const mine = new Map<string, Redrawing>();
  for (const edit of saved) if (edit.kind === "redrawing") mine.set(edit.id, edit);
  // Somebody who made the same of an image, or a save that was sent twice, is no conflict.
  const conflicts = left.conflicts.filter((each) => {
    const own = mine.get(each.id);
    return !own || !isSame(own, each);
  });
  const ids = new Set([...conflicts, ...left.refusals].map((each) => each.id));
  return {
    ...draft,
    edits: [...concerning(saved, ids), ...draft.edits.slice(count)],
    labels: draft.labels.filter((label) => !saved.some((edit) => given(edit).includes(label))),
    saving: null,
    leftovers: { conflicts, refusals: left.refusals },
  };
}

/** A person has looked at a conflict, and their own edit wins. */
export function keepMine(draft: Draft, conflict: Conflict): Draft {
  const edits = draft.edits.map((edit) =>
    edit.kind === "redrawing" && edit.id === conflict.id
      ? { ...edit, seen: conflict.seen, force: true }
      : edit,
  );
  return { ...settle(draft, conflict.id), edits };
}

/** The other edit wins, or an image that was refused stays as it is: nothing of it is pending any more. */
export function takeTheirs(draft: Draft, id: string): Draft {
  const edits = draft.edits.flatMap((edit) => withoutImage(edit, id));
  return { ...settle(draft, id), edits, undone: [] };
}

function settle(draft: Draft, id: string): Draft {
  const { conflicts, refusals } = draft.leftovers;
  const leftovers = {
    conflicts: conflicts.filter((each) => each.id !== id),
    refusals: refusals.filter((each) => each.id !== id),
  };
  return { ...draft, leftovers };
}

function withoutImage(edit: Edit, id: string): Edit[] {
  if (edit.kind === "redrawing") return edit.id === id ? [] : [edit];
  if (edit.kind === "renaming" || !edit.ids.includes(id)) return [edit];
  const ids = edit.ids.filter((each) => each !== id);
  return ids.length ? [{ ...edit, ids }] : [];
}

/** The edits again, as far as they are about these images; renamings are folded in, since all others have them. */
function concerning(edits: readonly Edit[], ids: ReadonlySet<string>): Edit[] {
  let kept: Edit[] = [];
  for (const edit of edits) {
    if (edit.kind === "renaming") {
      kept = kept.map((each) => renamed(each, edit));
    } else if (edit.kind === "redrawing") {
      if (ids.has(edit.id)) kept.push(edit);
    } else {
      const own = edit.ids.filter((id) => ids.has(id));
      if (own.length) kept.push({ ...edit, ids: own });
    }
  }
  return toSend(kept);
}

function renamed(edit: Edit, { old, new: name }: Renaming): Edit {
  const rename = (labels: readonly string[]) => [
    ...new Set(labels.map((label) => (label === old ? name : label))),
  ];
  if (edit.kind === "redrawing") {
    const boxes = edit.boxes.map((box) => (box.label === old ? { ...box, label: name } : box));
    return { ...edit, labels: rename(edit.labels), boxes };
  }
  if (edit.kind === "assignment") return { ...edit, assign: rename(edit.assign ?? []) };
  return edit;
}

function isSame(mine: Redrawing, theirs: Conflict): boolean {
  const boxes = (all: Redrawing["boxes"]) =>
    all.map(({ label, left, top, width, height }) => JSON.stringify([label, left, top, width, height]));
  const equal = (one: readonly string[], other: readonly string[]) =>
    one.length === other.length && one.toSorted().join("\n") === other.toSorted().join("\n");
  return equal(mine.labels, theirs.theirs_labels) && equal(boxes(mine.boxes), boxes(theirs.theirs_boxes));
}
