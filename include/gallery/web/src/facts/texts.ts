/** Numbers, times and codes as people read them. */

import type { Tone } from "../shell/Badge";

export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const [value, unit] = bytes < 1_000_000 ? [bytes / 1_000, "kB"] : [bytes / 1_000_000, "MB"];
  return `${value.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${unit}`;
}

/** A time in the reader's own zone. */
export function timeText(iso: string | null): string {
  if (!iso) return "not known";
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

const TONES: Record<string, Tone> = {
  registered: "good",
  labelled: "good",
  unlabelled: "neutral",
  skipped: "neutral",
  quarantined: "bad",
  rejected: "bad",
  dropped: "bad",
  held: "warning",
  removed: "neutral",
  aside: "neutral",
};

export const stateTone = (state: string): Tone => TONES[state] ?? "neutral";

/** What a ledger state means. See include/custom_labels/ledger.py. */
export const STATE_MEANINGS: Record<string, string> = {
  registered: "In the dataset with its label.",
  labelled: "In the manifest with a label, not registered yet.",
  unlabelled: "In the manifest, and in the dataset where one was registered, without a label.",
  skipped: "Not an image to import.",
  quarantined: "An image by name that Rekognition would not read.",
  rejected: "An image whose label Rekognition would not accept.",
  dropped: "Sent, and not usable in the dataset afterwards.",
  held: "Gone from the source, and still in the dataset.",
  removed: "Gone from the source, and from the dataset.",
  aside: "Removed earlier; a person's work on it is kept, and comes back with the image.",
};

const CHANGE_TONES: Record<string, Tone> = {
  added: "good",
  removed: "bad",
  relabelled: "warning",
  changed: "accent",
};

export const changeTone = (change: string): Tone => CHANGE_TONES[change] ?? "neutral";

/** The time in a snapshot's id, such as 20250131T120000Z-0a1b2c3d. */
export function snapshotTime(id: string): string {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/u.exec(id);
  if (!match) return id;
  const [, year, month, day, hour, minute, second] = match;
  return timeText(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
