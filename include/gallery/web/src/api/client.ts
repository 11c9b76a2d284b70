/** Requests to the gallery's server and to Airflow's own API, with the caller's own cookie. */

import type { Problem } from "./messages";

/** Where the gallery is mounted; the page itself lies there, whatever path Airflow has. */
const HERE = new URL(".", window.location.href);
/** Airflow's own address, one level above. */
export const AIRFLOW = new URL("..", HERE);

/** An answer with a status of 400 and more, or none at all. */
export class ProblemError extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, body: Problem) {
    super(body.message);
    this.name = "ProblemError";
    this.status = status;
    this.problem = body;
  }
}

/** A problem that the page itself noticed. */
export function problem(code: string, message: string, next_step: string): Problem {
  return { code, message, next_step, retry_after_s: null };
}

export type Query = Record<string, string | number | boolean | null | undefined | readonly string[]>;

/** The address of something of the gallery's server, such as `api/projects`. */
export function address(path: string, query: Query = {}): string {
  const url = new URL(path, HERE);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") url.searchParams.append(name, String(each));
    }
  }
  return url.href;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return answer<T>(await request(address(path, query), signal ? { signal } : {}));
}

/** Ask for a change; the header and the content type are what the server knows its own page by. */
export async function send<T>(method: "POST" | "PUT" | "DELETE", path: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json", "X-Custom-Labels": "1" };
  return answer<T>(await request(address(path), { method, headers, body: JSON.stringify(body) }));
}

/** The same of Airflow's API, such as `api/v2/dags/import_s3_folder/dagRuns`. */
export async function airflow<T>(method: "GET" | "POST" | "PATCH", path: string, body?: unknown): Promise<T> {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const init: RequestInit = { method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  return answer<T>(await request(new URL(path, AIRFLOW).href, init));
}

async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ProblemError(
      0,
      problem("UNREACHABLE", "Airflow's API server does not answer.", "Look whether it runs and try again."),
    );
  }
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // A proxy's page, for instance; its status says what it can.
  }
  if (response.ok) return body as T;
  throw new ProblemError(response.status, asProblem(response, body));
}

function asProblem(response: Response, body: unknown): Problem {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body)
    return body as Problem;
  const detail =
    typeof body === "object" && body !== null && "detail" in body ? body.detail : response.statusText;
  if (response.status === 401) {
    return problem("SIGNED_OUT", "You are not signed in.", "Sign in to Airflow and reload the page.");
  }
  if (response.status === 403) {
    return problem("FORBIDDEN", "You may not do this.", "Ask for the right to trigger the import Dags.");
  }
  return problem(
    `HTTP_${response.status}`,
    typeof detail === "string" ? detail : JSON.stringify(detail),
    "Try again; the log of Airflow's API server says more.",
  );
}
