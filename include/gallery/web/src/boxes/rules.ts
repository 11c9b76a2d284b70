/** What the server will refuse of an image's labels and boxes, said before it is sent. See include/custom_labels/boxes.py. */

import type { Box, Limits } from "../api/messages";
import { faultOf } from "../labels/naming";
import type { Rectangle, Size } from "./orientation";

/** Rekognition scales images down to this many pixels on the longer side; a box has to be over 1 pixel then. */
const SCALED_SIDE = 1280;

/** The smallest number of whole pixels that a box of this picture may be wide and high. */
export function leastSide({ width, height }: Size): number {
  return Math.floor(Math.max(width, height, SCALED_SIDE) / SCALED_SIDE) + 1;
}

/** Whole pixels inside of the picture, at least one wide and high: what a drawn rectangle is taken for. */
export function settled({ left, top, width, height }: Rectangle, size: Size): Rectangle {
  const [x, right] = span(left, left + width, size.width);
  const [y, bottom] = span(top, top + height, size.height);
  return { left: x, top: y, width: right - x, height: bottom - y };
}

function span(from: number, until: number, side: number): [number, number] {
  const start = clamp(Math.round(Math.min(from, until)), 0, side - 1);
  return [start, clamp(Math.round(Math.max(from, until)), start + 1, side)];
}

/** The rectangle moved by whole pixels, as far as the picture reaches, with its size kept. */
export function moved(rectangle: Rectangle, dx: number, dy: number, size: Size): Rectangle {
  return {
    ...rectangle,
    left: clamp(rectangle.left + dx, 0, Math.max(0, size.width - rectangle.width)),
    top: clamp(rectangle.top + dy, 0, Math.max(0, size.height - rectangle.height)),
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

/** Why a box will be refused, or an empty text. Without the picture's size, only its numbers can be judged. */
export function boxFault(box: Box, size: Size | null): string {
  const { left, top, width, height } = box;
  if (![left, top, width, height].every(Number.isFinite)) return "A number is missing.";
  if (Math.min(left, top, width, height) < 0) return "Numbers below 0 are outside of the image.";
  if (!size) return faultOf(box.label);
  if (left + width > size.width || top + height > size.height)
    return `The box reaches beyond the image of ${size.width} × ${size.height} pixels.`;
  const longer = Math.max(size.width, size.height, SCALED_SIDE);
  if (Math.min(width, height) * SCALED_SIDE <= longer)
    return `The box is too small: Rekognition needs at least ${leastSide(size)} × ${leastSide(size)} pixels here.`;
  return faultOf(box.label);
}

/** What speaks against saving the image as a whole, one sentence each. */
export function imageFaults(labels: readonly string[], boxes: readonly Box[], limits: Limits): string[] {
  const faults = labels.map(faultOf).filter(Boolean);
  if (labels.length > limits.labels_per_image)
    faults.push(`The image has ${labels.length} labels; Rekognition takes ${limits.labels_per_image}.`);
  if (boxes.length > limits.boxes_per_image)
    faults.push(`The image has ${boxes.length} boxes; Rekognition takes ${limits.boxes_per_image}.`);
  return faults;
}
