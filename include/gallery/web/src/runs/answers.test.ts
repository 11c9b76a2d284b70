import { afterEach, expect, it, vi } from "vitest";
import type { HeldChange, RunDataset } from "../api/messages";
import { answerGate, consequence, countsText, isAnswered } from "./answers";

const held = {
  action: "update",
  counts: { added: 5_000, removed: 1, unchanged: 9 },
} as unknown as HeldChange;
const dataset = { project: "example-birds", dataset_type: "train" } as RunDataset;

afterEach(() => vi.unstubAllGlobals());

it("counts what changes and nothing else", () => {
  expect(countsText(held.counts)).toBe("5,000 images added, 1 image removed");
  expect(countsText({ unchanged: 3 })).toBe("");
});

it("says what each answer does", () => {
  expect(consequence("Approve", held, dataset)).toBe(
    "The run goes on and will update the train dataset of example-birds: 5,000 images added, 1 image removed.",
  );
  expect(consequence("Approve", { ...held, action: "replace", counts: {} }, dataset)).toContain("delete");
  expect(consequence("Reject", held, dataset)).toContain("stays exactly as it is");
});

it("asks Airflow with the run's id in the path, whatever is in it", async () => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response("{}")));
  vi.stubGlobal("fetch", fetched);
  const run = { dag_id: "import_s3_folder", run_id: "manual__2025-01-01T00:00:00+00:00" };
  await answerGate(run, "register_train.approve", "Approve");
  const [address, init] = fetched.mock.calls[0] ?? [];
  expect(String(address)).toMatch(
    /api\/v2\/dags\/import_s3_folder\/dagRuns\/manual__2025-01-01T00%3A00%3A00%2B00%3A00\/taskInstances\/register_train\.approve\/-1\/hitlDetails$/,
  );
  expect(init).toMatchObject({
    method: "PATCH",
    body: JSON.stringify({ chosen_options: ["Approve"], params_input: {} }),
  });
});

it("knows an answer that came too late", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response('{"detail":"no"}', { status: 409 })));
  const late = await answerGate({ dag_id: "a", run_id: "b" }, "c", "Approve").catch(
    (error: unknown) => error,
  );
  expect(isAnswered(late)).toBe(true);
  expect(isAnswered(new Error("x"))).toBe(false);
});
