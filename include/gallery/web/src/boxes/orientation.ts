/**
 * Rectangles of the stored picture and of the upright one, which EXIF's orientation (1 to 8) turns into each other.
 *
 * Manifests give boxes in pixels of the stored picture; people see and draw on the upright one.
 */

export type Size = { width: number; height: number };
export type Rectangle = Size & { left: number; top: number };

/** What is done to the stored picture to see it upright: exchange the axes first, then mirror. */
type Turn = { swaps: boolean; mirrorsX: boolean; mirrorsY: boolean };

const turn = (swaps: boolean, mirrorsX: boolean, mirrorsY: boolean): Turn => ({ swaps, mirrorsX, mirrorsY });

/** Source: EXIF 2.3, tag Orientation (0x0112). */
const TURNS: Record<number, Turn> = {
  1: turn(false, false, false),
  2: turn(false, true, false),
  3: turn(false, true, true),
  4: turn(false, false, true),
  5: turn(true, false, false),
  6: turn(true, true, false),
  7: turn(true, true, true),
  8: turn(true, false, true),
};

/** As readers of pictures do, anything else is taken for upright. */
function turnOf(orientation: number): Turn {
  return TURNS[orientation] ?? turn(false, false, false);
}

/** The size of the upright picture, given the stored one's, and the other way round. */
export function turnedSize(size: Size, orientation: number): Size {
  return turnOf(orientation).swaps ? { width: size.height, height: size.width } : size;
}

/**
 * The rectangle on the upright picture.
 *
 * @param rectangle on the stored picture
 * @param stored size of the stored picture
 */
export function toUpright(rectangle: Rectangle, stored: Size, orientation: number): Rectangle {
  const { swaps, mirrorsX, mirrorsY } = turnOf(orientation);
  const swapped = swaps ? swap(rectangle) : rectangle;
  return mirror(swapped, turnedSize(stored, orientation), mirrorsX, mirrorsY);
}

/**
 * The rectangle on the stored picture: the inverse of `toUpright`.
 *
 * @param rectangle on the upright picture
 * @param stored size of the stored picture
 */
export function toStored(rectangle: Rectangle, stored: Size, orientation: number): Rectangle {
  const { swaps, mirrorsX, mirrorsY } = turnOf(orientation);
  const mirrored = mirror(rectangle, turnedSize(stored, orientation), mirrorsX, mirrorsY);
  return swaps ? swap(mirrored) : mirrored;
}

function swap({ left, top, width, height }: Rectangle): Rectangle {
  return { left: top, top: left, width: height, height: width };
}

function mirror(rectangle: Rectangle, size: Size, x: boolean, y: boolean): Rectangle {
  const { left, top, width, height } = rectangle;
  return {
    left: x ? size.width - left - width : left,
    top: y ? size.height - top - height : top,
    width,
    height,
  };
}
