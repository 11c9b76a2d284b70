/** An image's labels and boxes while a person changes them. Every function gives a new drawing and keeps the old one. */

import type { Box } from "../api/messages";
import { toStored, toUpright, turnedSize, type Rectangle, type Size } from "./orientation";
import { settled } from "./rules";

/** Boxes are of the stored picture. */
export type Drawing = { labels: string[]; boxes: Box[] };

/** Names of boxes on this page alone: a changed box keeps the name of the box that it was, and gets it back by undo. */
const names = new WeakMap<Box, string>();
let made = 0;

export function nameOf(box: Box): string {
  const known = names.get(box);
  if (known) return known;
  made += 1;
  const name = `box-${made}`;
  names.set(box, name);
  return name;
}

export function withBox(drawing: Drawing, box: Box, name?: string): Drawing {
  if (name) names.set(box, name);
  return { ...drawing, boxes: [...drawing.boxes, box] };
}

export function withoutBox(drawing: Drawing, name: string): Drawing {
  return { ...drawing, boxes: drawing.boxes.filter((box) => nameOf(box) !== name) };
}

export function changeBox(drawing: Drawing, name: string, change: Partial<Box>): Drawing {
  const boxes = drawing.boxes.map((box) => {
    if (nameOf(box) !== name) return box;
    const changed = { ...box, ...change };
    names.set(changed, name);
    return changed;
  });
  return { ...drawing, boxes };
}

/** Whether both say the same, in whatever order the labels are. */
export function isSameDrawing(a: Drawing, b: Drawing): boolean {
  const text = ({ labels, boxes }: Drawing) =>
    JSON.stringify([
      labels.toSorted(),
      boxes.map(({ label, left, top, width, height }) => [label, left, top, width, height]),
    ]);
  return text(a) === text(b);
}

/** Another image's boxes, as they are seen there, clipped to this picture; those that are outside of it are left out. */
export function copiedBoxes(
  from: { boxes: readonly Box[]; stored: Size; orientation: number },
  to: { stored: Size; orientation: number },
): Box[] {
  const upright = turnedSize(to.stored, to.orientation);
  return from.boxes.flatMap((box) => {
    const seen = toUpright(box, from.stored, from.orientation);
    if (seen.left >= upright.width || seen.top >= upright.height) return [];
    return [{ label: box.label, ...toStored(settled(seen, upright), to.stored, to.orientation) }];
  });
}

/** The next box in the list from the chosen one, round and round. */
export function neighbour(boxes: readonly Box[], name: string, step: 1 | -1): string {
  const index = boxes.findIndex((box) => nameOf(box) === name);
  const first = step === 1 ? 0 : boxes.length - 1;
  const next = boxes[index < 0 ? first : (index + step + boxes.length) % boxes.length];
  return next ? nameOf(next) : "";
}

/** Where a box that is made by key begins: a quarter of the picture's sides, in its middle. */
export function middle(size: Size): Rectangle {
  const { width, height } = size;
  return settled(
    { left: (width * 3) / 8, top: (height * 3) / 8, width: width / 4, height: height / 4 },
    size,
  );
}
