/** One parameter of a job in the form. */
import { Input, InputNumber, Select, Switch } from "antd";

import type { Field } from "./schema";
import { ItemPicker } from "./ItemPicker";

interface Props {
  field: Field;
  value: unknown;
  fault: string | undefined;
  change: (value: unknown) => void;
}

export function ParamField({ field, value, fault, change }: Props) {
  const id = `param-${field.key}`;
  const wide = ["item", "items", "json", "choices"].includes(field.kind);
  return (
    <div className={wide ? "field whole" : "field"}>
      <label htmlFor={id}>
        {field.title}
        {field.required && <span className="faint"> (required)</span>}
      </label>
      <Control id={id} field={field} value={value} fault={fault} change={change} />
      {fault && <div className="fault">{fault}</div>}
    </div>
  );
}

function usual(field: Field): string {
  if (field.usual === undefined || field.usual === null) return "";
  return typeof field.usual === "string" ? field.usual : JSON.stringify(field.usual);
}

function Control({ id, field, value, fault, change }: Props & { id: string }) {
  const status = fault ? "error" : "";
  switch (field.kind) {
    case "item":
      return (
        <ItemPicker id={id} value={value as string | undefined} change={change} status={status} />
      );
    case "items":
      return (
        <ItemPicker
          id={id}
          several
          value={value as string[] | undefined}
          change={change}
          status={status}
        />
      );
    case "switch":
      return <Switch id={id} checked={(value ?? field.usual) === true} onChange={change} />;
    case "choice":
      return (
        <Select
          id={id}
          allowClear
          status={status}
          style={{ width: "100%" }}
          placeholder={usual(field)}
          value={value as string | undefined}
          onChange={change}
          options={field.choices.map((one) => ({ value: one, label: one }))}
        />
      );
    case "choices":
      return (
        <Select
          id={id}
          mode="multiple"
          allowClear
          status={status}
          style={{ width: "100%" }}
          value={(value ?? field.usual ?? []) as string[]}
          onChange={change}
          options={field.choices.map((one) => ({ value: one, label: one }))}
        />
      );
    case "whole":
    case "number":
      return (
        <InputNumber
          id={id}
          status={status}
          style={{ width: "100%" }}
          placeholder={usual(field)}
          value={(value as number | undefined) ?? null}
          {...(field.min !== undefined && { min: field.min })}
          {...(field.max !== undefined && { max: field.max })}
          {...(field.kind === "whole" && { precision: 0 })}
          onChange={change}
        />
      );
    case "text":
      return (
        <Input
          id={id}
          status={status}
          placeholder={usual(field)}
          value={(value as string | undefined) ?? ""}
          onChange={(event) => change(event.target.value === "" ? undefined : event.target.value)}
        />
      );
    default:
      return <p className="hint">Written as JSON, in the other tab.</p>;
  }
}
