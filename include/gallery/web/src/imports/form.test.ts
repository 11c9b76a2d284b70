import { describe, expect, it } from "vitest";
import forms from "../../fixtures/forms.json";
import { confOf, kindOf, sectionsOf, valuesOf, type Params } from "./form";

const dags = Object.entries(forms as unknown as Record<string, Params>);

describe.each(dags)("the parameters of %s", (_, params) => {
  it("come back as their defaults when nothing is written", () => {
    const defaults = Object.fromEntries(Object.entries(params).map(([name, { value }]) => [name, value]));
    expect(confOf(params, valuesOf(params))).toEqual({ conf: defaults, faults: {} });
  });

  it("are each in one section", () => {
    const names = sectionsOf(params).flatMap(([, fields]) => fields.map(([name]) => name));
    expect(names.toSorted()).toEqual(Object.keys(params).toSorted());
  });
});

const params: Params = {
  project: { value: "x", schema: { type: "string" } },
  share: { value: 0.2, schema: { type: "number" } },
  exclude: { value: [], schema: { type: "array" } },
  as_of: { value: null, schema: { type: ["null", "string"] } },
};

it("fills in what is given", () => {
  expect(valuesOf(params, { project: "alexa-devices" })["project"]).toBe("alexa-devices");
});

it("says what is wrong with what was written", () => {
  const { faults } = confOf(params, { project: "", share: "much", exclude: "[", as_of: "" });
  expect(Object.keys(faults)).toEqual(["project", "share", "exclude"]);
});

it("knows the kinds of fields", () => {
  expect(Object.values(params).map(kindOf)).toEqual(["text", "number", "json", "text"]);
});
