import { expect, it } from "vitest";
import { pagesOf } from "./usePages";

it("asks for the pages that a range touches", () => {
  expect(pagesOf(0, 0)).toEqual([0]);
  expect(pagesOf(0, 99)).toEqual([0]);
  expect(pagesOf(99, 100)).toEqual([0, 100]);
  expect(pagesOf(249_950, 249_999)).toEqual([249_900]);
});
