/** Which pages of images the grid needs, and how far it can be scrolled. */

export const PAGE = 200;

/** Offsets of the pages that hold the images from `first` to `last`, both included. */
export function pagesOf(first: number, last: number, total: number): number[] {
  const offsets: number[] = [];
  const end = Math.min(last, total - 1);
  for (let offset = Math.floor(Math.max(0, first) / PAGE) * PAGE; offset <= end; offset += PAGE) {
    offsets.push(offset);
  }
  return offsets;
}

export type Layout = { columns: number; tile: number; rowHeight: number; rows: number };

export const GAP = 10;
/** Height of what a tile says below its picture. */
export const CAPTION = 46;

/** As many columns as fit, with tiles of about the size that was asked for that fill the width. */
export function layoutOf(width: number, size: number, total: number): Layout {
  const columns = Math.max(1, Math.floor((width + GAP) / (size + GAP)));
  const tile = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns));
  return { columns, tile, rowHeight: tile + CAPTION + GAP, rows: Math.ceil(total / columns) };
}

/** Pixels that Firefox and Chromium can still scroll: elements that are higher are cut off. */
export const MAX_HEIGHT = 15_000_000;

/**
 * Scrolling of content that is higher than browsers allow: the bar moves over `MAX_HEIGHT`, the content over its own
 * height, and both meet at the ends. Content that fits moves as the bar does.
 */
export type Stretch = { toContent: (bar: number) => number; toBar: (content: number) => number };

export function stretchOf(height: number, viewport: number): Stretch {
  if (height <= MAX_HEIGHT) return { toContent: (bar) => bar, toBar: (content) => content };
  const ratio = (height - viewport) / (MAX_HEIGHT - viewport);
  return { toContent: (bar) => bar * ratio, toBar: (content) => content / ratio };
}

/** Where a key leads from the image at `at`; null where it leads nowhere. */
export function moveTo(
  key: string,
  at: number,
  columns: number,
  visibleRows: number,
  total: number,
): number | null {
  const page = Math.max(1, visibleRows - 1) * columns;
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    PageUp: at - page,
    PageDown: at + page,
    Home: 0,
    End: total - 1,
  }[key];
  if (to === undefined || total === 0) return null;
  // A step up from the first row, or down from the last one, stays; a page goes as far as there is.
  if ((key === "ArrowUp" && to < 0) || (key === "ArrowDown" && to >= total)) return at;
  return Math.min(total - 1, Math.max(0, to));
}
