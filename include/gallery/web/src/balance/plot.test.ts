import { expect, it } from "vitest";
import { imbalance, MOST_SIDE, reach, sortedLabels, strength } from "./plot";

const count = (label: string, images: number, boxed_images = 0) => ({ label, images, boxed_images });

it("sorts either way, names last", () => {
  const labels = [count("b", 2, 1), count("a", 2, 5), count("c", 9)];
  const names = (...order: Parameters<typeof sortedLabels>) =>
    sortedLabels(...order).map(({ label }) => label);
  expect(names(labels, "images", true)).toEqual(["c", "b", "a"]);
  expect(names(labels, "images", false)).toEqual(["a", "b", "c"]);
  expect(names(labels, "boxes", true)).toEqual(["a", "b", "c"]);
  expect(names(labels, "label", false)).toEqual(["a", "b", "c"]);
});

it("says how uneven the labels are", () => {
  expect(imbalance([count("a", 100), count("b", 5), count("c", 0)])).toBe(20);
  expect(imbalance([count("a", 100)])).toBeNull();
});

it("reaches beyond the limit only where images do", () => {
  const bin = { width_from: 0, width_until: 128, height_from: 0, height_until: 128, images: 1 };
  expect(reach([])).toBeGreaterThan(MOST_SIDE);
  expect(reach([bin, { ...bin, height_until: 9000 }])).toBe(9000);
});

it("shows single images beside thousands", () => {
  expect(strength(0, 4000)).toBe(0);
  expect(strength(1, 4000)).toBeGreaterThan(0.2);
  expect(strength(4000, 4000)).toBeCloseTo(1);
});
