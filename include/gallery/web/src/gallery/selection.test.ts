import { expect, it } from "vitest";
import { all, between, extend, NONE, only, toggle } from "./selection";

it("takes an image in and out, and begins ranges there", () => {
  const one = toggle(NONE, "a");
  expect([...one.ids]).toEqual(["a"]);
  const both = toggle(one, "b");
  expect([...both.ids]).toEqual(["a", "b"]);
  expect(both.anchor).toBe("b");
  expect([...toggle(both, "a").ids]).toEqual(["b"]);
});

it("keeps the anchor while a range becomes longer and shorter", () => {
  const long = extend(only("b"), ["b", "c", "d"]);
  const short = extend(long, ["a", "b"]);
  expect([...short.ids]).toEqual(["a", "b"]);
  expect(short.anchor).toBe("b");
});

it("takes a range in besides what is selected", () => {
  expect([...extend(only("a"), ["c", "d"], true).ids]).toEqual(["a", "c", "d"]);
});

it("finds what lies between, in either direction", () => {
  const ids = ["a", "b", "c", "d"];
  expect(between(ids, "d", "b")).toEqual(["b", "c", "d"]);
  expect(between(ids, "b", "b")).toEqual(["b"]);
  expect(between(ids, "b", "gone")).toEqual([]);
});

it("selects 250,000 at once", () => {
  const ids = Array.from({ length: 250_000 }, (_, at) => String(at));
  expect(all(ids, only("7"))).toMatchObject({ anchor: "7", ids: { size: 250_000 } });
});
