import type { Bin } from "../api/messages";
import { counted } from "../shell/Badge";
import { LEAST_SIDE, MOST_ASPECT, MOST_SIDE, reach, strength } from "./plot";

const SIDE = 460;
const LEFT = 52;
const BOTTOM = 40;
const TOP = 12;
const TICKS = [0, 1024, 2048, 3072, 4096, 6144, 8192];

/** How many images have which width and height, with what Rekognition reads. */
export function SizePlot({ bins, unknown }: { bins: readonly Bin[]; unknown: number }) {
  const most = Math.max(1, ...bins.map(({ images }) => images));
  const end = reach(bins);
  const x = (pixels: number) => LEFT + (pixels / end) * SIDE;
  const y = (pixels: number) => TOP + SIDE - (pixels / end) * SIDE;
  const ticks = TICKS.filter((tick) => tick <= end);
  const steep = MOST_SIDE / MOST_ASPECT;
  const limits = [
    [LEAST_SIDE, LEAST_SIDE * MOST_ASPECT],
    [steep, MOST_SIDE],
    [MOST_SIDE, MOST_SIDE],
    [MOST_SIDE, steep],
    [LEAST_SIDE * MOST_ASPECT, LEAST_SIDE],
    [LEAST_SIDE, LEAST_SIDE],
  ] as const;
  return (
    <section className="balance-sizes">
      <header>
        <h2>Sizes</h2>
        <p>
          Width and height in stored pixels.
          {unknown > 0 && ` The size of ${counted(unknown, "image")} is not known.`}
        </p>
      </header>
      <svg
        viewBox={`0 0 ${LEFT + SIDE + 12} ${TOP + SIDE + BOTTOM}`}
        role="img"
        aria-label="Images by width and height; the table below has the numbers"
      >
        {ticks.map((tick) => (
          <g key={tick} className="plot-tick">
            <line x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(end)} />
            <line x1={x(0)} x2={x(end)} y1={y(tick)} y2={y(tick)} />
            <text x={x(tick)} y={y(0) + 16} textAnchor="middle">
              {tick}
            </text>
            <text x={x(0) - 8} y={y(tick) + 4} textAnchor="end">
              {tick}
            </text>
          </g>
        ))}
        {bins.map((bin) => (
          <rect
            key={`${bin.width_from} ${bin.height_from}`}
            className="plot-bin"
            x={x(bin.width_from)}
            y={y(bin.height_until)}
            width={Math.max(2, x(bin.width_until) - x(bin.width_from) - 0.5)}
            height={Math.max(2, y(bin.height_from) - y(bin.height_until) - 0.5)}
            fillOpacity={strength(bin.images, most)}
          >
            <title>{textOf(bin)}</title>
          </rect>
        ))}
        <polygon
          className="plot-limits"
          points={limits.map(([width, height]) => `${x(width)},${y(height)}`).join(" ")}
        />
        <text className="plot-name" x={x(end)} y={y(0) + 34} textAnchor="end">
          width
        </text>
        <text className="plot-name" x={x(0) - 8} y={TOP + 2} textAnchor="end">
          height
        </text>
      </svg>
      <p className="balance-legend">
        <span className="plot-key" /> Rekognition reads images inside of this line: {LEAST_SIDE} to{" "}
        {MOST_SIDE} pixels a side, at most {MOST_ASPECT} times as long as wide. A stronger colour means more
        images, by orders of magnitude.
      </p>
      <details>
        <summary>As a table</summary>
        <div className="balance-bins">
          <table>
            <thead>
              <tr>
                <th scope="col">Width</th>
                <th scope="col">Height</th>
                <th scope="col">Images</th>
              </tr>
            </thead>
            <tbody>
              {bins
                .toSorted((a, b) => b.images - a.images)
                .map((bin) => (
                  <tr key={`${bin.width_from} ${bin.height_from}`}>
                    <td>{`${bin.width_from}–${bin.width_until - 1}`}</td>
                    <td>{`${bin.height_from}–${bin.height_until - 1}`}</td>
                    <td>{bin.images.toLocaleString()}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  );
}

function textOf(bin: Bin): string {
  const { width_from, width_until, height_from, height_until, images } = bin;
  return `${width_from}–${width_until - 1} × ${height_from}–${height_until - 1} px: ${counted(images, "image")}`;
}
