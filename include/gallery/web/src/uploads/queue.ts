/** Images that a person chose to upload, as values: what each is, how far it has come, and what is wrong with it. */

import type { Limits, Problem } from "../api/messages";
import { problem } from "../api/client";
import { sizeText } from "../facts/texts";

export type Item = {
  /** Of the upload, from 0; stays the same when others are taken away. */
  number: number;
  file: File;
  /** The label, where the import labels by folder. */
  folder: string;
  /** `refused` for what the page knows the server would not take. */
  state: "chosen" | "refused" | "sending" | "sent" | "failed";
  /** Of the bytes, from 0 to 1. */
  share: number;
  problem: Problem | null;
};

export type Chosen = { file: File; folder: string };

/** The folder that labels an image: the first one below the folder that was chosen, else that one itself. */
export function folderOf(path: string): string {
  const folders = path.split("/").filter(Boolean).slice(0, -1);
  return folders[1] ?? folders[0] ?? "";
}

/** The queue with what was chosen, as far as there is room, and how many were left out. */
export function withChosen(
  queue: readonly Item[],
  chosen: readonly Chosen[],
  limits: Limits,
): { queue: Item[]; left: number; twice: number } {
  const known = new Set(queue.map(({ file, folder }) => textOf(file, folder)));
  const fresh: Chosen[] = [];
  for (const each of chosen) {
    const text = textOf(each.file, each.folder);
    if (known.has(text)) continue;
    known.add(text);
    fresh.push(each);
  }
  const taken = new Set(queue.map(({ number }) => number));
  const free = Array.from({ length: limits.upload_images }, (_, number) => number).filter(
    (number) => !taken.has(number),
  );
  const added = fresh.slice(0, free.length).map(({ file, folder }, index): Item => {
    const fault = faultOf(file, limits);
    const state = fault ? "refused" : "chosen";
    return { number: free[index] ?? 0, file, folder, state, share: 0, problem: fault };
  });
  return {
    queue: [...queue, ...added],
    left: fresh.length - added.length,
    twice: chosen.length - fresh.length,
  };
}

function textOf(file: File, folder: string): string {
  return JSON.stringify([folder, file.name, file.size, file.lastModified]);
}

function faultOf(file: File, limits: Limits): Problem | null {
  if (file.size === 0) return problem("EMPTY_OBJECT", "The file is empty.", "Choose it again.");
  if (file.size > limits.upload_image_size_bytes) {
    const most = sizeText(limits.upload_image_size_bytes);
    return problem("FILE_TOO_LARGE", `The file is over ${most}.`, "Compress or scale the image.");
  }
  // The browser guesses the type by the name; the server looks at the content.
  if (file.type && !["image/png", "image/jpeg"].includes(file.type)) {
    return problem("NOT_PNG_OR_JPEG", "Rekognition reads PNG and JPEG alone.", "Convert the image.");
  }
  return null;
}

export function changed(queue: readonly Item[], number: number, change: Partial<Item>): Item[] {
  return queue.map((item) => (item.number === number ? { ...item, ...change } : item));
}

/** What was sent stays: the server has it, and would import it. */
export function without(queue: readonly Item[], number: number): Item[] {
  return queue.filter((item) => item.number !== number || item.state === "sent" || item.state === "sending");
}

export const toSend = (queue: readonly Item[]): Item[] =>
  queue.filter(({ state }) => state === "chosen" || state === "failed");

export function counts(queue: readonly Item[]): Record<Item["state"], number> {
  const all = { chosen: 0, refused: 0, sending: 0, sent: 0, failed: 0 };
  for (const { state } of queue) all[state] += 1;
  return all;
}
