import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { DatasetCard } from "../api/messages";
import { AirflowLink, runPath } from "../shell/AirflowLink";
import { Badge, Count } from "../shell/Badge";
import { Icon } from "../shell/Icon";
import { Time, timeOf } from "../shell/Time";
import { statusOf, titleOf } from "./status";
import "./dataset-tile.css";

/** One dataset in the list of projects. */
export function DatasetTile({ card }: { card: DatasetCard }) {
  const { text, tone } = statusOf(card.status);
  const params = { project: card.project, type: card.dataset_type };
  const share = card.images && card.labelled !== null ? card.labelled / card.images : null;
  return (
    <div className="dataset-tile">
      <div className="dataset-tile-head">
        <h3>
          <Link to="/datasets/$project/$type" params={params} className="dataset-tile-link">
            {titleOf[card.dataset_type]}
          </Link>
        </h3>
        <Badge tone={tone} title={card.status_message || card.status}>
          {text}
        </Badge>
      </div>
      <p className="dataset-tile-images">
        <strong>
          <Count value={card.images} />
        </strong>{" "}
        {card.images === 1 ? "image" : "images"}
      </p>
      {share !== null && (
        <div className="dataset-tile-share">
          <div className="share" aria-hidden="true">
            <div style={{ width: `${share * 100}%` }} />
          </div>
          <span>{Math.floor(share * 100)} % labelled</span>
        </div>
      )}
      <dl className="dataset-tile-facts">
        <dt>Labels</dt>
        <dd>
          <Count value={card.labels} />
        </dd>
        <dt>Errors</dt>
        <dd className={card.errors ? "is-bad" : ""}>
          {card.errors ? (
            <Link to="/datasets/$project/$type" params={params} search={{ error: ["*"] }}>
              <Count value={card.errors} />
            </Link>
          ) : (
            <Count value={card.errors} />
          )}
        </dd>
        <dt>Snapshot</dt>
        <dd>
          {card.snapshot_id ? (
            <>
              <Time at={timeOf(card.snapshot_id)} />
              {!card.is_registered && " · not registered"}
            </>
          ) : (
            "none yet"
          )}
        </dd>
        <dt>Changed</dt>
        <dd>{card.updated_at ? <Time at={card.updated_at} /> : "–"}</dd>
        {card.last_run && (
          <>
            <dt>Last run</dt>
            <dd>
              <AirflowLink path={runPath(card.last_run)}>{card.last_run.dag_id}</AirflowLink>
            </dd>
          </>
        )}
      </dl>
      {card.working && (
        <p className="dataset-tile-working">
          <Icon name="refresh" /> A run works on it now:{" "}
          <AirflowLink path={runPath(card.working)}>{card.working.dag_id}</AirflowLink>
        </p>
      )}
      {card.is_saving && (
        <p className="dataset-tile-working">
          <Icon name="refresh" /> Somebody saves edits now
        </p>
      )}
    </div>
  );
}

export function NoDataset({ type, children }: { type: "train" | "test"; children: ReactNode }) {
  return (
    <div className="dataset-tile dataset-tile-none">
      <h3>{titleOf[type]}</h3>
      <p>There is none yet.</p>
      {children}
    </div>
  );
}
