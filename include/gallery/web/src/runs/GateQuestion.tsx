import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { AIRFLOW } from "../api/client";
import type { HeldChange, HeldImage, Risk, RunDataset, RunPage } from "../api/messages";
import { runQuery } from "../api/queries";
import { changeTone } from "../facts/texts";
import { Badge, counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { Icon } from "../shell/Icon";
import { Key, Name } from "../shell/Name";
import { notify } from "../shell/notices";
import { ProblemNote } from "../shell/ProblemNote";
import { answerGate, consequence, countsText, isAnswered } from "./answers";

type Gate = { run: RunPage; dataset: RunDataset; held: HeldChange };

/** What a person is asked before the dataset is changed: the risks, pictures, and the answers. */
export function GateQuestion({ run, dataset, held }: Gate) {
  const [chosen, setChosen] = useState<string | null>(null);
  return (
    <div className="gate">
      <div className="gate-head">
        <div>
          <h3>
            <Name>{held.subject}</Name>
          </h3>
          <p>{countsText(held.counts) || "No image changes."}</p>
        </div>
        <div className="gate-answers">
          {held.options.toReversed().map((option) => (
            <Button
              key={option}
              look={option === "Approve" ? "primary" : option === "Reject" ? "danger" : "plain"}
              onClick={() => setChosen(option)}
            >
              {option}…
            </Button>
          ))}
        </div>
      </div>
      <Labels title="New labels" labels={held.labels_appeared} kind="after" />
      <Labels title="Labels that are gone" labels={held.labels_vanished} kind="before" />
      {held.risks.length > 0 && (
        <>
          <h4>{counted(held.risks.length, "risk")}</h4>
          <ul className="gate-risks">
            {held.risks.map((risk) => (
              <RiskItem key={risk.code} risk={risk} />
            ))}
          </ul>
        </>
      )}
      {held.images.length > 0 && (
        <>
          <h4>Examples</h4>
          <ul className="gate-images">
            {held.images.map((image) => (
              <Example key={`${image.change} ${image.key}`} image={image} />
            ))}
          </ul>
        </>
      )}
      {chosen !== null && (
        <AnswerDialog
          run={run}
          dataset={dataset}
          held={held}
          option={chosen}
          onClose={() => setChosen(null)}
        />
      )}
    </div>
  );
}

function AnswerDialog({
  run,
  dataset,
  held,
  option,
  onClose,
}: Gate & { option: string; onClose: () => void }) {
  const queries = useQueryClient();
  const answer = useMutation({
    mutationFn: () => answerGate(run, held.task_id, option),
    onSettled: () => queries.invalidateQueries(runQuery(run.dag_id, run.run_id)),
    onSuccess: () => {
      notify(option === "Approve" ? "Approved: the run goes on." : `Answered: ${option}.`, "good");
      onClose();
    },
  });
  return (
    <Dialog
      title={`${option}: ${held.subject}`}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look={option === "Reject" ? "danger" : "primary"}
            disabled={answer.isPending || isAnswered(answer.error)}
            onClick={() => answer.mutate()}
          >
            {answer.isPending ? "Answering…" : option}
          </Button>
        </>
      }
    >
      <p>{consequence(option, held, dataset)}</p>
      {option === "Approve" && held.risks.length > 0 && (
        <>
          <p>You accept {counted(held.risks.length, "risk")}:</p>
          <ul>
            {held.risks.map(({ code, detail }) => (
              <li key={code}>
                <code>{code}</code> <Name>{detail}</Name>
              </li>
            ))}
          </ul>
        </>
      )}
      <p className="run-hint">Airflow keeps who answered, and when. An answer cannot be taken back.</p>
      {isAnswered(answer.error) ? (
        <p className="image-note">
          Somebody has answered this question already; the page shows the run as it is now.
        </p>
      ) : (
        answer.error && <ProblemNote error={answer.error} />
      )}
    </Dialog>
  );
}

function RiskItem({ risk: { code, explanation, detail, count, samples } }: { risk: Risk }) {
  return (
    <li>
      <Icon name="error" />
      <div>
        <p>
          <strong>
            <Name>{detail}</Name>
          </strong>
        </p>
        <p>
          <Prose>{explanation}</Prose>
        </p>
        {samples.length > 0 && (
          <p className="run-hint">
            {samples.map((sample, index) => (
              <span key={sample}>
                {index > 0 && ", "}
                <Name>{sample}</Name>
              </span>
            ))}
            {count > samples.length && ` and ${(count - samples.length).toLocaleString()} more`}
          </p>
        )}
      </div>
      <code>{code}</code>
    </li>
  );
}

/** A sentence of the project's own, with names of parameters between backticks. */
function Prose({ children }: { children: string }) {
  return children.split("`").map((part, index) =>
    // oxlint-disable-next-line react/no-array-index-key
    index % 2 === 1 ? <code key={index}>{part}</code> : part,
  );
}

function Example({ image: { change, key, before, after, picture, missing } }: { image: HeldImage }) {
  return (
    <li>
      {picture ? (
        <img src={new URL(picture, AIRFLOW).href} alt="" loading="lazy" decoding="async" />
      ) : (
        <span className="gate-missing">{missing || "no picture"}</span>
      )}
      <div>
        <Badge tone={changeTone(change)}>{change}</Badge>
        <Key>{key}</Key>
        {(before || after) && (
          <p className="gate-labels">
            {before && before !== after && (
              <del>
                <Name>{before}</Name>
              </del>
            )}
            {after && (
              <ins>
                <Name>{after}</Name>
              </ins>
            )}
          </p>
        )}
      </div>
    </li>
  );
}

function Labels({
  title,
  labels,
  kind,
}: {
  title: string;
  labels: readonly string[];
  kind: "before" | "after";
}) {
  if (labels.length === 0) return null;
  return (
    <p className="gate-labels">
      <span>{title}:</span>
      {labels.map((label) =>
        kind === "before" ? (
          <del key={label}>
            <Name>{label}</Name>
          </del>
        ) : (
          <ins key={label}>
            <Name>{label}</Name>
          </ins>
        ),
      )}
    </p>
  );
}
