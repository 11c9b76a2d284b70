import { describe, expect, it } from "vitest";
import { toStored, toUpright, turnedSize, type Rectangle, type Size } from "./orientation";

const STORED: Size = { width: 3, height: 5 };

/** As the standard puts it: which side of what one sees row 0 and column 0 of the stored picture are. */
const SIDES = [
  { orientation: 1, row: "top", column: "left" },
  { orientation: 2, row: "top", column: "right" },
  { orientation: 3, row: "bottom", column: "right" },
  { orientation: 4, row: "bottom", column: "left" },
  { orientation: 5, row: "left", column: "top" },
  { orientation: 6, row: "right", column: "top" },
  { orientation: 7, row: "right", column: "bottom" },
  { orientation: 8, row: "left", column: "bottom" },
] as const;

type Sides = (typeof SIDES)[number];

/** The stored pixel that is seen at a place, found by the sides alone. */
function seenAt(x: number, y: number, { row, column }: Sides): [number, number] {
  const upright = row === "top" || row === "bottom" ? STORED : { width: STORED.height, height: STORED.width };
  const distances = {
    left: x,
    right: upright.width - 1 - x,
    top: y,
    bottom: upright.height - 1 - y,
  };
  return [distances[column], distances[row]];
}

function pixels({ left, top, width, height }: Rectangle): string[] {
  const found: string[] = [];
  for (let y = top; y < top + height; y += 1)
    for (let x = left; x < left + width; x += 1) found.push(`${x},${y}`);
  return found.toSorted();
}

function* rectangles({ width, height }: Size): Generator<Rectangle> {
  for (let left = 0; left < width; left += 1)
    for (let top = 0; top < height; top += 1)
      for (let right = left + 1; right <= width; right += 1)
        for (let bottom = top + 1; bottom <= height; bottom += 1)
          yield { left, top, width: right - left, height: bottom - top };
}

describe.each(SIDES)("orientation $orientation", (sides) => {
  const { orientation } = sides;
  const upright = turnedSize(STORED, orientation);

  it("shows the pixels that the stored rectangle covers", () => {
    for (const stored of rectangles(STORED)) {
      const seen = toUpright(stored, STORED, orientation);
      const covered: string[] = [];
      for (let y = seen.top; y < seen.top + seen.height; y += 1)
        for (let x = seen.left; x < seen.left + seen.width; x += 1)
          covered.push(seenAt(x, y, sides).join(","));
      expect(covered.toSorted()).toEqual(pixels(stored));
    }
  });

  it("turns back to the same rectangle, from either side", () => {
    for (const stored of rectangles(STORED))
      expect(toStored(toUpright(stored, STORED, orientation), STORED, orientation)).toEqual(stored);
    for (const seen of rectangles(upright))
      expect(toUpright(toStored(seen, STORED, orientation), STORED, orientation)).toEqual(seen);
  });

  it("keeps the whole picture whole, and fractions of pixels", () => {
    expect(toUpright({ left: 0, top: 0, ...STORED }, STORED, orientation)).toEqual({
      left: 0,
      top: 0,
      ...upright,
    });
    const fraction = { left: 0.25, top: 1.5, width: 0.5, height: 2.25 };
    expect(toStored(toUpright(fraction, STORED, orientation), STORED, orientation)).toEqual(fraction);
  });
});

it("turns a phone's portrait picture, which lies on its side in the file", () => {
  const stored = { width: 4032, height: 3024 };
  expect(turnedSize(stored, 6)).toEqual({ width: 3024, height: 4032 });
  expect(toUpright({ left: 100, top: 200, width: 300, height: 400 }, stored, 6)).toEqual({
    left: 2424,
    top: 100,
    width: 400,
    height: 300,
  });
});

it("takes an orientation that no reader knows for upright", () => {
  const box = { left: 1, top: 1, width: 1, height: 2 };
  expect(toUpright(box, STORED, 0)).toEqual(box);
  expect(toStored(box, STORED, 9)).toEqual(box);
});
