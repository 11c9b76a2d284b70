import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { get, ProblemError, send } from "../api/client";
import type { Images, Problem, Save, SaveDemand } from "../api/messages";
import { datasetPath, type DatasetName } from "../api/queries";
import { counted } from "../shell/Badge";
import { notify } from "../shell/notices";
import { asProblem } from "../shell/ProblemNote";
import { finishSaving, startSaving, stopSaving, toSend } from "./draft";
import { rowAfter } from "./effect";
import { useDraft } from "./store";

export type SavingState = {
  /** The save that is under way, or None. */
  save: Save | null;
  isBusy: boolean;
  /** Why the last save did not come to its end; every edit is still there. */
  problem: Problem | null;
  start: () => void;
};

/** Saves the pending edits of a dataset, and follows a save that a reload of the page interrupted. */
export function useSaving(name: DatasetName): SavingState {
  const { draft, change } = useDraft(name);
  const queries = useQueryClient();
  const path = `${datasetPath(name)}/saves`;
  const saveId = draft.saving?.saveId ?? "";

  const post = useMutation({
    mutationFn: async (count: number) => {
      const edits = toSend(draft.edits.slice(0, count));
      const save = await send<Save>("POST", path, { edits } satisfies SaveDemand);
      return { save, count };
    },
    onSuccess: ({ save, count }) => {
      queries.setQueryData(["save", name.project, name.type, save.save_id], save);
      change((before) => startSaving(before, save.save_id, count));
    },
  });

  const progress = useQuery({
    queryKey: ["save", name.project, name.type, saveId],
    queryFn: ({ signal }) => get<Save>(`${path}/${encodeURIComponent(saveId)}`, {}, signal),
    enabled: saveId !== "",
    refetchInterval: ({ state }) => (state.data && isOver(state.data) ? false : 600),
    refetchIntervalInBackground: true,
    staleTime: 0,
  });

  const save = saveId ? (progress.data ?? null) : null;
  const isLost = progress.error instanceof ProblemError && progress.error.status === 404;
  useEffect(() => {
    if (!saveId) return;
    const { project, type } = name;
    if (save?.state === "saved") {
      const left = new Set([...save.conflicts, ...save.refusals].map((each) => each.id));
      const saved = draft.edits.slice(0, draft.saving?.count ?? 0);
      // What is on the screen is as it was saved until it has been read again.
      queries.setQueriesData<Images>(
        { queryKey: ["images", project, type] },
        (page) =>
          page && {
            ...page,
            images: page.images.map((row) => (left.has(row.id) ? row : rowAfter(row, saved))),
          },
      );
      change((before) => finishSaving(before, save));
      const toDecide = left.size ? ` ${counted(left.size, "image")} to decide on.` : "";
      if (save.sent) notify(`Saved ${counted(save.sent, "image")}.${toDecide}`, "good");
      else notify(`Nothing was saved.${toDecide}`, "bad");
    } else if (save?.state === "failed" || isLost) {
      change(stopSaving);
    } else {
      return;
    }
    for (const part of ["dataset", "images", "ids", "image", "statistics", "comparison"]) {
      void queries.invalidateQueries({ queryKey: [part, project, type] });
    }
    // Its object is a new one with each render; its members are what counts.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [saveId, save, isLost, change, queries, name.project, name.type]);

  const last = queries
    .getQueriesData<Save>({ queryKey: ["save", name.project, name.type] })
    .map(([, data]) => data)
    .at(-1);
  const problem = post.isError
    ? asProblem(post.error)
    : !saveId && last?.state === "failed"
      ? last.problem
      : null;
  return {
    save,
    isBusy: post.isPending || saveId !== "",
    problem,
    start: () => post.mutate(draft.edits.length),
  };
}

const isOver = ({ state }: Save) => state === "saved" || state === "failed";
