/** The answers to a gate's question, in words that say what each of them does. */

import { airflow, ProblemError } from "../api/client";
import type { HeldChange, RunDataset } from "../api/messages";
import { counted } from "../shell/Badge";

const VERBS: Record<string, (dataset: string) => string> = {
  create: (dataset) => `create ${dataset}`,
  update: (dataset) => `update ${dataset}`,
  replace: (dataset) => `delete ${dataset} in Rekognition and create it anew from the new manifest`,
};

const COUNTED: readonly [string, string][] = [
  ["added", "added"],
  ["removed", "removed"],
  ["relabelled", "given other labels"],
  ["changed", "changed otherwise"],
  ["moved", "found under another key"],
];

/** "5,000 images added, 1 image removed"; an empty text where nothing changes. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  return COUNTED.flatMap(([name, done]) => {
    const count = counts[name] ?? 0;
    return count > 0 ? [`${counted(count, "image")} ${done}`] : [];
  }).join(", ");
}

/** What happens once the option is chosen, in one sentence. */
export function consequence(option: string, held: HeldChange, { project, dataset_type }: RunDataset): string {
  const dataset = `the ${dataset_type} dataset of ${project}`;
  if (option === "Approve") {
    const verb = VERBS[held.action]?.(dataset) ?? `change ${dataset}`;
    const counts = countsText(held.counts);
    return `The run goes on and will ${verb}${counts && `: ${counts}`}.`;
  }
  if (option === "Reject") {
    return `The run fails, and ${dataset} stays exactly as it is. This run does not ask again; a new one may.`;
  }
  return `The run goes on with “${option}”.`;
}

/** Answer through Airflow's own API, which asks for the rights and keeps who answered. */
export async function answerGate(run: { dag_id: string; run_id: string }, taskId: string, option: string) {
  const [dag, id, task] = [run.dag_id, run.run_id, taskId].map(encodeURIComponent);
  // Gates are not mapped, which Airflow writes as -1.
  await airflow("PATCH", `api/v2/dags/${dag}/dagRuns/${id}/taskInstances/${task}/-1/hitlDetails`, {
    chosen_options: [option],
    params_input: {},
  });
}

/** Whether somebody else has answered meanwhile. */
export const isAnswered = (error: unknown): boolean => error instanceof ProblemError && error.status === 409;
