/** Icons of our own: strokes on a 20 by 20 grid, in the colour of the text around them. */

const STROKES = {
  add: "M10 4v12M4 10h12",
  back: "M12 4l-6 6 6 6",
  boxes: "M3.5 5.5h9v7h-9zM8 12.5v3h8.5v-7h-4",
  check: "M4 10.5l4 4 8-9",
  clock: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM10 6v4l3 2",
  close: "M5 5l10 10M15 5L5 15",
  dataset: "M3 5.5h14v9H3zM3 12l4-3.5 3.5 3 2.5-2 4 3.5M13.5 8h.01",
  down: "M5 8l5 5 5-5",
  download: "M10 3v9M6 8.5l4 4 4-4M4 16.5h12",
  error: "M10 3l7.5 13.5h-15zM10 8v4M10 14.4h.01",
  external: "M8 5H4.5v10.5H15V12M11 4h5v5M16 4l-7 7",
  filter: "M3 5h14M6 10h8M8.5 15h3",
  forward: "M8 4l6 6-6 6",
  info: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM10 9v4.5M10 6.4h.01",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M7 11.8h6",
  label: "M3.5 4h6.5l6.5 6.5-6 6L4 10zM7 7.4h.01",
  link: "M8.5 11.5l3-3M9 6l1.5-1.5a3.2 3.2 0 0 1 4.6 4.6L13.5 10.7M11 14l-1.5 1.5a3.2 3.2 0 0 1-4.6-4.6L6.5 9.3",
  minus: "M4 10h12",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  pencil: "M4 16l.8-3.4L13.5 4l2.5 2.5-8.6 8.700z",
  redo: "M12.5 4.500L16 8l-3.5 3.500M16 8H8a4 4 0 0 0 0 8h3",
  refresh: "M16 4v4h-4M15.5 8A6 6 0 1 0 16 11",
  run: "M6 4l10 6-10 6z",
  search: "M9 4a5 5 0 1 0 0 10a5 5 0 0 0 0-10zM12.8 12.800L16.5 16.5",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10.500h7.600L14.5 6",
  undo: "M7.5 4.500L4 8l3.5 3.500M4 8h8a4 4 0 0 1 0 8H9",
  up: "M5 12l5-5 5 5",
  upload: "M10 13V4M6 8l4-4 4 4M4 16.500h12",
} as const;

export type IconName = keyof typeof STROKES;

/** Seen only: whoever uses it says in words what it stands for. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={STROKES[name]} />
    </svg>
  );
}
