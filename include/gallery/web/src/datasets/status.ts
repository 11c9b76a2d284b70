import type { Tone } from "../shell/Badge";

/** Rekognition's status of a dataset, in words. */
export function statusOf(status: string): { text: string; tone: Tone } {
  if (!status) return { text: "not registered", tone: "neutral" };
  const tone = status.endsWith("_FAILED")
    ? "bad"
    : status.endsWith("_IN_PROGRESS")
      ? "accent"
      : status.endsWith("_COMPLETE")
        ? "good"
        : "neutral";
  const text = tone === "good" ? "ready" : status.toLowerCase().replaceAll("_", " ");
  return { text, tone };
}

/** How a type of dataset is called in the AWS console. */
export const titleOf = { train: "Training dataset", test: "Test dataset" } as const;
