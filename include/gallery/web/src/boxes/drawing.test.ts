import { expect, it } from "vitest";
import {
  changeBox,
  copiedBoxes,
  isSameDrawing,
  middle,
  nameOf,
  neighbour,
  withBox,
  withoutBox,
} from "./drawing";

const BOX = { label: "example", left: 10, top: 20, width: 30, height: 40 };
const drawing = () => ({ labels: ["a"], boxes: [{ ...BOX }, { ...BOX }, { ...BOX }] });

it("names boxes apart, through changes and back", () => {
  const before = drawing();
  const [first = "", second = ""] = before.boxes.map(nameOf);
  expect(first).not.toBe(second);
  const changed = changeBox(before, second, { left: 11 });
  expect(changed.boxes.map(nameOf)).toEqual(before.boxes.map(nameOf));
  expect(changed.boxes.map(({ left }) => left)).toEqual([10, 11, 10]);
  expect(before.boxes[1]).toEqual(BOX);
  expect(withoutBox(changed, first).boxes.map(nameOf)[0]).toBe(second);
  expect(withBox(before, { ...BOX }, "drawn").boxes.map(nameOf)[3]).toBe("drawn");
});

it("knows when nothing is changed any more", () => {
  const [a, b] = [drawing(), drawing()];
  expect(isSameDrawing({ ...a, labels: ["x", "y"] }, { ...b, labels: ["y", "x"] })).toBe(true);
  expect(isSameDrawing(a, { ...b, labels: [] })).toBe(false);
  expect(isSameDrawing(a, changeBox(b, nameOf(b.boxes[0] ?? BOX), { label: "other" }))).toBe(false);
});

it("copies boxes to where they are seen, whatever way the pictures lie in their files", () => {
  const portrait = { boxes: [BOX], stored: { width: 400, height: 300 }, orientation: 6 };
  // Seen at 240, 10 with 40 × 30 on an upright picture of 300 × 400.
  const upright = { stored: { width: 300, height: 400 }, orientation: 1 };
  expect(copiedBoxes(portrait, upright)).toEqual([
    { left: 240, top: 10, width: 40, height: 30, label: "example" },
  ]);
  const low = { stored: { width: 250, height: 15 }, orientation: 1 };
  expect(copiedBoxes(portrait, low)[0]).toMatchObject({ left: 240, top: 10, width: 10, height: 5 });
  expect(copiedBoxes(portrait, { stored: { width: 64, height: 64 }, orientation: 1 })).toEqual([]);
});

it("goes round the boxes", () => {
  const { boxes } = drawing();
  const [a = "", b = "", c = ""] = boxes.map(nameOf);
  expect([neighbour(boxes, "", 1), neighbour(boxes, a, 1), neighbour(boxes, c, 1)]).toEqual([a, b, a]);
  expect([neighbour(boxes, "", -1), neighbour(boxes, a, -1)]).toEqual([c, c]);
  expect(neighbour([], "", 1)).toBe("");
});

it("begins in the middle", () => {
  expect(middle({ width: 800, height: 400 })).toEqual({ left: 300, top: 150, width: 200, height: 100 });
  expect(middle({ width: 1, height: 1 })).toEqual({ left: 0, top: 0, width: 1, height: 1 });
});
