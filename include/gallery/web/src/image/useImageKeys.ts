import { useEffect, useRef } from "react";

export type ImageKeys = {
  next: () => void;
  previous: () => void;
  zoomIn: () => void;
  zoomOut: () => void;
  fit: () => void;
  full: () => void;
  undo: () => void;
  redo: () => void;
  choose: (step: 1 | -1) => void;
  leave: () => void;
  help: () => void;
  draw?: () => void;
  copy?: () => void;
  remove?: () => void;
  label?: () => void;
  /** Only while a box is chosen; otherwise the arrows go from image to image. */
  nudge?: (dx: number, dy: number, isResize: boolean) => void;
};

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The keys of the image page, wherever the focus is but in a field or a dialog. */
export function useImageKeys(keys: ImageKeys): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isCommand = event.ctrlKey || event.metaKey;
      // Annotorious would undo in the picture alone, even from within a field.
      if (isCommand && /^[zy]$/i.test(event.key)) event.stopImmediatePropagation();
      if (event.target instanceof Element && event.target.closest("input, textarea, select, dialog")) return;
      const act = actionOf(event, latest.current);
      if (!act) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey, true);
    return () => window.removeEventListener("keydown", onKey, true);
  }, []);
}

function actionOf(event: KeyboardEvent, keys: ImageKeys): (() => void) | undefined {
  const { key, shiftKey, altKey } = event;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return keys.undo;
    return key === "y" || key === "Z" ? keys.redo : undefined;
  }
  const arrow = ARROWS[key];
  if (arrow) {
    const [dx, dy] = arrow;
    const step = shiftKey ? 10 : 1;
    const { nudge } = keys;
    if (nudge) return () => nudge(dx * step, dy * step, altKey);
    if (altKey) return undefined;
    return { ArrowLeft: keys.previous, ArrowRight: keys.next }[key];
  }
  if (altKey) return undefined;
  const actions: Record<string, (() => void) | undefined> = {
    j: keys.next,
    k: keys.previous,
    "+": keys.zoomIn,
    "=": keys.zoomIn,
    "-": keys.zoomOut,
    "0": keys.fit,
    "1": keys.full,
    n: keys.draw,
    c: keys.copy,
    l: keys.label,
    Delete: keys.remove,
    Backspace: keys.remove,
    "]": () => keys.choose(1),
    "[": () => keys.choose(-1),
    Escape: keys.leave,
    "?": keys.help,
  };
  return actions[key];
}
