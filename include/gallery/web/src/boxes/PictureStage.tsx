import { createImageAnnotator, ShapeType, UserSelectAction } from "@annotorious/annotorious";
import type { ImageAnnotation, ImageAnnotator, RectangleGeometry } from "@annotorious/annotorious";
import "@annotorious/annotorious/annotorious.css";
import { Origin } from "@annotorious/core";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { RefObject } from "react";
import type { Rectangle, Size } from "./orientation";
import { labelColour } from "./palette";
import "./stage.css";
import { fitting, nextZoom, type Zoom } from "./zoom";

/** A box as it is seen: on the upright picture. */
export type SeenBox = { id: string; label: string; rectangle: Rectangle };

type Stage = {
  src: string;
  /** Read to those who do not see the picture. */
  description: string;
  boxes: readonly SeenBox[];
  selected: string;
  zoom: Zoom;
  canDraw: boolean;
  onZoom: (zoom: Zoom) => void;
  /** Pixels of the page for one of the picture, as it is now. */
  onScale: (scale: number) => void;
  onLoad: (upright: Size) => void;
  onError: () => void;
  onSelect: (id: string) => void;
  onDraw: (id: string, rectangle: Rectangle) => void;
  /** `isDone` is false while the pointer still moves. */
  onChange: (id: string, rectangle: Rectangle, isDone: boolean) => void;
};

/** The picture with its boxes, to look at and to draw on. Coordinates are those of the upright picture. */
export function PictureStage(stage: Stage) {
  const { src, boxes, zoom, onZoom, onScale } = stage;
  const viewport = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size | null>(null);
  const room = useRoom(viewport);
  const scale = size ? (zoom === "fit" ? fitting(size, room) : zoom) : 1;
  const host = useAnnotator(stage, size, setSize);
  const zoomAt = useAnchoredZoom(viewport, host, scale, onZoom);
  const isPanning = usePanning(viewport);

  useEffect(() => {
    if (size) onScale(scale);
  }, [size, scale, onScale]);

  useEffect(() => {
    const box = viewport.current;
    if (!box) return undefined;
    // React listens to wheels passively, so that the page would scroll as well.
    const onWheel = (event: WheelEvent) => {
      if (event.shiftKey) return;
      event.preventDefault();
      zoomAt(event.clientX, event.clientY, event.deltaY < 0 ? 1 : -1);
    };
    box.addEventListener("wheel", onWheel, { passive: false });
    return () => box.removeEventListener("wheel", onWheel);
  }, [zoomAt]);

  const drawn = size && placed(size, scale, room);
  return (
    <div
      ref={viewport}
      className="stage"
      data-panning={isPanning || undefined}
      data-pixels={scale >= 3 || undefined}
      data-loaded={size ? src : undefined}
    >
      {!size && <p className="stage-waiting">Reading the picture…</p>}
      <div className="stage-room">
        <div className="stage-picture" style={drawn ?? {}}>
          <div ref={host} className="stage-host" />
          {boxes.map(({ id, label, rectangle }) => (
            <span
              key={id}
              className="stage-label"
              aria-hidden
              data-selected={id === stage.selected || undefined}
              style={{
                left: rectangle.left * scale,
                top: rectangle.top * scale,
                maxWidth: Math.max(rectangle.width * scale, 48),
                background: labelColour(label),
              }}
            >
              {label || "no label"}
            </span>
          ))}
        </div>
      </div>
    </div>
  );
}

/**
 * Where the picture is drawn: in the middle, on whole pixels of the page, since Annotorious divides by rounded lengths.
 */
function placed({ width, height }: Size, scale: number, room: Size) {
  const size = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  return {
    ...size,
    marginLeft: Math.max(0, Math.floor((room.width - size.width) / 2)),
    marginTop: Math.max(0, Math.floor((room.height - size.height) / 2)),
  };
}

/** The space there is for the picture. */
function useRoom(viewport: RefObject<HTMLDivElement | null>): Size {
  const [room, setRoom] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const box = viewport.current;
    if (!box) return undefined;
    const measure = () => {
      // With scrollbars, there would be less room after zooming in than before.
      const next = { width: box.offsetWidth, height: box.offsetHeight };
      setRoom((last) => (last.width === next.width && last.height === next.height ? last : next));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [viewport]);
  return room;
}

