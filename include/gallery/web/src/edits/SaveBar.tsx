import { useEffect, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { sessionQuery, type DatasetName } from "../api/queries";
import { counted } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { ProblemNote } from "../shell/ProblemNote";
import { Progress } from "../shell/Progress";
import { canRedo, canUndo, discard, redo, undo } from "./draft";
import { extent } from "./effect";
import { ReviewDialog } from "./ReviewDialog";
import { useDraft } from "./store";
import { useSaving } from "./useSaving";
import { WaitingNote } from "./WaitingNote";
import "./save-bar.css";

/** What is pending in a dataset: undo, review, discard, save, and how a save goes. Nothing where nothing is pending. */
export function SaveBar({ name }: { name: DatasetName }) {
  const { draft, change, isKept } = useDraft(name);
  const saving = useSaving(name);
  const session = useQuery(sessionQuery);
  const [open, setOpen] = useState<"review" | "discard" | null>(null);
  const { conflicts, refusals } = draft.leftovers;
  const left = conflicts.length + refusals.length;
  const canEdit = session.data?.can_edit ?? true;
  const isEmpty = !draft.edits.length && !left && !canRedo(draft) && !saving.isBusy;

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || isWriting(event.target)) return;
      const isRedo = event.key === "y" || (event.key.toLowerCase() === "z" && event.shiftKey);
      if (!isRedo && event.key !== "z") return;
      event.preventDefault();
      change(isRedo ? redo : undo);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [change]);

  if (isEmpty) return null;
  const { save } = saving;
  const share = save && save.state === "sending" && save.total ? save.sent / save.total : null;
  return (
    <div className="save-bar" role="region" aria-label="Edits">
      {saving.isBusy && (
        <div className="save-bar-progress">
          <Progress share={share} label="Saving" />
        </div>
      )}
      {saving.problem && !saving.isBusy && (
        <div className="save-bar-problem">
          <ProblemNote error={{ ...saving.problem }} />
        </div>
      )}
      <div className="save-bar-row">
        <p className="save-bar-text" aria-live="polite">
          {saving.isBusy && save?.waiting ? (
            <WaitingNote waiting={save.waiting} />
          ) : saving.isBusy ? (
            <strong>
              {save?.state === "sending"
                ? `Saving ${save.sent.toLocaleString()} of ${counted(save.total, "image")}…`
                : "Reading the dataset as it is now…"}
            </strong>
          ) : (
            <Pending edits={draft.edits} />
          )}
          {left > 0 && !saving.isBusy && (
            <button type="button" className="save-bar-left" onClick={() => setOpen("review")}>
              {counted(left, "image")} to decide on
            </button>
          )}
          {!isKept && <span className="save-bar-warning">Too many to survive a reload: save soon.</span>}
          {!canEdit && (
            <span className="save-bar-warning">
              You may not save: ask for the right to trigger the import Dags.
            </span>
          )}
        </p>
        <IconButton
          icon="undo"
          label="Undo (Ctrl+Z)"
          disabled={!canUndo(draft)}
          onClick={() => change(undo)}
        />
        <IconButton
          icon="redo"
          label="Redo (Ctrl+Shift+Z)"
          disabled={!canRedo(draft)}
          onClick={() => change(redo)}
        />
        <Button onClick={() => setOpen("review")} disabled={!draft.edits.length && !left}>
          Review
        </Button>
        <Button onClick={() => setOpen("discard")} disabled={saving.isBusy || (!draft.edits.length && !left)}>
          Discard
        </Button>
        <Button
          look="primary"
          disabled={saving.isBusy || !draft.edits.length || !canEdit}
          onClick={saving.start}
        >
          {save?.waiting ? "Waiting…" : saving.isBusy ? "Saving…" : "Save"}
        </Button>
      </div>
      {open === "review" && <ReviewDialog name={name} onClose={() => setOpen(null)} />}
      {open === "discard" && (
        <Dialog
          title="Discard the edits?"
          size="small"
          onClose={() => setOpen(null)}
          actions={
            <>
              <Button onClick={() => setOpen(null)}>Keep them</Button>
              <Button
                look="danger"
                onClick={() => {
                  change(discard);
                  setOpen(null);
                }}
              >
                Discard
              </Button>
            </>
          }
        >
          <p>
            {counted(draft.edits.length, "edit")} that {draft.edits.length === 1 ? "was" : "were"} not saved
            will be gone. The dataset stays as it is.
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Pending({ edits }: { edits: Parameters<typeof extent>[0] }) {
  const { images, renamings } = extent(edits);
  const words = [
    images ? `${counted(images, "image")} changed` : "",
    renamings ? `${counted(renamings, "label")} renamed` : "",
  ].filter(Boolean);
  return words.length ? (
    <>
      <strong>{words.join(", ")}</strong> <span className="save-bar-note">not saved yet</span>
    </>
  ) : (
    <span className="save-bar-note">Nothing to save</span>
  );
}

/** Whether keys are a text's, which has an undo of its own. */
function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.matches(
      'input:not([type="checkbox"], [type="radio"], [type="range"]), textarea, [contenteditable]',
    )
  );
}
