import { useMemo, useRef } from "react";
import type { ImagePage, Redrawing } from "../api/messages";
import type { DatasetName } from "../api/queries";
import { add, drop, type Draft, type Edit } from "../edits/draft";
import { pageAfter } from "../edits/effect";
import { useDraft } from "../edits/store";
import { isSameDrawing, type Drawing } from "./drawing";

export type Redrawn = {
  drawing: Drawing;
  /** What the image has without what was drawn here: the entry, with edits of many images. */
  base: Drawing;
  isChanged: boolean;
  /** Whether the entry became another one since the drawing was begun. */
  isOutdated: boolean;
  /** Steps of one gesture, such as typing into one field, are undone as one. */
  redraw: (drawing: Drawing, gesture?: string) => void;
};

/** An image's labels and boxes as they are with the pending edits, and the way to change them. */
export function useRedrawing(name: DatasetName, page: ImagePage): Redrawn {
  const { draft, change } = useDraft(name);
  const lastGesture = useRef("");
  const { id } = page.image;
  return useMemo(() => {
    const drawing = drawingOf(pageAfter(page, draft.edits));
    const own = ownEdits(draft, id);
    const base = drawingOf(
      pageAfter(
        page,
        draft.edits.filter((edit) => !isOwn(edit, id)),
      ),
    );
    const begun = own[0];
    const seen = begun?.seen ?? page.seen;
    return {
      drawing,
      base,
      isChanged: own.length > 0,
      isOutdated: begun !== undefined && !begun.force && begun.seen !== page.seen,
      redraw: (next, gesture = "") => {
        const continues = gesture !== "" && lastGesture.current === `${id} ${gesture}`;
        lastGesture.current = `${id} ${gesture}`;
        change((before) => {
          if (isSameDrawing(next, base)) {
            return ownEdits(before, id).reduce<Draft>((rest, edit) => drop(rest, edit), before);
          }
          const last = before.edits.at(-1);
          const kept =
            continues && last?.kind === "redrawing" && last.id === id ? drop(before, last) : before;
          const edit = { kind: "redrawing" as const, id, seen, ...next };
          return add(kept, begun?.force ? { ...edit, force: true } : edit);
        });
      },
    };
  }, [page, draft, id, change]);
}

function drawingOf({ image, boxes }: ImagePage): Drawing {
  return { labels: image.labels, boxes };
}

function isOwn(edit: Edit, id: string): edit is Redrawing {
  return edit.kind === "redrawing" && edit.id === id;
}

function ownEdits(draft: Draft, id: string): Redrawing[] {
  return draft.edits.filter((edit) => isOwn(edit, id));
}
