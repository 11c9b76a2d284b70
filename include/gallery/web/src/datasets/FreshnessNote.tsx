import type { Freshness } from "../api/messages";
import { Badge } from "../shell/Badge";
import { IconButton } from "../shell/Button";
import { Progress } from "../shell/Progress";
import { Time } from "../shell/Time";
import "./freshness.css";

type FreshnessNoteProps = { freshness: Freshness; isAsking: boolean; onAgain: () => void };

/** How well what is shown is known to be what Rekognition has. */
export function FreshnessNote({ freshness, isAsking, onAgain }: FreshnessNoteProps) {
  const { state, read, total, entries_at, checked_at, problem } = freshness;
  return (
    <div className="freshness">
      {state === "current" && (
        <Badge tone="good" icon="check">
          as in Rekognition
          {checked_at && (
            <>
              , <Time at={checked_at} />
            </>
          )}
        </Badge>
      )}
      {state === "reading" && (
        <span className="freshness-reading">
          <span>
            Reading entries: {read.toLocaleString()} of {total.toLocaleString()}
          </span>
          <Progress share={total ? read / total : null} label="Reading entries" />
        </span>
      )}
      {state === "behind" && (
        <Badge tone="warning" icon="clock" title="The dataset has changed since">
          as of {entries_at ? <Time at={entries_at} /> : "an earlier time"}
        </Badge>
      )}
      {state === "unknown" && (
        <Badge tone="warning" icon="error" title={problem ? `${problem.message} ${problem.next_step}` : ""}>
          as of the snapshot
        </Badge>
      )}
      <IconButton
        icon="refresh"
        label="Look again whether the dataset has changed"
        className={isAsking ? "freshness-asking" : ""}
        disabled={isAsking || state === "reading"}
        onClick={onAgain}
      />
    </div>
  );
}