/** Annotorious over the picture, kept the same as `boxes` and `selected`. */
function useAnnotator(stage: Stage, size: Size | null, setSize: (size: Size | null) => void) {
  const host = useRef<HTMLDivElement>(null);
  const annotator = useRef<ImageAnnotator | null>(null);
  const latest = useRef(stage);
  useLayoutEffect(() => {
    latest.current = stage;
  });
  const { src, description } = stage;

  useEffect(() => {
    const place = host.current;
    if (!place) return undefined;
    setSize(null);
    const image = new Image();
    image.alt = description;
    image.decoding = "async";
    image.draggable = false;
    const wrapper = document.createElement("div");
    wrapper.append(image);
    place.append(wrapper);
    let destroy = () => {};
    image.addEventListener("error", () => latest.current.onError());
    image.addEventListener("load", () => {
      const upright = { width: image.naturalWidth, height: image.naturalHeight };
      const made = createImageAnnotator(image, { theme: "light", drawingMode: "drag" });
      const ignore = listen(made, latest);
      const layer = made.element.querySelector("svg");
      // Its rounded lengths need not be in the picture's ratio.
      layer?.setAttribute("preserveAspectRatio", "none");
      const unhide = layer ? hide(layer) : () => {};
      annotator.current = made;
      destroy = () => {
        ignore();
        unhide();
        made.destroy();
        annotator.current = null;
      };
      setSize(upright);
      latest.current.onLoad(upright);
    });
    image.src = src;
    return () => {
      destroy();
      // A picture that is left early is not read to its end.
      image.removeAttribute("src");
      wrapper.remove();
    };
    // The description is read once, with its picture.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [src, setSize]);

  useEffect(() => {
    if (annotator.current) show(annotator.current, stage.boxes);
  }, [stage.boxes, size]);

  useEffect(() => {
    const made = annotator.current;
    if (!made) return;
    const shown = made.state.selection.selected[0]?.id ?? "";
    if (shown === stage.selected) return;
    if (stage.selected && made.state.store.getAnnotation(stage.selected))
      made.setSelected(stage.selected, true);
    else made.cancelSelected();
  }, [stage.selected, stage.boxes, size]);

  useEffect(() => {
    annotator.current?.setDrawingEnabled(stage.canDraw);
    annotator.current?.setUserSelectAction(stage.canDraw ? UserSelectAction.EDIT : UserSelectAction.SELECT);
  }, [stage.canDraw, size]);

  useColours(stage.boxes, stage.selected);
  return host;
}

/**
 * Keep screen readers and Tab out of Annotorious' layer, whose handles have no names: the list of boxes has the same,
 * in words and numbers. Returns how to stop.
 */
function hide(layer: SVGElement): () => void {
  const leave = () => {
    for (const each of [layer, ...layer.querySelectorAll('[tabindex="0"]')])
      each.setAttribute("tabindex", "-1");
  };
  layer.setAttribute("aria-hidden", "true");
  leave();
  const observer = new MutationObserver(leave);
  observer.observe(layer, { childList: true, subtree: true });
  return () => observer.disconnect();
}

/** Hand on what a person does with the pointer. Returns how to stop. */
function listen(made: ImageAnnotator, latest: RefObject<Stage>): () => void {
  const { store } = made.state;
  let changed = "";
  const observe = ({ origin, changes }: Parameters<Parameters<typeof store.observe>[0]>[0]) => {
    if (origin !== Origin.LOCAL) return;
    for (const created of changes.created ?? [])
      latest.current.onDraw(created.id, rectangleOf(created as ImageAnnotation));
    for (const { newValue } of changes.updated ?? []) {
      changed = newValue.id;
      latest.current.onChange(changed, rectangleOf(newValue as ImageAnnotation), false);
    }
  };
  const release = () => {
    const annotation = changed ? store.getAnnotation(changed) : undefined;
    changed = "";
    if (annotation) latest.current.onChange(annotation.id, rectangleOf(annotation as ImageAnnotation), true);
  };
  // While a box is chosen Annotorious draws none; whoever drags beside it means a new one.
  const leave = ({ button, target }: PointerEvent) => {
    if (button === 0 && target instanceof Element && !target.closest(".a9s-annotation.selected"))
      made.cancelSelected();
  };
  const select = (selected: ImageAnnotation[]) => latest.current.onSelect(selected[0]?.id ?? "");
  store.observe(observe);
  made.on("selectionChanged", select);
  window.addEventListener("pointerup", release);
  made.element.addEventListener("pointerdown", leave, true);
  return () => {
    store.unobserve(observe);
    made.off("selectionChanged", select);
    window.removeEventListener("pointerup", release);
  };
}

function rectangleOf({ target }: ImageAnnotation): Rectangle {
  const { x, y, w, h } = target.selector.geometry as RectangleGeometry;
  return { left: x, top: y, width: w, height: h };
}

/** Make the annotator's boxes those that are given. */
function show(made: ImageAnnotator, boxes: readonly SeenBox[]): void {
  const { store } = made.state;
  const wanted = new Set(boxes.map(({ id }) => id));
  const gone = store.all().filter(({ id }) => !wanted.has(id));
  if (gone.length > 0) store.bulkDeleteAnnotations(gone, Origin.REMOTE);
  for (const { id, rectangle } of boxes) {
    const { left: x, top: y, width: w, height: h } = rectangle;
    const geometry = { x, y, w, h, rot: 0, bounds: { minX: x, minY: y, maxX: x + w, maxY: y + h } };
    const selector = { type: ShapeType.RECTANGLE, geometry };
    const shown = store.getAnnotation(id);
    if (!shown) {
      store.addAnnotation({ id, bodies: [], target: { annotation: id, selector } }, Origin.REMOTE);
    } else if (!isSame(rectangleOf(shown as ImageAnnotation), rectangle)) {
      store.updateTarget({ ...shown.target, selector }, Origin.REMOTE);
    }
  }
}

function isSame(a: Rectangle, b: Rectangle): boolean {
  return a.left === b.left && a.top === b.top && a.width === b.width && a.height === b.height;
}

/** Colours of boxes: as rules of a style sheet, since the content security policy refuses style attributes. */
function useColours(boxes: readonly SeenBox[], selected: string): void {
  useEffect(() => {
    const sheet = new CSSStyleSheet();
    for (const { id, label } of boxes) {
      const place =
        id === selected ? ".a9s-annotation.selected .a9s-inner" : `[data-id="${CSS.escape(id)}"] .a9s-inner`;
      sheet.insertRule(`.stage .a9s-annotationlayer ${place} { stroke: ${labelColour(label)}; }`);
    }
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    };
  }, [boxes, selected]);
}

/** Zooming that keeps the place below the pointer where it is. */
function useAnchoredZoom(
  viewport: RefObject<HTMLDivElement | null>,
  host: RefObject<HTMLDivElement | null>,
  scale: number,
  onZoom: (zoom: Zoom) => void,
) {
  const anchor = useRef<{ x: number; y: number; atX: number; atY: number } | null>(null);
  const last = useRef(scale);

  useLayoutEffect(() => {
    const box = viewport.current;
    const picture = host.current;
    if (!box || !picture || last.current === scale) return;
    const seen = box.getBoundingClientRect();
    // Without a pointer, such as by key, the middle stays.
    const { x, y, atX, atY } = anchor.current ?? {
      x: 0.5,
      y: 0.5,
      atX: seen.left + seen.width / 2,
      atY: seen.top + seen.height / 2,
    };
    anchor.current = null;
    last.current = scale;
    const now = picture.getBoundingClientRect();
    box.scrollBy(now.left + x * now.width - atX, now.top + y * now.height - atY);
  }, [viewport, host, scale]);

  return useCallback(
    (atX: number, atY: number, direction: 1 | -1) => {
      const picture = host.current?.getBoundingClientRect();
      if (!picture || picture.width === 0) return;
      anchor.current = {
        x: (atX - picture.left) / picture.width,
        y: (atY - picture.top) / picture.height,
        atX,
        atY,
      };
      onZoom(nextZoom(scale, direction));
    },
    [host, scale, onZoom],
  );
}

/** Drag with the middle button, or with the space bar held, to move the picture. */
function usePanning(viewport: RefObject<HTMLDivElement | null>): boolean {
  const [isReady, setReady] = useState(false);
  useEffect(() => {
    const box = viewport.current;
    if (!box) return undefined;
    let isSpace = false;
    let from: { x: number; y: number; left: number; top: number } | null = null;
    const onKey = (event: KeyboardEvent) => {
      if (
        event.key !== " " ||
        (event.target as Element).closest(
          "input, button, select, textarea, a, summary, [role]:not([role=application])",
        )
      )
        return;
      event.preventDefault();
      isSpace = event.type === "keydown";
      setReady(isSpace);
    };
    const onDown = (event: PointerEvent) => {
      // Annotorious would draw with any button.
      if (event.button !== 0) event.stopPropagation();
      if (event.button !== 1 && !(event.button === 0 && isSpace)) return;
      event.preventDefault();
      event.stopPropagation();
      from = { x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop };
      box.setPointerCapture(event.pointerId);
      setReady(true);
    };
    const onMove = (event: PointerEvent) => {
      if (!from) return;
      event.stopPropagation();
      box.scrollTo(from.left - (event.clientX - from.x), from.top - (event.clientY - from.y));
    };
    const onUp = (event: PointerEvent) => {
      if (!from) return;
      event.stopPropagation();
      from = null;
      setReady(isSpace);
    };
    const onBlur = () => {
      isSpace = false;
      from = null;
      setReady(false);
    };
    window.addEventListener("keydown", onKey);
    window.addEventListener("keyup", onKey);
    window.addEventListener("blur", onBlur);
    box.addEventListener("pointerdown", onDown, true);
    box.addEventListener("pointermove", onMove, true);
    box.addEventListener("pointerup", onUp, true);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener("keyup", onKey);
      window.removeEventListener("blur", onBlur);
      box.removeEventListener("pointerdown", onDown, true);
      box.removeEventListener("pointermove", onMove, true);
      box.removeEventListener("pointerup", onUp, true);
    };
  }, [viewport]);
  return isReady;
}
