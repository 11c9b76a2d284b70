import { act, renderHook } from "@testing-library/react";
import { expect, it } from "vitest";
import type { ImagePage } from "../api/messages";
import { add } from "../edits/draft";
import { drafts } from "../edits/store";
import { changeBox, nameOf, withBox } from "./drawing";
import { useRedrawing } from "./useRedrawing";

const BOX = { label: "jay", left: 1, top: 2, width: 30, height: 40 };
const page = {
  image: { id: "00000000000000aa", labels: ["jay"], box_labels: ["jay"], boxes: 1, is_in_dataset: true },
  boxes: [BOX],
  seen: "first",
} as unknown as ImagePage;

function start(project: string) {
  const name = { project, type: "train" as const };
  const hook = renderHook(({ shown }) => useRedrawing(name, shown), { initialProps: { shown: page } });
  return { name, hook, now: () => hook.result.current, edits: () => drafts.get(name).edits };
}

it("keeps each gesture as one edit, however many steps it has", () => {
  const { now, edits } = start("gestures");
  const box = nameOf(BOX);
  for (const left of [2, 3, 4]) act(() => now().redraw(changeBox(now().drawing, box, { left }), "nudge"));
  expect(edits()).toHaveLength(1);
  act(() => now().redraw(withBox(now().drawing, { ...BOX, left: 50 })));
  act(() => now().redraw(changeBox(now().drawing, box, { left: 5 }), "nudge"));
  expect(edits()).toHaveLength(3);
  expect(edits().at(-1)).toMatchObject({ kind: "redrawing", seen: "first", labels: ["jay"] });
  expect(now().drawing.boxes.map(({ left }) => left)).toEqual([5, 50]);
});

it("has nothing to save once everything is as it was", () => {
  const { now, edits } = start("back");
  const box = nameOf(BOX);
  act(() => now().redraw(changeBox(now().drawing, box, { left: 9 })));
  expect(now().isChanged).toBe(true);
  act(() => now().redraw(changeBox(now().drawing, box, { left: 1 })));
  expect(edits()).toEqual([]);
  expect(now().isChanged).toBe(false);
});

it("draws on what edits of many images make of it", () => {
  const { name, now, edits } = start("many");
  act(() =>
    drafts.change(name, (draft) =>
      add(draft, { kind: "assignment", ids: [page.image.id], assign: ["robin"] }),
    ),
  );
  expect(now().drawing.labels).toEqual(["jay", "robin"]);
  act(() => now().redraw({ ...now().drawing, boxes: [] }));
  act(() => now().redraw({ ...now().drawing, boxes: [BOX] }));
  expect(edits().map(({ kind }) => kind)).toEqual(["assignment"]);
});

it("sends what it was begun from, and says when that is another entry by now", () => {
  const { hook, now, edits } = start("outdated");
  act(() => now().redraw({ ...now().drawing, boxes: [] }));
  hook.rerender({ shown: { ...page, seen: "second" } });
  expect(now().isOutdated).toBe(true);
  act(() => now().redraw({ labels: ["robin"], boxes: [] }));
  expect(edits().at(-1)).toMatchObject({ seen: "first" });
});
