/** What the page has to say by the way: in a corner to see, and aloud for screen readers. */

export type Notice = { id: number; text: string; tone: "good" | "bad" | "neutral" };
type State = { notices: readonly Notice[]; spoken: string };

let state: State = { notices: [], spoken: "" };
let last = 0;
const listeners = new Set<() => void>();

function become(next: State): void {
  state = next;
  for (const listener of listeners) listener();
}

export const noticesNow = (): State => state;

export function onNotices(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Say something that needs no answer; bad news stays until it is closed. */
export function notify(text: string, tone: Notice["tone"] = "neutral"): void {
  last += 1;
  const notice = { id: last, text, tone };
  become({ notices: [...state.notices.slice(-3), notice], spoken: text });
  if (tone !== "bad") window.setTimeout(() => dismiss(notice.id), 6_000);
}

export function dismiss(id: number): void {
  become({ ...state, notices: state.notices.filter((notice) => notice.id !== id) });
}

/** Say something to screen readers only, such as how many images a filter leaves. */
export function announce(text: string): void {
  if (text !== state.spoken) become({ ...state, spoken: text });
}
