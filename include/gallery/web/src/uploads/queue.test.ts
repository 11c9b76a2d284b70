import { expect, it } from "vitest";
import type { Limits } from "../api/messages";
import { changed, counts, folderOf, toSend, withChosen, without } from "./queue";
import { targetOf } from "./target";

const limits = { upload_images: 3, upload_image_size_bytes: 10 } as Limits;
const file = (name: string, content = "x", type = "image/jpeg") =>
  new File([content], name, { type, lastModified: 0 });
const chosen = (...names: string[]) => names.map((name) => ({ file: file(name), folder: "" }));

it.each([
  ["photo.jpg", ""],
  ["jay/photo.jpg", "jay"],
  ["photos/jay/photo.jpg", "jay"],
  ["photos/jay/2024/photo.jpg", "jay"],
  ["/jay/photo.jpg", "jay"],
])("labels %s with %s", (path, folder) => {
  expect(folderOf(path)).toBe(folder);
});

it("takes as many as there is room for, each once", () => {
  const first = withChosen([], chosen("a", "b"), limits);
  expect(first).toMatchObject({ left: 0, twice: 0 });
  const second = withChosen(first.queue, chosen("b", "c", "d", "e"), limits);
  expect(second).toMatchObject({ left: 2, twice: 1 });
  expect(second.queue.map(({ number }) => number)).toEqual([0, 1, 2]);
  const third = withChosen(without(second.queue, 1), chosen("f"), limits);
  expect(third.queue.map(({ number, file: { name } }) => [number, name])).toEqual([
    [0, "a"],
    [2, "c"],
    [1, "f"],
  ]);
});

it("refuses what the server would refuse", () => {
  const files = [file("large", "x".repeat(11)), file("empty", ""), file("a.gif", "x", "image/gif")];
  const { queue } = withChosen(
    [],
    files.map((each) => ({ file: each, folder: "" })),
    limits,
  );
  expect(queue.map(({ problem }) => problem?.code)).toEqual([
    "FILE_TOO_LARGE",
    "EMPTY_OBJECT",
    "NOT_PNG_OR_JPEG",
  ]);
  expect(toSend(queue)).toEqual([]);
});

it("sends again what failed, and keeps what was sent", () => {
  let { queue } = withChosen([], chosen("a", "b", "c"), limits);
  queue = changed(changed(queue, 0, { state: "sent" }), 1, { state: "failed" });
  expect(toSend(queue).map(({ number }) => number)).toEqual([1, 2]);
  expect(counts(queue)).toMatchObject({ sent: 1, failed: 1, chosen: 1 });
  expect(without(queue, 0)).toHaveLength(3);
  expect(without(queue, 1)).toHaveLength(2);
});

it("reads the dataset from the address", () => {
  expect(targetOf({ project: "example-birds", type: "test" })).toEqual({
    project: "example-birds",
    type: "test",
  });
  expect(targetOf({ project: "../x", type: "other" })).toEqual({});
});
