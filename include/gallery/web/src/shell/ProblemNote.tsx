import { problem, ProblemError } from "../api/client";
import type { Problem } from "../api/messages";
import { Button } from "./Button";
import "./problem.css";

/** An error as people read it: what is wrong, the next step, and the code to search for. */
export function ProblemNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { code, message, next_step } = asProblem(error);
  return (
    <div className="problem" role="alert">
      <p>
        <strong>{message}</strong> {next_step}
      </p>
      <p className="problem-code">
        <code>{code}</code>
        {onRetry && (
          <Button icon="refresh" onClick={onRetry}>
            Try again
          </Button>
        )}
      </p>
    </div>
  );
}

export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (typeof error === "object" && error !== null && "code" in error && "next_step" in error)
    return error as Problem;
  return problem(
    "PAGE_FAULT",
    error instanceof Error ? error.message : String(error),
    "Reload the page; nothing was sent.",
  );
}
