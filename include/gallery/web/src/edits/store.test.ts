import { beforeEach, expect, it } from "vitest";
import { add, EMPTY, type Draft, type Edit } from "./draft";
import { fromText, toText } from "./storage";
import { DraftStore } from "./store";

const NAME = { project: "alexa-devices", type: "train" } as const;
const ids = Array.from({ length: 25_001 }, (_, index) => (index * 7919).toString(16).padStart(16, "0"));
const edit: Edit = { kind: "assignment", ids, assign: ["echo"] };

beforeEach(() => window.sessionStorage.clear());

it("reads again what it wrote, each selection once", () => {
  const draft: Draft = { ...add(add(EMPTY, edit), { ...edit, assign: ["kindle"] }), labels: ["new"] };
  const text = toText(draft);
  expect(fromText(text)).toEqual(draft);
  expect(text.length).toBeLessThan(ids.length * 11);
});

it.each(["", "{", "{}", "null", '{"edits": 1}'])("begins anew where it finds %j", (text) => {
  expect(fromText(text)).toEqual(EMPTY);
});

it("keeps edits over a reload, and leaves nothing behind", () => {
  const first = new DraftStore(window.sessionStorage);
  first.change(NAME, (draft) => add(draft, edit));
  const second = new DraftStore(window.sessionStorage);
  expect(second.get(NAME).edits).toEqual([edit]);
  expect(second.get({ ...NAME, type: "test" })).toBe(EMPTY);
  second.change(NAME, () => EMPTY);
  expect(window.sessionStorage.length).toBe(0);
});

it("says when the storage is full, and still has the edits", () => {
  const full = {
    getItem: () => null,
    removeItem: () => undefined,
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  } as unknown as Storage;
  const store = new DraftStore(full);
  let told = 0;
  store.subscribe(() => {
    told += 1;
  });
  store.change(NAME, (draft) => add(draft, edit));
  expect(store.get(NAME).edits).toEqual([edit]);
  expect(store.isKept(NAME)).toBe(false);
  expect(told).toBe(1);
});
