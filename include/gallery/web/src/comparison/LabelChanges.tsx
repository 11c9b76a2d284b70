import { useState } from "react";
import type { LabelChange } from "../api/messages";
import { counted } from "../shell/Badge";
import { Name } from "../shell/Name";

/** Images by label, before and after; the largest difference first. */
export function LabelChanges({ labels }: { labels: readonly LabelChange[] }) {
  const [showsAll, setShowsAll] = useState(false);
  const changed = labels.filter(({ before, after }) => before !== after);
  const shown = showsAll ? labels : changed;
  const most = Math.max(1, ...changed.map(({ before, after }) => Math.abs(after - before)));
  return (
    <details className="label-table" open={changed.length > 0 && changed.length <= 8}>
      <summary>{counted(changed.length, "label changes its count", "labels change their counts")}</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Label</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
            <th scope="col" colSpan={2}>
              Difference
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ label, before, after }) => {
            const difference = after - before;
            return (
              <tr key={label}>
                <th scope="row">
                  <Name>{label}</Name>
                  {before === 0 && <small>new</small>}
                  {after === 0 && <small>gone</small>}
                </th>
                <td>{before.toLocaleString()}</td>
                <td>{after.toLocaleString()}</td>
                <td>
                  {difference > 0 && "+"}
                  {difference.toLocaleString()}
                </td>
                <td className="label-table-bar" aria-hidden>
                  <span
                    data-way={difference < 0 ? "less" : "more"}
                    style={{ width: `${(Math.abs(difference) / most) * 50}%` }}
                  />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {labels.length > changed.length && (
        <button type="button" className="label-table-all" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show only what changes" : `Show all ${counted(labels.length, "label")}`}
        </button>
      )}
    </details>
  );
}
