/** Views and their addresses: everything that a person chose to see is in the page's address, and nowhere else. */

import type { View } from "../api/messages";
import type { ViewQuery } from "../api/queries";

export type Search = Record<string, string | string[]>;

const LISTS = ["label", "error", "state", "reason", "change"] as const;
const CHANGES: readonly string[] = ["added", "removed", "changed", "relabelled"];
export const SORTS = ["key", "label", "boxes", "pixels", "size", "modified", "change"] as const;

/** The search part of an address; a name that is there twice is a list. The router's own way would be JSON. */
export function parseSearch(text: string): Search {
  const search: Search = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const known = search[name];
    search[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return search;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "" && each !== false)
        pairs.append(name, String(each));
      else if (each === false && name !== "descending") pairs.append(name, "false");
    }
  }
  const text = pairs.toString();
  return text && `?${text}`;
}

/** The view of an address; what makes no sense in it is left out, since anybody may write addresses. */
export function viewOf(search: Record<string, unknown>): View {
  const view: View = {};
  const one = (name: string) => {
    const value = search[name];
    return Array.isArray(value) ? value[0] : value;
  };
  for (const name of LISTS) {
    const value = search[name];
    const list = (Array.isArray(value) ? value : [value]).filter(
      (each): each is string => typeof each === "string" && each !== "",
    );
    const allowed = name === "change" ? list.filter((each) => CHANGES.includes(each)) : list;
    if (allowed.length) Object.assign(view, { [name]: allowed });
  }
  const snapshot = one("snapshot");
  if (typeof snapshot === "string" && /^\d{8}T\d{6}Z-[0-9a-f]{8}$/.test(snapshot)) view.snapshot = snapshot;
  const key = one("key");
  if (typeof key === "string" && key) view.key = key.slice(0, 1024);
  for (const name of ["labelled", "boxed"] as const) {
    const value = one(name);
    if (value === "true" || value === true) view[name] = true;
    if (value === "false" || value === false) view[name] = false;
  }
  const sort = SORTS.find((each) => each === one("sort"));
  if (sort && sort !== "key") view.sort = sort;
  const descending = one("descending");
  if (descending === "true" || descending === true) view.descending = true;
  return view;
}

/** The view as the server is asked for it. */
export function queryOf(view: View): ViewQuery {
  const query: ViewQuery = {};
  for (const [name, value] of Object.entries(view)) {
    if (value !== null && value !== "" && !(Array.isArray(value) && !value.length)) query[name] = value;
  }
  return query;
}

/** How many choices narrow the view down; the order and the snapshot do not. */
export function filtersOf(view: View): number {
  const { snapshot: _snapshot, sort: _sort, descending: _descending, ...filters } = view;
  return Object.values(filters).reduce<number>(
    (sum, value) =>
      sum + (Array.isArray(value) ? value.length : value === undefined || value === null ? 0 : 1),
    0,
  );
}

/** The view without anything that narrows it down. */
export function unfiltered(view: View): View {
  return viewOf({ snapshot: view.snapshot, sort: view.sort, descending: view.descending });
}

/** A value of one of the lists taken in, or out. */
export function toggled<Name extends (typeof LISTS)[number]>(view: View, name: Name, value: string): View {
  const list: readonly string[] = view[name] ?? [];
  const next = list.includes(value) ? list.filter((each) => each !== value) : [...list, value];
  return viewOf({ ...view, [name]: next });
}
