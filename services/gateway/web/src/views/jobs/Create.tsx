/** Creates a job: a form drawn from the schema of its type, and its parameters as JSON beside it. */
import { useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Drawer, Input, InputNumber, Select, Tabs } from "antd";
import { useMemo, useState } from "react";

import { api, ok, Refused } from "../../api/client";
import type { JobType } from "../../api/client";
import { useTypes } from "../../api/types";
import type { Params } from "../../parts/json";
import { NO_OBJECT, parsed } from "../../parts/json";
import { Priority, PRIORITY } from "../../parts/Priority";
import { category, mebibytes, said } from "../../parts/words";
import { ParamField } from "./ParamField";
import { fieldsOf } from "./schema";

interface Wish {
  type: string;
  params: Params;
  text: string | null;
  priority: number;
  retries: number;
  collection: string;
}

const NONE: Wish = { type: "", params: {}, text: null, priority: 5, retries: 3, collection: "" };

export default function Create({
  close,
  created,
}: {
  close: () => void;
  created: (id: string) => void;
}) {
  const types = useTypes();
  const queries = useQueryClient();
  const [wish, setWish] = useState<Wish>(NONE);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const type = types.data?.find((one) => one.type === wish.type);
  const fields = useMemo(() => (type ? fieldsOf(type.paramsSchema) : []), [type]);
  const change = (part: Partial<Wish>) => setWish((before) => ({ ...before, ...part }));
  const broken = wish.text !== null && parsed(wish.text) === null;
  const faults = error instanceof Refused ? error.fields : [];

  const set = (key: string, value: unknown) => {
    const params = Object.fromEntries(
      Object.entries({ ...wish.params, [key]: value }).filter(
        ([, one]) => one !== undefined && one !== null,
      ),
    );
    change({ params, text: null });
  };
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      const job = await ok(
        api.POST("/api/media/jobs", {
          body: {
            type: wish.type,
            params: wish.params,
            priority: wish.priority,
            maxRetries: wish.retries,
            ...(wish.collection !== "" && { collection: wish.collection }),
          },
        }),
      );
      void queries.invalidateQueries({ queryKey: ["jobs"] });
      void queries.invalidateQueries({ queryKey: ["stats"] });
      created(job.id);
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(said(reason)));
      setBusy(false);
    }
  };
  return (
    <Drawer
      open
      onClose={close}
      size={640}
      title="Create a job"
      footer={
        <div className="head-actions">
          <Button
            type="primary"
            loading={busy}
            disabled={wish.type === "" || broken}
            onClick={() => void send()}
          >
            Create
          </Button>
          <Button onClick={close}>Close</Button>
        </div>
      }
    >
      <div className="detail">
        {error && <Alert type="error" showIcon title={error.message} />}
        <div className="field">
          <label htmlFor="type">Type</label>
          <Select
            id="type"
            showSearch
            autoFocus
            className="whole"
            style={{ width: "100%" }}
            placeholder="What is to be done"
            {...(wish.type !== "" && { value: wish.type })}
            onChange={(value: string) => change({ ...NONE, type: value, priority: wish.priority })}
            options={grouped(types.data ?? [])}
          />
          {type && (
            <div className="hint">
              {type.description} {category(type.resourceCategory)}
              {type.vramRequired > 0 && `, ${mebibytes(type.vramRequired)} of VRAM`}.
            </div>
          )}
        </div>
        {type && (
          <Tabs
            items={[
              {
                key: "form",
                label: "Form",
                children: (
                  <div className="create-grid">
                    {fields.map((field) => (
                      <ParamField
                        key={field.key}
                        field={field}
                        value={wish.params[field.key]}
                        fault={faults.find((one) => one.field.endsWith(field.key))?.message}
                        change={(value) => set(field.key, value)}
                      />
                    ))}
                    {fields.length === 0 && <p className="faint">It takes no parameters.</p>}
                  </div>
                ),
              },
              {
                key: "json",
                label: "JSON",
                children: (
                  <div className="field">
                    <label htmlFor="json">Parameters</label>
                    <Input.TextArea
                      id="json"
                      className="json"
                      rows={12}
                      spellCheck={false}
                      status={broken ? "error" : ""}
                      value={wish.text ?? JSON.stringify(wish.params, null, 2)}
                      onChange={(event) => {
                        const text = event.target.value;
                        change({ text, params: parsed(text) ?? wish.params });
                      }}
                    />
                    {broken && <div className="fault">{NO_OBJECT}</div>}
                  </div>
                ),
              },
            ]}
          />
        )}
        <div className="field">
          <label>{PRIORITY}</label>
          <Priority value={wish.priority} set={(priority) => change({ priority })} />
        </div>
        <div className="create-grid">
          <div className="field">
            <label htmlFor="retries">Retries</label>
            <InputNumber
              id="retries"
              min={0}
              max={20}
              style={{ width: "100%" }}
              value={wish.retries}
              onChange={(value) => change({ retries: value ?? 3 })}
            />
          </div>
          <div className="field">
            <label htmlFor="collection">Collection</label>
            <Input
              id="collection"
              placeholder="None"
              value={wish.collection}
              onChange={(event) => change({ collection: event.target.value })}
            />
          </div>
        </div>
      </div>
    </Drawer>
  );
}

function grouped(types: JobType[]) {
  const categories = [...new Set(types.map((one) => one.resourceCategory))];
  return categories.map((one) => ({
    label: category(one),
    title: one,
    options: types
      .filter((type) => type.resourceCategory === one)
      .map((type) => ({ value: type.type, label: type.type })),
  }));
}
