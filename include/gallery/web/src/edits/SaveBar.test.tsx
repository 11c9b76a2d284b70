import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { answer } from "../../fixtures/server";
import { idOf } from "../../fixtures/world";
import { add, EMPTY, type Edit } from "./draft";
import { SaveBar } from "./SaveBar";
import { drafts } from "./store";

const NAME = { project: "example-conflicts", type: "train" } as const;

beforeEach(() => {
  drafts.change(NAME, () => EMPTY);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const { status, body } = answer(init.method ?? "GET", new URL(url), String(init.body ?? ""));
    return Promise.resolve(new Response(String(body), { status }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function open(edit: Edit) {
  drafts.change(NAME, (draft) => add(draft, edit));
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <SaveBar name={NAME} />
    </QueryClientProvider>,
  );
}

const save = () => userEvent.click(screen.getByRole("button", { name: "Save" }));

it("sends the edits, and is gone once they are saved", async () => {
  open({ kind: "assignment", ids: [idOf(1)], assign: ["fire-tv"] });
  expect(screen.getByText("1 image changed")).toBeTruthy();
  await save();
  await waitFor(() => expect(screen.queryByRole("region", { name: "Edits" })).toBeNull(), { timeout: 5_000 });
  expect(drafts.get(NAME)).toEqual(EMPTY);
}, 10_000);

it("says why the server refuses, and keeps the edits", async () => {
  open({ kind: "renaming", old: "echo", new: "many" });
  await save();
  expect(await screen.findByText("Other saves are still being sent, or wait for runs.")).toBeTruthy();
  expect(drafts.get(NAME).edits).toHaveLength(1);
  expect(screen.getByRole("button", { name: "Save" })).toHaveProperty("disabled", false);
});

it.each([
  ["leased", /run scheduled__2026-11-24T20:00:00\+00:00 of refresh_alexa_devices, which .* started at/],
  ["twice", /another save of this dataset, which started at/],
  ["busy", /an operation .* in Rekognition that somebody else started \(UPDATE_IN_PROGRESS\)/],
])(
  "says what a save waits for, and goes on (%s)",
  async (name, cause) => {
    open({ kind: "renaming", old: "echo", new: name });
    await save();
    const bar = screen.getByRole("region", { name: "Edits" });
    await waitFor(() => expect(bar.textContent).toMatch(cause));
    expect(bar.textContent).toMatch(/you have waited since .* not free by .* your edits stay on this page/);
    expect(/reserved the dataset until/.test(bar.textContent)).toBe(name !== "busy");
    expect(screen.getByRole("button", { name: "Waiting…" })).toHaveProperty("disabled", true);
    await waitFor(() => expect(screen.queryByRole("region", { name: "Edits" })).toBeNull(), {
      timeout: 15_000,
    });
    expect(drafts.get(NAME)).toEqual(EMPTY);
  },
  20_000,
);

it("undoes and redoes by keys", async () => {
  open({ kind: "renaming", old: "echo", new: "echo-2" });
  await userEvent.keyboard("{Control>}z{/Control}");
  expect(screen.getByText("Nothing to save")).toBeTruthy();
  await userEvent.keyboard("{Control>}{Shift>}z{/Shift}{/Control}");
  expect(screen.getByText("1 label renamed")).toBeTruthy();
});
