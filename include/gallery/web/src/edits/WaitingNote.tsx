import type { Waiting } from "../api/messages";
import { AirflowLink, runPath } from "../shell/AirflowLink";
import { Name } from "../shell/Name";
import { TimeOfDay } from "../shell/Time";

/** What a save waits for, since when, and for how long at most. */
export function WaitingNote({ waiting }: { waiting: Waiting }) {
  const { cause, lease_until, since, until } = waiting;
  return (
    <span className="save-bar-waiting">
      <strong>
        Waiting for <Cause waiting={waiting} />
      </strong>
      <span className="save-bar-note">
        Saving continues by itself; you have waited since <TimeOfDay at={since} />.{" "}
        {lease_until && (
          <>
            {cause === "run" ? "The run" : "The other save"} has reserved the dataset until{" "}
            <TimeOfDay at={lease_until} />.{" "}
          </>
        )}
        If the dataset is not free by <TimeOfDay at={until} />, this save fails and your edits stay on this
        page.
      </span>
    </span>
  );
}

function Cause({ waiting: { cause, run, status, working_since } }: { waiting: Waiting }) {
  const since = working_since && <TimeOfDay at={working_since} />;
  if (cause === "run" && run) {
    return (
      <>
        run{" "}
        <AirflowLink path={runPath(run)}>
          <Name>{run.run_id}</Name>
        </AirflowLink>{" "}
        of {run.dag_id}, which works on this dataset{since && <> and started at {since}</>}.
      </>
    );
  }
  if (cause === "save") {
    return <>another save of this dataset{since && <>, which started at {since}</>}.</>;
  }
  return (
    <>an operation on this dataset in Rekognition that somebody else started{status && ` (${status})`}.</>
  );
}
