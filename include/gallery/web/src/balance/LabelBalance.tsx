import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { LabelCount, View } from "../api/messages";
import type { DatasetName } from "../api/queries";
import { Badge, counted } from "../shell/Badge";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { FEW_IMAGES, imbalance, sortedLabels, type LabelSort } from "./plot";

/** Images by label, as bars in a table, so that it can be read aloud as well. */
export function LabelBalance({
  name,
  view,
  labels,
  labelled,
  unlabelled,
  other,
}: {
  name: DatasetName;
  view: View;
  labels: readonly LabelCount[];
  /** Null where the view narrows it down. */
  labelled: number | null;
  unlabelled: number;
  /** The project's other dataset, where it has one. */
  other: { type: "train" | "test"; labels: readonly LabelCount[] } | undefined;
}) {
  const [sort, setSort] = useState<LabelSort>("images");
  const [isDescending, setDescending] = useState(true);
  const others = new Map(other?.labels.map(({ label, images }) => [label, images]));
  // Each dataset's bars are by its own largest label: what counts is whether both are spread alike.
  const most = Math.max(1, ...labels.map(({ images }) => images));
  const mostOthers = Math.max(1, ...others.values());
  const few = labels.filter(({ images }) => images < FEW_IMAGES);
  const ratio = imbalance(labels);
  const sortBy = (next: LabelSort) => {
    setDescending(next === sort ? !isDescending : next !== "label");
    setSort(next);
  };
  const heading = (title: string, of: LabelSort) => (
    <th scope="col" aria-sort={sort === of ? (isDescending ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => sortBy(of)}>
        {title}
        {sort === of && <Icon name={isDescending ? "down" : "up"} size={13} />}
      </button>
    </th>
  );

  return (
    <section className="balance-labels">
      <header>
        <h2>Labels</h2>
        <p>
          {counted(labels.length, "label")}
          {ratio !== null && ratio >= 2 && (
            <>, the largest with {Math.round(ratio).toLocaleString()} times the images of the smallest</>
          )}
        </p>
      </header>
      {labelled !== null && <LabelledShare labelled={labelled} unlabelled={unlabelled} />}
      {few.length > 0 && (
        <p className="balance-few">
          <Icon name="error" />
          <span>
            {counted(few.length, "label has", "labels have")} fewer than {FEW_IMAGES} images. AWS advises at
            least {FEW_IMAGES} for each label to train with.
          </span>
        </p>
      )}
      <table>
        <thead>
          <tr>
            {heading("Label", "label")}
            {heading("Images", "images")}
            <th scope="col" className="balance-bars">
              <span className="balance-key" data-of="this" /> {name.type}
              {other && (
                <>
                  <span className="balance-key" data-of="other" /> {other.type}
                </>
              )}
            </th>
            {other && <th scope="col">In {other.type}</th>}
            {heading("With boxes", "boxes")}
          </tr>
        </thead>
        <tbody>
          {sortedLabels(labels, sort, isDescending).map(({ label, images, boxed_images }) => {
            const elsewhere = others.get(label) ?? 0;
            return (
              <tr key={label}>
                <th scope="row">
                  <Link
                    to="/datasets/$project/$type"
                    params={name}
                    search={view.snapshot ? { label: [label], snapshot: view.snapshot } : { label: [label] }}
                  >
                    <Name>{label}</Name>
                  </Link>
                  {images < FEW_IMAGES && <Badge tone="warning">few</Badge>}
                  {other && elsewhere === 0 && <Badge>not in {other.type}</Badge>}
                </th>
                <td>{images.toLocaleString()}</td>
                <td className="balance-bars" aria-hidden>
                  <span data-of="this" style={{ width: `${(images / most) * 100}%` }} />
                  {other && <span data-of="other" style={{ width: `${(elsewhere / mostOthers) * 100}%` }} />}
                </td>
                {other && <td>{elsewhere.toLocaleString()}</td>}
                <td>{boxed_images.toLocaleString()}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function LabelledShare({ labelled, unlabelled }: { labelled: number; unlabelled: number }) {
  const total = Math.max(1, labelled + unlabelled);
  return (
    <div className="balance-share">
      <div aria-hidden>
        <span style={{ width: `${(labelled / total) * 100}%` }} />
      </div>
      <p>
        <strong>{labelled.toLocaleString()}</strong> labelled, <strong>{unlabelled.toLocaleString()}</strong>{" "}
        without a label
      </p>
    </div>
  );
}
