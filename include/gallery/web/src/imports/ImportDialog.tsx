import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState } from "react";
import { airflow } from "../api/client";
import type { ImportSource, RunLink } from "../api/messages";
import { AirflowLink, runPath } from "../shell/AirflowLink";
import { Button } from "../shell/Button";
import { Dialog } from "../shell/Dialog";
import { ProblemNote } from "../shell/ProblemNote";
import { confOf, kindOf, sectionsOf, valuesOf, type Param, type Params, type Values } from "./form";
import "./import-dialog.css";

type ImportDialogProps = {
  source: ImportSource;
  /** Parameters that are filled in. */
  given?: Record<string, unknown>;
  onClose: () => void;
};

/** Start one of the imports with its Dag's own parameters; Airflow has no address that opens its form filled in. */
export function ImportDialog({ source, given, onClose }: ImportDialogProps) {
  const details = useQuery({
    queryKey: ["dag", source.dag_id],
    queryFn: () =>
      airflow<{ params: Params }>("GET", `api/v2/dags/${encodeURIComponent(source.dag_id)}/details`),
    staleTime: 60_000,
  });
  if (details.data) {
    return <ImportForm source={source} params={details.data.params} given={given ?? {}} onClose={onClose} />;
  }
  return (
    <Dialog title={source.title} onClose={onClose}>
      {details.isError ? <ProblemNote error={details.error} /> : <p>Reading the Dag's parameters…</p>}
    </Dialog>
  );
}

type ImportFormProps = Required<ImportDialogProps> & { params: Params };

function ImportForm({ source, params, given, onClose }: ImportFormProps) {
  const [values, setValues] = useState(() => valuesOf(params, given));
  const [faults, setFaults] = useState<Record<string, string>>({});
  const queries = useQueryClient();
  const formId = useId();
  const start = useMutation({
    mutationFn: (conf: Record<string, unknown>) =>
      airflow<{ dag_id: string; dag_run_id: string }>(
        "POST",
        `api/v2/dags/${encodeURIComponent(source.dag_id)}/dagRuns`,
        { logical_date: null, conf },
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["projects"] }),
  });
  if (start.data) {
    const run: RunLink = { dag_id: start.data.dag_id, run_id: start.data.dag_run_id };
    return (
      <Dialog
        title="The import was started"
        size="small"
        onClose={onClose}
        actions={
          <>
            <AirflowLink path={runPath(run)} className="button">
              Open the run in Airflow
            </AirflowLink>
            <Button look="primary" onClick={onClose}>
              Close
            </Button>
          </>
        }
      >
        <p>
          The run <code>{run.run_id}</code> of <code>{run.dag_id}</code> is queued. A run with risks waits for
          a person under Required Actions.
        </p>
        <Link to="/runs/$dagId/$runId" params={{ dagId: run.dag_id, runId: run.run_id }} onClick={onClose}>
          What the run changes
        </Link>
      </Dialog>
    );
  }
  const [first, ...others] = sections(params);
  const field = ([name, param]: [string, Param]) => (
    <Field
      key={name}
      name={name}
      param={param}
      value={values[name] ?? ""}
      fault={faults[name]}
      onChange={(value) => setValues((before): Values => ({ ...before, [name]: value }))}
    />
  );
  return (
    <Dialog
      title={source.title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" icon="run" type="submit" form={formId} disabled={start.isPending}>
            {start.isPending ? "Starting…" : "Start the import"}
          </Button>
        </>
      }
    >
      <form
        id={formId}
        className="import-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          const checked = confOf(params, values);
          setFaults(checked.faults);
          if (!Object.keys(checked.faults).length) start.mutate(checked.conf);
        }}
      >
        <p className="import-about">{source.description}</p>
        {start.isError && <ProblemNote error={start.error} />}
        {first?.map(field)}
        {others.map((section) => {
          const title = section[0]?.[1].schema.section ?? "";
          return (
            <details key={title} open={title === "Images" || section.some(([name]) => name in faults)}>
              <summary>{title || "More"}</summary>
              {section.map(field)}
            </details>
          );
        })}
      </form>
    </Dialog>
  );
}

const sections = (params: Params) => sectionsOf(params).map(([, fields]) => fields);

type FieldProps = {
  name: string;
  param: Param;
  value: string | boolean;
  fault: string | undefined;
  onChange: (value: string | boolean) => void;
};

function Field({ name, param, value, fault, onChange }: FieldProps) {
  const id = useId();
  const { schema } = param;
  const kind = kindOf(param);
  const about = fault ? `${id}-about ${id}-fault` : `${id}-about`;
  const shared = { id, name, "aria-describedby": about, "aria-invalid": fault !== undefined };
  const text = String(value);
  return (
    <div className={kind === "flag" ? "field field-flag" : "field"}>
      <label htmlFor={id}>{schema.title ?? name}</label>
      {kind === "choice" && (
        <select {...shared} value={text} onChange={(event) => onChange(event.target.value)}>
          {schema.enum?.map((each) => (
            <option key={String(each)} value={String(each)}>
              {String(each)}
            </option>
          ))}
        </select>
      )}
      {kind === "flag" && (
        <input
          {...shared}
          type="checkbox"
          checked={value === true}
          onChange={(event) => onChange(event.target.checked)}
        />
      )}
      {kind === "json" && (
        <textarea {...shared} rows={2} value={text} onChange={(event) => onChange(event.target.value)} />
      )}
      {(kind === "text" || kind === "number") && (
        <input
          {...shared}
          type="text"
          inputMode={kind === "number" ? "decimal" : undefined}
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      <small id={`${id}-about`}>
        <Prose>{schema.description_md ?? param.description ?? ""}</Prose>
      </small>
      {fault && (
        <small id={`${id}-fault`} className="field-fault">
          {fault}
        </small>
      )}
    </div>
  );
}

/** Text of ours in which only `code` is marked. */
function Prose({ children }: { children: string }) {
  return children.split("`").map((part, index) =>
    // Parts have no identity but their place.
    // oxlint-disable-next-line react/no-array-index-key
    index % 2 ? <code key={index}>{part}</code> : part,
  );
}
