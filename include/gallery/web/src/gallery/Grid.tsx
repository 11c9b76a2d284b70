import { useVirtualizer, type Virtualizer } from "@tanstack/react-virtual";
import "./grid.css";
import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type RefObject,
} from "react";
import type { ImageRow } from "../api/messages";
import type { Edit } from "../edits/draft";
import { rowAfter } from "../edits/effect";
import { layoutOf, MAX_HEIGHT, moveTo, stretchOf } from "./paging";
import type { Selection } from "./selection";
import { Tile, type TileHandlers } from "./Tile";
import type { Span } from "./useImages";

/** How long images have to be in sight before they are asked for: what is scrolled past is not worth a request. */
const REST_MS = 70;

/** Above and below the rows together. */
const PADDING = 24;

export type GridPlace = { active: number; offset: number };

type GridProps = TileHandlers & {
  label: string;
  total: number;
  size: number;
  row: (index: number) => ImageRow | undefined;
  edits: readonly Edit[];
  selection: Selection;
  picture: (row: ImageRow) => string;
  /** Where the grid was left; it is kept up to date while it is moved. */
  place: RefObject<GridPlace>;
  isOld: boolean;
  /** Images in sight, once they have been so for a moment. */
  onSpan: (span: Span) => void;
  /** After shift and a key that moves: the range reaches to the second one. */
  onRange: (from: number, to: number) => void;
  /** Keys that are not the grid's own, at the image that has the focus. */
  onKey: (event: KeyboardEvent, index: number) => void;
};

