/** A Dag's own parameters as fields of a form, and what was written into them as the run's conf. */

export type Schema = {
  title?: string;
  section?: string;
  type?: string | string[];
  enum?: (string | number | null)[];
  description_md?: string;
  minimum?: number;
  maximum?: number;
  pattern?: string;
};
export type Param = { value: unknown; description?: string | null; schema: Schema };
export type Params = Record<string, Param>;

export type FieldKind = "choice" | "flag" | "number" | "text" | "json";
export type Values = Record<string, string | boolean>;

export function kindOf({ schema }: Param): FieldKind {
  if (schema.enum) return "choice";
  const types = typesOf(schema);
  if (types.includes("boolean")) return "flag";
  if (types.includes("number") || types.includes("integer")) return "number";
  if (types.includes("array") || types.includes("object")) return "json";
  return "text";
}

const typesOf = ({ type = "string" }: Schema): string[] => [type].flat();

/** What the fields hold at first: the Dag's defaults, or what is given in their place. */
export function valuesOf(params: Params, given: Record<string, unknown> = {}): Values {
  return Object.fromEntries(
    Object.entries(params).map(([name, param]) => {
      const value = name in given ? given[name] : param.value;
      const kind = kindOf(param);
      if (kind === "flag") return [name, value === true];
      if (kind === "json") return [name, value === null ? "" : JSON.stringify(value)];
      return [name, value === null || value === undefined ? "" : String(value)];
    }),
  );
}

export type Conf = { conf: Record<string, unknown>; faults: Record<string, string> };

/** The conf of a run. Airflow checks it again by the same schema; faults are those that a person can see here. */
export function confOf(params: Params, values: Values): Conf {
  const conf: Record<string, unknown> = {};
  const faults: Record<string, string> = {};
  for (const [name, param] of Object.entries(params)) {
    const value = values[name];
    const kind = kindOf(param);
    if (typeof value !== "string") {
      conf[name] = value ?? false;
    } else if (value === "" && kind !== "choice") {
      if (typesOf(param.schema).includes("null")) conf[name] = null;
      else faults[name] = "Fill this in.";
    } else if (kind === "number") {
      conf[name] = Number(value);
      if (Number.isNaN(conf[name])) faults[name] = "Write a number.";
    } else if (kind === "json") {
      try {
        conf[name] = JSON.parse(value);
      } catch {
        faults[name] = 'Write JSON, such as ["*/thumbs/*"] or {"echo-dot": "Echo Dot"}.';
      }
    } else {
      conf[name] = value;
    }
  }
  return { conf, faults };
}

/** The fields by their sections, in the Dag's order. */
export function sectionsOf(params: Params): [string, [string, Param][]][] {
  const sections = new Map<string, [string, Param][]>();
  for (const [name, param] of Object.entries(params)) {
    const section = param.schema.section ?? "";
    sections.set(section, [...(sections.get(section) ?? []), [name, param]]);
  }
  return [...sections];
}
