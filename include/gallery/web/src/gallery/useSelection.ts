import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { get } from "../api/client";
import type { ImageIds, ImageRow } from "../api/messages";
import { datasetPath, type DatasetName, type ViewQuery } from "../api/queries";
import { counted } from "../shell/Badge";
import { announce, notify } from "../shell/notices";
import { asProblem } from "../shell/ProblemNote";
import * as selections from "./selection";

/** A selection is of one view's filters: among other images it would mislead. It outlives a look at one image. */
let kept: { key: string; selection: selections.Selection } = { key: "", selection: selections.NONE };

export function useSelection(
  name: DatasetName,
  view: ViewQuery,
  version: string,
  row: (index: number) => ImageRow | undefined,
) {
  const queries = useQueryClient();
  const { sort: _sort, descending: _descending, ...filters } = view;
  const key = JSON.stringify([name.project, name.type, filters]);
  const [held, setHeld] = useState(kept);
  const selection = held.key === key ? held.selection : selections.NONE;
  const latest = useRef({ key, selection, row, name, view, version });
  useEffect(() => {
    latest.current = { key, selection, row, name, view, version };
  });

  const become = useCallback((next: selections.Selection) => {
    kept = { key: latest.current.key, selection: next };
    setHeld(kept);
    announce(next.ids.size ? `${counted(next.ids.size, "image")} selected` : "nothing selected");
  }, []);

  const allIds = useCallback(async () => {
    const now = latest.current;
    const { ids } = await queries.fetchQuery({
      queryKey: ["ids", now.name.project, now.name.type, now.view, now.version],
      queryFn: ({ signal }) => get<ImageIds>(`${datasetPath(now.name)}/ids`, now.view, signal),
      staleTime: Infinity,
      gcTime: 60_000,
    });
    return ids;
  }, [queries]);

  const editable = useCallback((index: number): ImageRow | undefined => {
    const image = latest.current.row(index);
    return image?.is_in_dataset ? image : undefined;
  }, []);

  /** The range from the anchor, or from the image at `from`, to the one at `to`, which may lie pages apart. */
  const extendTo = useCallback(
    async (from: number, to: number, isBesides = false) => {
      const last = editable(to);
      const anchor = latest.current.selection.anchor || editable(from)?.id;
      if (!last || !anchor) return;
      const loaded = loadedBetween(latest.current.row, anchor, to);
      const started = latest.current.key;
      const range = loaded ?? selections.between(await allIds(), anchor, last.id);
      if (latest.current.key !== started || !range.length) return;
      become(selections.extend({ ...latest.current.selection, anchor }, range, isBesides));
    },
    [editable, allIds, become],
  );

  const selectAll = useCallback(async () => {
    try {
      become(selections.all(await allIds(), latest.current.selection));
    } catch (error) {
      notify(asProblem(error).message, "bad");
    }
  }, [allIds, become]);

  return {
    selection,
    editable,
    become,
    extendTo,
    selectAll,
    only: useCallback((id: string) => become(selections.only(id)), [become]),
    toggle: useCallback((id: string) => become(selections.toggle(latest.current.selection, id)), [become]),
    clear: useCallback(() => become(selections.NONE), [become]),
  };
}

/** As far as a range is looked for among the rows that are there, before all ids are asked for. */
const REACH = 2_000;

/** The ids from the anchor to the image at `to`, where every row between is there; else undefined. */
function loadedBetween(
  row: (index: number) => ImageRow | undefined,
  anchor: string,
  to: number,
): string[] | undefined {
  for (const step of [1, -1]) {
    const ids: string[] = [];
    for (let at = to; Math.abs(at - to) < REACH; at += step) {
      const image = at < 0 ? undefined : row(at);
      if (!image) break;
      if (image.is_in_dataset) ids.push(image.id);
      if (image.id === anchor) return step < 0 ? ids.toReversed() : ids;
    }
  }
  return undefined;
}
