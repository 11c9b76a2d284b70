import { describe, expect, it } from "vitest";
import { layoutOf, MAX_HEIGHT, moveTo, pagesOf, stretchOf } from "./paging";

it.each<[number, number, number, number[]]>([
  [0, 0, 0, []],
  [0, 29, 1_000, [0]],
  [190, 210, 1_000, [0, 200]],
  [200, 399, 1_000, [200]],
  [990, 1_200, 1_000, [800]],
  [249_990, 250_020, 250_000, [249_800]],
])("needs pages for images %i to %i of %i", (first, last, total, offsets) => {
  expect(pagesOf(first, last, total)).toEqual(offsets);
});

it.each([0, 1, 96, 500, 1_263, 3_000])("fills a width of %i", (width) => {
  const { columns, tile, rows } = layoutOf(width, 168, 1_000);
  expect(columns).toBeGreaterThan(0);
  expect(columns * tile + (columns - 1) * 10).toBeLessThanOrEqual(Math.max(1, width));
  expect(rows * columns).toBeGreaterThanOrEqual(1_000);
});

describe("stretched scrolling", () => {
  it("leaves content alone that fits", () => {
    expect(stretchOf(MAX_HEIGHT, 700).toContent(123)).toBe(123);
  });

  it("reaches both ends of content that does not", () => {
    const stretch = stretchOf(45_000_000, 700);
    expect(stretch.toContent(0)).toBe(0);
    expect(stretch.toContent(MAX_HEIGHT - 700)).toBeCloseTo(45_000_000 - 700);
    expect(stretch.toBar(stretch.toContent(777))).toBeCloseTo(777);
  });
});

it.each<[string, number, number | null]>([
  ["ArrowRight", 3, 4],
  ["ArrowRight", 9, 9],
  ["ArrowLeft", 0, 0],
  ["ArrowDown", 3, 7],
  ["ArrowDown", 8, 8],
  ["ArrowUp", 2, 2],
  ["PageDown", 1, 9],
  ["PageUp", 9, 1],
  ["Home", 5, 0],
  ["End", 5, 9],
  ["x", 5, null],
])("%s leads from %i to %s", (key, at, to) => {
  expect(moveTo(key, at, 4, 3, 10)).toBe(to);
});

it("leads nowhere in an empty grid", () => {
  expect(moveTo("End", 0, 4, 3, 0)).toBeNull();
});