/** All images of a view, of which only those in sight are there. */
export function Grid(props: GridProps) {
  const { total, size, row, edits, selection, place, onSpan } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [frame, setFrame] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const measure = () => {
      const style = getComputedStyle(element);
      const padding = Number.parseFloat(style.paddingLeft) + Number.parseFloat(style.paddingRight);
      setFrame({ width: element.clientWidth - padding, height: element.clientHeight });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const layout = layoutOf(frame.width, size, total);
  const { columns, rowHeight, rows } = layout;
  const height = rows * rowHeight;
  const stretch = useMemo(() => stretchOf(height, frame.height), [height, frame.height]);
  const isStretched = height > MAX_HEIGHT;
  // Rows of stretched content move with every step of the bar, and not only when others come into sight.
  const [, setSteps] = useState(0);
  const moving = useRef({ stretch, isStretched });
  useLayoutEffect(() => {
    moving.current = { stretch, isStretched };
  }, [stretch, isStretched]);
  const [active, setActive] = useState(place.current.active);
  const current = Math.min(active, Math.max(0, total - 1));
  const activeRow = Math.floor(current / columns);

  // oxlint-disable-next-line react/incompatible-library
  const virtual = useVirtualizer<HTMLDivElement, HTMLDivElement>({
    count: frame.width > 0 ? rows : 0,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 2,
    initialOffset: place.current.offset,
    observeElementOffset: (instance, report) =>
      observeOffset(instance, (bar, isScrolling) => {
        report(moving.current.stretch.toContent(bar), isScrolling);
        if (moving.current.isStretched) setSteps((steps) => steps + 1);
      }),
    scrollToFn: (offset, { adjustments = 0, behavior }, instance) => {
      instance.scrollElement?.scrollTo({
        top: moving.current.stretch.toBar(offset + adjustments),
        ...(behavior && { behavior }),
      });
    },
    // The row with the focus stays, wherever one scrolls.
    rangeExtractor: ({ startIndex, endIndex, overscan, count }) => {
      const indexes = new Set([activeRow]);
      for (let at = startIndex - overscan; at <= endIndex + overscan; at += 1) indexes.add(at);
      return [...indexes].filter((at) => at >= 0 && at < count).toSorted((a, b) => a - b);
    },
  });
  useLayoutEffect(() => virtual.measure(), [virtual, rowHeight, columns]);

  // Another size or width of tiles keeps the image at the top where it is.
  const topImage = useRef(0);
  const lastLayout = useRef(layout);
  useLayoutEffect(() => {
    const before = lastLayout.current;
    lastLayout.current = layout;
    if (before.columns !== columns && before.rows > 0 && frame.width > 0 && topImage.current > 0) {
      const top = Math.floor(topImage.current / columns) * rowHeight;
      scroller.current?.scrollTo({ top: stretch.toBar(top) });
    }
  });

  const { range } = virtual;
  const first = (range?.startIndex ?? 0) * columns;
  const last = ((range?.endIndex ?? 0) + 1) * columns - 1;
  useEffect(() => {
    topImage.current = first;
    const timer = window.setTimeout(() => onSpan({ first, last }), REST_MS);
    return () => window.clearTimeout(timer);
  }, [first, last, onSpan]);

  const offset = virtual.scrollOffset ?? 0;
  useEffect(() => {
    place.current = { active: current, offset };
  }, [place, current, offset]);

  // Focus follows the active image once its row is there.
  const wantsFocus = useRef(false);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    const cell = scroller.current?.querySelector<HTMLElement>(`[data-index="${current}"]`);
    if (!cell) return;
    wantsFocus.current = false;
    cell.focus({ preventScroll: true });
  });

  const activate = useCallback(
    (index: number) => {
      wantsFocus.current = true;
      setActive(index);
    },
    [setActive],
  );
  const { onPress: press, onMark: mark, onOpen } = props;
  const onPress = useCallback<TileHandlers["onPress"]>(
    (index, event) => {
      activate(index);
      press(index, event);
    },
    [activate, press],
  );
  const onMark = useCallback(
    (index: number) => {
      activate(index);
      mark(index);
    },
    [activate, mark],
  );

  // As far as it takes to see all of the row; the library would stop where the bar ends, stretched or not.
  const scrollToRow = (at: number) => {
    const element = scroller.current;
    if (!element) return;
    const top = at * rowHeight;
    const from = stretch.toContent(element.scrollTop);
    const room = element.clientHeight - PADDING;
    if (top < from) element.scrollTop = stretch.toBar(top);
    else if (top + rowHeight > from + room) element.scrollTop = stretch.toBar(top + rowHeight - room);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const isMove = !event.ctrlKey && !event.metaKey && !event.altKey;
    const visible = Math.max(1, Math.floor(frame.height / rowHeight));
    const to = isMove ? moveTo(event.key, current, columns, visible, total) : null;
    if (to === null) {
      props.onKey(event, current);
      return;
    }
    event.preventDefault();
    activate(to);
    scrollToRow(Math.floor(to / columns));
    if (event.shiftKey) props.onRange(current, to);
  };

  const bar = isStretched ? stretch.toBar(offset) : 0;
  return (
    // The cells have the focus, one at a time.
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus
    <div
      ref={scroller}
      role="grid"
      aria-label={props.label}
      aria-rowcount={rows}
      aria-colcount={columns}
      aria-multiselectable="true"
      aria-busy={props.isOld}
      className={["grid", props.isOld && "grid-old", selection.ids.size && "grid-selecting"]
        .filter(Boolean)
        .join(" ")}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" className="grid-content" style={{ height: Math.min(height, MAX_HEIGHT) }}>
        {virtual.getVirtualItems().map(({ index: at, start }) => (
          <div
            key={at}
            role="row"
            aria-rowindex={at + 1}
            className="grid-row"
            style={{ transform: `translateY(${isStretched ? bar + start - offset : start}px)` }}
          >
            {Array.from({ length: Math.min(columns, total - at * columns) }, (_, column) => {
              const index = at * columns + column;
              const image = row(index);
              const after = image && rowAfter(image, edits);
              return (
                <Tile
                  key={column}
                  index={index}
                  column={column}
                  size={layout.tile}
                  row={after}
                  isEdited={after !== image}
                  isSelected={image !== undefined && selection.ids.has(image.id)}
                  isActive={index === current}
                  picture={image ? props.picture(image) : ""}
                  onPress={onPress}
                  onMark={onMark}
                  onOpen={onOpen}
                />
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}

type Instance = Virtualizer<HTMLDivElement, HTMLDivElement>;

function observeOffset(
  instance: Instance,
  report: (bar: number, isScrolling: boolean) => void,
): (() => void) | undefined {
  const element = instance.scrollElement;
  if (!element) return undefined;
  let timer = 0;
  const tell = (isScrolling: boolean) => report(element.scrollTop, isScrolling);
  const onScroll = () => {
    tell(true);
    window.clearTimeout(timer);
    timer = window.setTimeout(() => tell(false), 120);
  };
  tell(false);
  element.addEventListener("scroll", onScroll, { passive: true });
  return () => {
    window.clearTimeout(timer);
    element.removeEventListener("scroll", onScroll);
  };
}
