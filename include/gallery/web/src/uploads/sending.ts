/** Bytes to the server, with their progress, which only XMLHttpRequest tells. */

import { address, airflow, problem, ProblemError, send } from "../api/client";
import type { Problem, Upload, UploadedImage } from "../api/messages";
import type { Item } from "./queue";

export const startUpload = (): Promise<Upload> => send<Upload>("POST", "api/uploads", {});

/** Send one image; rejects with a ProblemError. */
export function sendImage(
  uploadId: string,
  { number, file, folder }: Item,
  onShare: (share: number) => void,
): Promise<UploadedImage> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const path = `api/uploads/${encodeURIComponent(uploadId)}/images/${number}`;
    request.open("PUT", address(path, { name: file.name, folder }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Custom-Labels", "1");
    request.upload.addEventListener("progress", ({ loaded, total }) => onShare(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const body = parsed(request.responseText);
      if (request.status < 400 && body !== null) resolve(body as UploadedImage);
      else reject(new ProblemError(request.status, asProblem(request.status, body)));
    });
    request.addEventListener("error", () =>
      reject(
        new ProblemError(
          0,
          problem("UNREACHABLE", "The connection broke off.", "Look whether Airflow runs and send it again."),
        ),
      ),
    );
    request.send(file);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page, for instance.
    return null;
  }
}

function asProblem(status: number, body: unknown): Problem {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body)
    return body as Problem;
  return problem(`HTTP_${status}`, `The server answered with status ${status}.`, "Send it again.");
}

/** Start the import of what was uploaded; gives the run's id. */
export async function startImport(conf: {
  upload_id: string;
  project: string;
  dataset_type: "train" | "test";
  automatic_labeling: boolean;
}): Promise<string> {
  const run = await airflow<{ dag_run_id: string }>("POST", "api/v2/dags/import_local_computer/dagRuns", {
    logical_date: null,
    conf,
  });
  return run.dag_run_id;
}
