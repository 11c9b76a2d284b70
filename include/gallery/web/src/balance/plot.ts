/** Where things lie in the plot of image sizes, as numbers. */

import type { Bin, LabelCount } from "../api/messages";

/** AWS's guidance for a label: with fewer images a model hardly learns it. */
export const FEW_IMAGES = 10;
/** What Rekognition reads. See include/custom_labels/quotas.py. */
export const LEAST_SIDE = 64;
export const MOST_SIDE = 4096;
export const MOST_ASPECT = 20;

export type LabelSort = "images" | "boxes" | "label";

export function sortedLabels(
  labels: readonly LabelCount[],
  sort: LabelSort,
  isDescending: boolean,
): LabelCount[] {
  const by = {
    images: (a: LabelCount, b: LabelCount) => a.images - b.images,
    boxes: (a: LabelCount, b: LabelCount) => a.boxed_images - b.boxed_images,
    label: (a: LabelCount, b: LabelCount) => a.label.localeCompare(b.label),
  }[sort];
  const sorted = labels.toSorted((a, b) => by(a, b) || a.label.localeCompare(b.label));
  return isDescending ? sorted.toReversed() : sorted;
}

/** How many times more images the largest label has than the smallest one; null without two labels. */
export function imbalance(labels: readonly LabelCount[]): number | null {
  const counts = labels.map(({ images }) => images).filter((images) => images > 0);
  return counts.length < 2 ? null : Math.max(...counts) / Math.min(...counts);
}

/** The side that the plot reaches to: Rekognition's limit, and beyond where there are larger images. */
export function reach(bins: readonly Bin[]): number {
  return Math.max(MOST_SIDE * 1.06, ...bins.flatMap((bin) => [bin.width_until, bin.height_until]));
}

/** How strongly a bin is coloured, from 0 to 1: by orders of magnitude, so that single images are seen. */
export function strength(images: number, most: number): number {
  return images <= 0 ? 0 : 0.18 + (0.82 * Math.log1p(images)) / Math.log1p(Math.max(most, 1));
}
