/** Which dataset images are uploaded for, as in the page's address. */

export type Target = { project?: string; type?: "train" | "test" };

export const PROJECT_NAME = /^[a-zA-Z0-9_.-]{1,255}$/u;

export function targetOf({ project, type }: Record<string, unknown>): Target {
  const target: Target = {};
  if (typeof project === "string" && PROJECT_NAME.test(project)) target.project = project;
  if (type === "train" || type === "test") target.type = type;
  return target;
}
