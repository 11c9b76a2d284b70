/** Which images are selected, as a value. Only images that are in the dataset can be. */

export type Selection = {
  readonly ids: ReadonlySet<string>;
  /** Where a range begins; empty as long as nothing was chosen. */
  readonly anchor: string;
};

export const NONE: Selection = { ids: new Set(), anchor: "" };

export const only = (id: string): Selection => ({ ids: new Set([id]), anchor: id });

export function toggle(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id };
}

/** The range from the anchor, instead of what was selected, or besides it. */
export function extend(selection: Selection, range: readonly string[], isBesides = false): Selection {
  const ids = isBesides ? new Set(selection.ids) : new Set<string>();
  for (const id of range) ids.add(id);
  return { ids, anchor: selection.anchor || (range[0] ?? "") };
}

export const all = (ids: readonly string[], selection: Selection = NONE): Selection => ({
  ids: new Set(ids),
  anchor: selection.anchor || (ids[0] ?? ""),
});

/** The ids between two of them, both included, whichever comes first; none where one is missing. */
export function between(ids: readonly string[], one: string, other: string): string[] {
  const [a, b] = [ids.indexOf(one), ids.indexOf(other)];
  if (a < 0 || b < 0) return [];
  return ids.slice(Math.min(a, b), Math.max(a, b) + 1);
}
