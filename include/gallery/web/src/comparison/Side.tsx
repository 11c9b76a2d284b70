import { useState } from "react";
import { thumbnailAddress, type DatasetName } from "../api/queries";
import { counted } from "../shell/Badge";
import { Name } from "../shell/Name";

/** One image in one of the snapshots: its picture, where there still is one, and its labels. */
export function Side({
  name,
  id,
  snapshot,
  version,
  labels,
  others,
  boxes,
  kind,
}: {
  name: DatasetName;
  id: string;
  snapshot: string;
  version: string;
  labels: readonly string[] | null;
  /** Of the other snapshot, to mark what is different. */
  others: readonly string[];
  boxes: number;
  kind: "before" | "after";
}) {
  const [isMissing, setMissing] = useState(false);
  if (labels === null) {
    return <span className="compare-none">{kind === "before" ? "not there yet" : "not there any more"}</span>;
  }
  return (
    <span className="compare-side">
      {isMissing || !snapshot ? (
        <span className="compare-no-picture">no picture</span>
      ) : (
        <img
          src={thumbnailAddress(name, { id, version }, snapshot)}
          alt=""
          loading="lazy"
          decoding="async"
          onError={() => setMissing(true)}
        />
      )}
      <span className="compare-labels">
        {labels.length === 0 && <em>no label</em>}
        {labels.map((label) => (
          <span key={label} data-kind={others.includes(label) ? undefined : kind}>
            <Name>{label}</Name>
          </span>
        ))}
        {boxes > 0 && <small>{counted(boxes, "box", "boxes")}</small>}
      </span>
    </span>
  );
}
