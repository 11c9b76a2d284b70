import { Badge, type Tone } from "../shell/Badge";
import "./count-toggles.css";

/** Counts by a value, each of which narrows down what is listed below. */
export function CountToggles({
  label,
  counts,
  chosen,
  meanings = {},
  onToggle,
}: {
  label: string;
  counts: readonly { value: string; count: number; tone: Tone }[];
  chosen: readonly string[];
  meanings?: Readonly<Record<string, string>>;
  onToggle: (value: string) => void;
}) {
  return (
    <ul className="count-toggles" aria-label={label}>
      {counts.map(({ value, count, tone }) => (
        <li key={value}>
          <button
            type="button"
            aria-pressed={chosen.includes(value)}
            title={meanings[value] ?? ""}
            onClick={() => onToggle(value)}
          >
            <strong>{count.toLocaleString()}</strong>
            <Badge tone={tone}>{value}</Badge>
          </button>
        </li>
      ))}
    </ul>
  );
}
