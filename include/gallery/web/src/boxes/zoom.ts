/** How large a picture is shown: pixels of the page for one of the picture, or as large as there is room for. */

import type { Size } from "./orientation";

export type Zoom = number | "fit";

const STEP = 1.25;
const LEAST = 0.02;
const MOST = 16;
/** Kept free around a picture that fits. */
const MARGIN = 32;

/** The scale at which the whole picture is seen; small pictures are not enlarged beyond 4 to 1. */
export function fitting(picture: Size, room: Size): number {
  const scale = Math.min((room.width - MARGIN) / picture.width, (room.height - MARGIN) / picture.height);
  return Math.min(Math.max(scale, LEAST), 4);
}

/** One step in (1) or out (-1), passing by 100 %. */
export function nextZoom(scale: number, direction: 1 | -1): number {
  const next = direction === 1 ? scale * STEP : scale / STEP;
  const passes = (scale < 0.999 && next > 1.001) || (scale > 1.001 && next < 0.999);
  return passes ? 1 : Math.min(Math.max(next, LEAST), MOST);
}
