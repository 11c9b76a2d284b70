import { Link } from "@tanstack/react-router";
import { Fragment, type ReactNode } from "react";
import type { Box, Conflict } from "../api/messages";
import type { DatasetName } from "../api/queries";
import { Badge, counted } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { Key, Name } from "../shell/Name";
import { drop, keepMine, takeTheirs, type Edit } from "./draft";
import { useDraft } from "./store";
import "./review.css";

const SHOWN_EDITS = 200;

/** Every pending edit in its order, and what the last save left out for a person to decide. */
export function ReviewDialog({ name, onClose }: { name: DatasetName; onClose: () => void }) {
  const { draft, change } = useDraft(name);
  const { conflicts, refusals } = draft.leftovers;
  const saved = draft.saving?.count ?? 0;
  return (
    <Dialog
      title="Edits that are not saved"
      size="large"
      onClose={onClose}
      actions={
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      }
    >
      {conflicts.length > 0 && (
        <section className="review-part">
          <h3>Changed by somebody else meanwhile</h3>
          <p>These images were not saved. Choose which labels and boxes stay.</p>
          <div className="review-all">
            <Button onClick={() => change((before) => conflicts.reduce(keepMine, before))}>
              Keep all of mine
            </Button>
            <Button
              onClick={() =>
                change((before) => conflicts.reduce((sum, each) => takeTheirs(sum, each.id), before))
              }
            >
              Take all of theirs
            </Button>
          </div>
          {conflicts.map((conflict) => (
            <ConflictNote
              key={conflict.id}
              conflict={conflict}
              mine={draft.edits.find((edit) => edit.kind === "redrawing" && edit.id === conflict.id)}
              onMine={() => change((before) => keepMine(before, conflict))}
              onTheirs={() => change((before) => takeTheirs(before, conflict.id))}
            />
          ))}
        </section>
      )}
      {refusals.length > 0 && (
        <section className="review-part">
          <h3>Cannot be saved like this</h3>
          {refusals.map(({ id, key, problem }) => (
            <div key={id} className="review-item">
              <div className="review-text">
                <Link to="/datasets/$project/$type/images/$id" params={{ ...name, id }} onClick={onClose}>
                  <Key>{key}</Key>
                </Link>
                <span>
                  {problem.message} {problem.next_step}
                </span>
              </div>
              <Button onClick={() => change((before) => takeTheirs(before, id))}>Drop my edit</Button>
            </div>
          ))}
        </section>
      )}
      {draft.edits.length > 0 ? (
        <ol className="review-edits">
          {draft.edits.slice(0, SHOWN_EDITS).map((edit, index) => (
            // Edits have no identity but their place, and may be equal to each other.
            // oxlint-disable-next-line react/no-array-index-key
            <li key={index} className="review-item">
              <div className="review-text">{described(edit)}</div>
              {edit.kind === "redrawing" && (
                <Link
                  to="/datasets/$project/$type/images/$id"
                  params={{ ...name, id: edit.id }}
                  onClick={onClose}
                >
                  Open
                </Link>
              )}
              {index < saved ? (
                <Badge tone="accent">being saved</Badge>
              ) : (
                <IconButton
                  icon="close"
                  label="Drop this edit"
                  onClick={() => change((before) => drop(before, edit))}
                />
              )}
            </li>
          ))}
        </ol>
      ) : (
        !conflicts.length && !refusals.length && <p>Nothing is pending.</p>
      )}
      {draft.edits.length > SHOWN_EDITS && (
        <p>And {counted(draft.edits.length - SHOWN_EDITS, "edit")} more, made after these.</p>
      )}
    </Dialog>
  );
}

function described(edit: Edit): ReactNode {
  if (edit.kind === "renaming") {
    return (
      <span>
        Rename <Label>{edit.old}</Label> to <Label>{edit.new}</Label> in the whole dataset
      </span>
    );
  }
  if (edit.kind === "redrawing") {
    return (
      <span>
        One image: <Labels labels={edit.labels} boxes={edit.boxes} />
        {edit.force && <Badge tone="warning">over somebody else's edit</Badge>}
      </span>
    );
  }
  const { assign = [], remove = [] } = edit;
  return (
    <span>
      {assign.length > 0 && (
        <>
          Assign <List labels={assign} />{" "}
        </>
      )}
      {remove.length > 0 && (
        <>
          {assign.length ? "and remove" : "Remove"} <List labels={remove} />{" "}
        </>
      )}
      {assign.length ? "to" : "from"} {counted(edit.ids.length, "image")}
    </span>
  );
}

type ConflictNoteProps = {
  conflict: Conflict;
  mine: Edit | undefined;
  onMine: () => void;
  onTheirs: () => void;
};

function ConflictNote({ conflict, mine, onMine, onTheirs }: ConflictNoteProps) {
  return (
    <div className="review-conflict">
      <Key>{conflict.key}</Key>
      <div className="review-sides">
        <div>
          <h4>Yours</h4>
          {mine?.kind === "redrawing" ? <Labels labels={mine.labels} boxes={mine.boxes} /> : "–"}
          <Button onClick={onMine}>Keep mine</Button>
        </div>
        <div>
          <h4>Theirs, in the dataset now</h4>
          <Labels labels={conflict.theirs_labels} boxes={conflict.theirs_boxes} />
          <Button onClick={onTheirs}>Take theirs</Button>
        </div>
      </div>
    </div>
  );
}

function Labels({ labels, boxes }: { labels: readonly string[]; boxes: readonly Box[] }) {
  return (
    <span className="review-labels">
      {labels.length ? <List labels={labels} /> : "no label"}
      {boxes.length > 0 && `, ${counted(boxes.length, "box", "boxes")}`}
    </span>
  );
}

function List({ labels }: { labels: readonly string[] }) {
  return labels.map((label, at) => (
    <Fragment key={label}>
      {at > 0 && " "}
      <Label>{label}</Label>
    </Fragment>
  ));
}

function Label({ children }: { children: string }) {
  return (
    <span className="review-label">
      <Name>{children}</Name>
    </span>
  );
}
