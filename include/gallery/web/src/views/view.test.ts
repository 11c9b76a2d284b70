import { describe, expect, it } from "vitest";
import type { View } from "../api/messages";
import { filtersOf, parseSearch, queryOf, stringifySearch, toggled, unfiltered, viewOf } from "./view";

describe("a view's address", () => {
  it.each<[View, string]>([
    [{}, ""],
    [{ label: ["echo"] }, "?label=echo"],
    [{ label: ["true", "1", "a&b=c", "مكبر"], boxed: false }, ""],
    [{ labelled: false, sort: "size", descending: true }, "?labelled=false&sort=size&descending=true"],
    [{ error: ["*"], state: ["dropped"], reason: ["ENTRY_ERROR"], change: ["added"], key: " x " }, ""],
    [{ snapshot: "20261120T093000Z-1a2b3c4d" }, "?snapshot=20261120T093000Z-1a2b3c4d"],
  ])("of %j reads back as the same", (view, address) => {
    const text = stringifySearch({ ...view });
    if (address) expect(text).toBe(address);
    expect(viewOf(parseSearch(text))).toEqual(view);
  });

  it.each([
    "?sort=__proto__",
    "?change=eaten",
    "?labelled=perhaps",
    "?descending=false",
    "?snapshot=../../x",
    "?label=",
    "?unknown=1",
  ])("leaves out what makes no sense in %s", (text) => {
    expect(viewOf(parseSearch(text))).toEqual({});
  });
});

it("asks the server for what is chosen only", () => {
  expect(queryOf({ label: [], key: "", labelled: null, boxed: false })).toEqual({ boxed: false });
});

it("counts and clears what narrows it down, and keeps the order", () => {
  const view: View = { label: ["a", "b"], boxed: true, sort: "size", snapshot: "20261120T093000Z-1a2b3c4d" };
  expect(filtersOf(view)).toBe(3);
  expect(unfiltered(view)).toEqual({ sort: "size", snapshot: "20261120T093000Z-1a2b3c4d" });
});

it("takes a value in and out", () => {
  const view = toggled({ label: ["a"] }, "label", "b");
  expect(view).toEqual({ label: ["a", "b"] });
  expect(toggled(toggled(view, "label", "a"), "label", "b")).toEqual({});
});
