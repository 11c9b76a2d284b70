import { useEffect, useRef, useState } from "react";
import { Icon } from "../shell/Icon";

/** Tiles that are scrolled past ask for nothing. */
const REST_MS = 90;
/** A server that is busy says so; the picture is asked for again after a while. */
const AGAIN_MS = [1_500, 4_000, 10_000];

/** Addresses whose pictures the browser has; they are shown without a wait. */
const shown = new Set<string>();
const MAX_SHOWN = 20_000;

/** A picture that is loaded once it has been in sight for a moment, and given up when it goes out of sight. */
export function Thumbnail({ address }: { address: string }) {
  const place = useRef<HTMLImageElement>(null);
  const [state, setState] = useState<"waiting" | "shown" | "missing">("waiting");
  useEffect(() => {
    const image = place.current;
    if (!image) return undefined;
    let timer = 0;
    let failures = 0;
    const load = () => {
      image.src = address;
    };
    const onLoad = () => {
      if (shown.size >= MAX_SHOWN) shown.clear();
      shown.add(address);
      setState("shown");
    };
    const onError = () => {
      const wait = AGAIN_MS[failures];
      failures += 1;
      if (wait === undefined) setState("missing");
      else timer = window.setTimeout(load, wait);
    };
    image.addEventListener("load", onLoad);
    image.addEventListener("error", onError);
    if (shown.has(address)) load();
    else timer = window.setTimeout(load, REST_MS);
    return () => {
      window.clearTimeout(timer);
      image.removeEventListener("load", onLoad);
      image.removeEventListener("error", onError);
      // Ends the request, if it is still under way.
      if (!image.complete) image.removeAttribute("src");
    };
  }, [address]);
  return (
    <>
      <img ref={place} className={`thumbnail thumbnail-${state}`} alt="" decoding="async" draggable={false} />
      {state === "missing" && (
        <span className="thumbnail-none">
          <Icon name="dataset" size={22} />
          no preview
        </span>
      )}
    </>
  );
}
