import { expect, it } from "vitest";
import { fitting, nextZoom } from "./zoom";

it("fits pictures of any size", () => {
  expect(fitting({ width: 4096, height: 2048 }, { width: 1056, height: 1056 })).toBeCloseTo(0.25);
  expect(fitting({ width: 64, height: 64 }, { width: 1056, height: 1056 })).toBe(4);
  expect(fitting({ width: 4096, height: 2048 }, { width: 0, height: 0 })).toBeGreaterThan(0);
});

it("stops at 100 %, and at the ends", () => {
  expect(nextZoom(0.9, 1)).toBe(1);
  expect(nextZoom(1.2, -1)).toBe(1);
  expect(nextZoom(1, 1)).toBe(1.25);
  expect(nextZoom(1, -1)).toBe(0.8);
  expect(nextZoom(16, 1)).toBe(16);
  expect(nextZoom(0.02, -1)).toBe(0.02);
});
