import { useCallback, useRef, useState } from "react";
import type { Limits } from "../api/messages";
import { counted } from "../shell/Badge";
import { notify } from "../shell/notices";
import { asProblem } from "../shell/ProblemNote";
import { changed, toSend, withChosen, without, type Chosen, type Item } from "./queue";
import { sendImage, startUpload } from "./sending";

/** Images under way at a time. */
const AT_ONCE = 3;

/** The images of one upload, from being chosen to being on the server. */
export function useUpload(limits: Limits) {
  const [queue, setQueue] = useState<Item[]>([]);
  const [uploadId, setUploadId] = useState("");
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const latest = useRef(queue);
  const change = useCallback((next: (queue: Item[]) => Item[]) => {
    latest.current = next(latest.current);
    setQueue(latest.current);
  }, []);

  const choose = (chosen: readonly Chosen[]) => {
    const { queue: next, left, twice } = withChosen(latest.current, chosen, limits);
    change(() => next);
    if (twice > 0) notify(`${counted(twice, "image is", "images are")} in the list already.`);
    if (left > 0)
      notify(`${counted(left, "image")} left out: an upload has at most ${limits.upload_images}.`, "bad");
  };

  const sendAll = async (items: readonly Item[]) => {
    setSending(true);
    setError(null);
    try {
      const id = uploadId || (await startUpload()).upload_id;
      setUploadId(id);
      const waiting = [...items];
      const work = async () => {
        for (let item = waiting.shift(); item; item = waiting.shift()) {
          const { number } = item;
          change((now) => changed(now, number, { state: "sending", share: 0, problem: null }));
          try {
            // Each waits for the one before; several work side by side.
            // oxlint-disable-next-line no-await-in-loop
            await sendImage(id, item, (share) => change((now) => changed(now, number, { share })));
            change((now) => changed(now, number, { state: "sent", share: 1 }));
          } catch (fault) {
            change((now) => changed(now, number, { state: "failed", problem: asProblem(fault) }));
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } catch (fault) {
      setError(fault);
    } finally {
      setSending(false);
    }
  };

  return {
    queue,
    uploadId,
    isSending,
    error,
    choose,
    send: () => void sendAll(toSend(latest.current)),
    retry: (item: Item) => void sendAll([item]),
    remove: (number: number) => change((now) => without(now, number)),
    label: (number: number, folder: string) => change((now) => changed(now, number, { folder })),
    labelAll: (folder: string) =>
      change((now) => now.map((item) => (item.state === "chosen" ? { ...item, folder } : item))),
  };
}
