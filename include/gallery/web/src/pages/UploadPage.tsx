import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useId, useState } from "react";
import type { Limits, Session } from "../api/messages";
import { datasetQuery, projectsQuery, sessionQuery } from "../api/queries";
import { sizeText } from "../facts/texts";
import { counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { EmptyState } from "../shell/EmptyState";
import { Name } from "../shell/Name";
import { ProblemNote } from "../shell/ProblemNote";
import { DropZone } from "../uploads/DropZone";
import { counts, toSend } from "../uploads/queue";
import { startImport } from "../uploads/sending";
import { PROJECT_NAME } from "../uploads/target";
import { UploadItem } from "../uploads/UploadItem";
import { useUpload } from "../uploads/useUpload";
import "../uploads/upload.css";

const DAG = "import_local_computer";

/** Images from this computer into a dataset. */
export function UploadPage() {
  const session = useQuery(sessionQuery);
  if (session.isError) return <ProblemNote error={session.error} onRetry={() => void session.refetch()} />;
  if (session.isPending) return <p className="upload-waiting">Looking what you may do…</p>;
  if (!session.data.can_edit) {
    return (
      <EmptyState icon="upload" title="You may look, and not upload">
        Ask for the right to trigger the import Dags.
      </EmptyState>
    );
  }
  return <UploadForm session={session.data} />;
}

function UploadForm({ session }: { session: Session }) {
  const { limits } = session;
  const upload = useUpload(limits);
  const { queue, uploadId, isSending } = upload;
  const { project = "", type = "train" } = useSearch({ from: "/upload" });
  const { sent, failed } = counts(queue);
  const waiting = toSend(queue).length;
  const isReady = sent > 0 && waiting === 0 && !isSending;
  const canImport = session.sources.some(({ dag_id, can_trigger }) => dag_id === DAG && can_trigger);
  const isNamed = PROJECT_NAME.test(project);
  const hasLabels = queue.some(({ folder }) => folder !== "");
  const dataset = useQuery({ ...datasetQuery({ project, type }), enabled: isNamed, retry: false });
  const choices = useId();
  const [all, setAll] = useState("");
  const start = useMutation({
    mutationFn: () =>
      startImport({ upload_id: uploadId, project, dataset_type: type, automatic_labeling: hasLabels }),
  });

  if (start.isSuccess) return <Started runId={start.data} images={sent} project={project} type={type} />;
  return (
    <section className="upload">
      <header>
        <h1>Upload images</h1>
        <p>{limitsText(limits)}</p>
      </header>
      <Dataset />
      <DropZone onChoose={upload.choose} isDisabled={isSending} />
      {queue.length > 0 && (
        <>
          <div className="upload-all">
            <label>
              <span>One label for all that are not sent yet</span>
              <input
                list={choices}
                maxLength={255}
                placeholder="No label"
                value={all}
                onChange={(event) => setAll(event.target.value.replaceAll("/", ""))}
              />
            </label>
            <Button icon="label" disabled={isSending} onClick={() => upload.labelAll(all)}>
              Give to all
            </Button>
          </div>
          <datalist id={choices}>
            {dataset.data?.labels.map(({ label }) => (
              <option key={label}>{label}</option>
            ))}
          </datalist>
          <ul className="upload-items">
            {queue.map((item) => (
              <UploadItem
                key={item.number}
                item={item}
                choices={choices}
                isSending={isSending}
                onLabel={(folder) => upload.label(item.number, folder)}
                onRemove={() => upload.remove(item.number)}
                onRetry={() => upload.retry(item)}
              />
            ))}
          </ul>
        </>
      )}
      {queue.length > 0 && (
        <footer className="upload-actions">
          {upload.error !== null && <ProblemNote error={upload.error} onRetry={upload.send} />}
          {start.error && <ProblemNote error={start.error} onRetry={() => start.mutate()} />}
          <p role="status">{statusText(sent, waiting, failed, isSending)}</p>
          {waiting > 0 && (
            <Button look="primary" icon="upload" disabled={isSending} onClick={upload.send}>
              {isSending ? "Uploading…" : `Upload ${counted(waiting, "image")}`}
            </Button>
          )}
          {sent > 0 && (
            <Button
              look={isReady ? "primary" : "plain"}
              icon="run"
              disabled={!isReady || !isNamed || !canImport || start.isPending}
              title={isNamed ? "" : "Name the project first"}
              onClick={() => start.mutate()}
            >
              {start.isPending ? "Starting…" : `Import ${counted(sent, "image")}`}
            </Button>
          )}
        </footer>
      )}
      {sent > 0 && !canImport && (
        <p className="upload-hint">You may not start the Dag {DAG}; ask for the right to trigger it.</p>
      )}
    </section>
  );
}

function limitsText({ upload_images, upload_image_size_bytes }: Limits): string {
  return `Up to ${upload_images} PNG or JPEG images of at most ${sizeText(upload_image_size_bytes)} each, 64 to 4096 pixels a side.`;
}

function statusText(sent: number, waiting: number, failed: number, isSending: boolean): string {
  if (isSending) return `${counted(sent, "image")} uploaded, ${waiting} to go.`;
  if (failed > 0)
    return `${counted(failed, "image was", "images were")} not uploaded: send again, or take away.`;
  if (waiting > 0) return `${counted(waiting, "image")} to upload. Labels can be given until then.`;
  return sent > 0 ? `${counted(sent, "image")} uploaded, and not in the dataset yet.` : "Nothing to upload.";
}

function Dataset() {
  const { project = "", type = "train" } = useSearch({ from: "/upload" });
  const navigate = useNavigate();
  const projects = useQuery(projectsQuery).data?.projects ?? [];
  const [typed, setTyped] = useState(project);
  const names = useId();
  const isFine = typed === "" || PROJECT_NAME.test(typed);
  const show = (next: string, nextType: "train" | "test") =>
    void navigate({
      to: "/upload",
      search: PROJECT_NAME.test(next) ? { project: next, type: nextType } : { type: nextType },
      replace: true,
    });
  const isNew =
    PROJECT_NAME.test(typed) && projects.length > 0 && !projects.some((each) => each.project === typed);
  return (
    <fieldset className="upload-dataset">
      <legend>Into the dataset</legend>
      <label>
        <span>Project</span>
        <input
          list={names}
          aria-invalid={!isFine}
          maxLength={255}
          placeholder="example-project"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            show(event.target.value, type);
          }}
        />
        <datalist id={names}>
          {projects.map((each) => (
            <option key={each.project}>{each.project}</option>
          ))}
        </datalist>
      </label>
      <label>
        <span>Type</span>
        <select
          value={type}
          onChange={(event) => show(project, event.target.value === "test" ? "test" : "train")}
        >
          <option value="train">train</option>
          <option value="test">test</option>
        </select>
      </label>
      <p className="upload-hint">
        {!isFine
          ? "A project’s name has letters, digits, dots, dashes and underscores."
          : isNew
            ? "A project of this name is created by the import."
            : "Images are added; what the dataset holds stays."}
      </p>
    </fieldset>
  );
}

function Started({
  runId,
  images,
  project,
  type,
}: {
  runId: string;
  images: number;
  project: string;
  type: "train" | "test";
}) {
  return (
    <EmptyState
      icon="check"
      title={`The import of ${counted(images, "image")} has started`}
      actions={
        <>
          <Link className="button button-primary" to="/runs/$dagId/$runId" params={{ dagId: DAG, runId }}>
            See the run
          </Link>
          <Link className="button button-plain" to="/datasets/$project/$type" params={{ project, type }}>
            Open the dataset
          </Link>
        </>
      }
    >
      Run <Name>{runId}</Name> puts them into {project} {type}.
    </EmptyState>
  );
}
