/** Reads the fields of a form out of a job type's JSON Schema. Pure. */
import { words } from "../../parts/words";

const TITLES: Record<string, string> = {
  videoId: "Video",
  itemIds: "Items",
  crf: "Quality (CRF)",
  fps: "Frames a second",
};

type Json = Readonly<Record<string, unknown>>;

/** How a parameter is put in. */
export type Kind =
  "item" | "items" | "choice" | "choices" | "switch" | "whole" | "number" | "text" | "json";

export interface Field {
  key: string;
  title: string;
  kind: Kind;
  required: boolean;
  /** What holds where nothing is said. */
  usual: unknown;
  choices: string[];
  min?: number;
  max?: number;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function resolved(schema: Json, whole: Json): Json {
  const reference = schema["$ref"];
  if (typeof reference === "string") {
    return object(object(whole["$defs"])[reference.replace("#/$defs/", "")]);
  }
  const options = schema["anyOf"];
  if (!Array.isArray(options)) return schema;
  const [only, ...others] = options.map(object).filter((one) => one["type"] !== "null");
  return only === undefined || others.length > 0
    ? {}
    : { ...resolved(only, whole), default: schema["default"] };
}

function pattern(schema: Json): string[] {
  const found = /^\^\(([a-z0-9_|]+)\)\$$/.exec(
    typeof schema["pattern"] === "string" ? schema["pattern"] : "",
  );
  return found?.[1]?.split("|") ?? [];
}

function kindOf(key: string, schema: Json, choices: string[], whole: Json): Kind {
  if (key === "videoId") return "item";
  if (key === "itemIds") return "items";
  if (choices.length > 0) return "choice";
  switch (schema["type"]) {
    case "boolean":
      return "switch";
    case "integer":
      return "whole";
    case "number":
      return "number";
    case "string":
      return "text";
    case "array":
      return resolved(object(schema["items"]), whole)["enum"] ? "choices" : "json";
    default:
      return "json";
  }
}

function numberOf(...values: unknown[]): number | undefined {
  return values.find((value): value is number => typeof value === "number");
}

/** The fields of a form for *schema*, the required ones first. */
export function fieldsOf(schema: Json): Field[] {
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const fields = Object.entries(object(schema["properties"])).map(([key, value]): Field => {
    const given = object(value);
    const one = resolved(given, schema);
    const items = resolved(object(one["items"]), schema);
    const listed = one["enum"] ?? items["enum"];
    const choices = Array.isArray(listed) ? listed.map(String) : pattern(one);
    const min = numberOf(one["minimum"], one["exclusiveMinimum"]);
    const max = numberOf(one["maximum"], one["exclusiveMaximum"]);
    return {
      key,
      title: TITLES[key] ?? words(key),
      kind: kindOf(key, one, choices.length > 0 && one["type"] !== "array" ? choices : [], schema),
      required: required.has(key),
      usual: given["default"],
      choices,
      ...(min !== undefined && { min }),
      ...(max !== undefined && { max }),
    };
  });
  const weight = (field: Field) =>
    field.kind === "item" || field.kind === "items" ? 0 : field.required ? 1 : 2;
  return fields.sort((one, other) => weight(one) - weight(other));
}
