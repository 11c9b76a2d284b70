/** The pending edits of each dataset, kept over a reload of the page; the pages see them change. */

import { useCallback, useSyncExternalStore } from "react";
import type { DatasetName } from "../api/queries";
import type { Draft } from "./draft";
import { fromText, toText } from "./storage";

export class DraftStore {
  readonly #drafts = new Map<string, Draft>();
  readonly #listeners = new Set<() => void>();
  readonly #unstored = new Set<string>();
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  get(name: DatasetName): Draft {
    const key = keyOf(name);
    let draft = this.#drafts.get(key);
    if (!draft) {
      draft = fromText(this.#storage.getItem(key));
      this.#drafts.set(key, draft);
    }
    return draft;
  }

  change(name: DatasetName, change: (draft: Draft) => Draft): void {
    const before = this.get(name);
    const after = change(before);
    if (after === before) return;
    const key = keyOf(name);
    this.#drafts.set(key, after);
    try {
      if (isEmpty(after)) this.#storage.removeItem(key);
      else this.#storage.setItem(key, toText(after));
      this.#unstored.delete(key);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      // The storage is full: the edits live on in this page, which says so.
      this.#unstored.add(key);
    }
    for (const listener of this.#listeners) listener();
  }

  /** Whether a reload of the page would keep the edits. */
  isKept(name: DatasetName): boolean {
    return !this.#unstored.has(keyOf(name));
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

const keyOf = ({ project, type }: DatasetName) => `custom-labels:draft:${project}/${type}`;

const isEmpty = (draft: Draft) =>
  !draft.edits.length &&
  !draft.undone.length &&
  !draft.labels.length &&
  !draft.saving &&
  !draft.leftovers.conflicts.length &&
  !draft.leftovers.refusals.length;

export const drafts = new DraftStore(window.sessionStorage);

export type DraftHandle = {
  draft: Draft;
  change: (change: (draft: Draft) => Draft) => void;
  isKept: boolean;
};

/** The draft of a dataset; `change` takes one of the functions of `draft.ts`. */
export function useDraft({ project, type }: DatasetName): DraftHandle {
  const draft = useSyncExternalStore(drafts.subscribe, () => drafts.get({ project, type }));
  const change = useCallback(
    (how: (draft: Draft) => Draft) => drafts.change({ project, type }, how),
    [project, type],
  );
  return { draft, change, isKept: drafts.isKept({ project, type }) };
}
