/** Drafts as text for the browser's session storage, which holds about five million characters. */

import { EMPTY, type Draft, type Edit } from "./draft";

type Stored = Omit<Draft, "edits" | "undone"> & {
  edits: StoredEdit[];
  undone: StoredEdit[];
  /** Each list of ids once, however many edits have it: 8 bytes an id, as base64. */
  selections: string[];
};
type StoredEdit = Exclude<Edit, { kind: "assignment" }> | (Omit<Edit, "ids"> & { selection: number });

export function toText(draft: Draft): string {
  const places = new Map<readonly string[], number>();
  const selections: string[] = [];
  const store = (edit: Edit): StoredEdit => {
    if (edit.kind !== "assignment") return edit;
    const { ids, ...rest } = edit;
    let selection = places.get(ids);
    if (selection === undefined) {
      selection = selections.push(pack(ids)) - 1;
      places.set(ids, selection);
    }
    return { ...rest, selection };
  };
  const stored: Stored = {
    ...draft,
    edits: draft.edits.map(store),
    undone: draft.undone.map(store),
    selections,
  };
  return JSON.stringify(stored);
}

/** The draft of a text; an empty one for a text of an older page that says something else. */
export function fromText(text: string | null): Draft {
  if (!text) return EMPTY;
  try {
    const stored = JSON.parse(text) as Stored;
    const selections = stored.selections.map(unpack);
    const read = (edit: StoredEdit): Edit => {
      if (!("selection" in edit)) return edit as Edit;
      const { selection, ...rest } = edit;
      return { ...rest, ids: selections[selection] ?? [] } as Edit;
    };
    return {
      edits: stored.edits.map(read),
      undone: stored.undone.map(read),
      labels: stored.labels,
      saving: stored.saving,
      leftovers: stored.leftovers,
    };
  } catch {
    return EMPTY;
  }
}

function pack(ids: readonly string[]): string {
  const bytes = new Uint8Array(ids.length * 8);
  let at = 0;
  for (const id of ids) {
    for (let digit = 0; digit < 16; digit += 2) bytes[at++] = Number.parseInt(id.slice(digit, digit + 2), 16);
  }
  let text = "";
  // A call takes only so many arguments.
  for (let from = 0; from < bytes.length; from += 24_000) {
    text += String.fromCharCode(...bytes.subarray(from, from + 24_000));
  }
  return btoa(text);
}

function unpack(text: string): string[] {
  const bytes = atob(text);
  const ids: string[] = [];
  for (let from = 0; from < bytes.length; from += 8) {
    let id = "";
    for (let at = from; at < from + 8; at += 1) id += bytes.charCodeAt(at).toString(16).padStart(2, "0");
    ids.push(id);
  }
  return ids;
}
