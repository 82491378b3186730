/** Makes a schedule, or changes one. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Drawer, Input, InputNumber, Select } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import type { Schedule } from "../../api/client";
import { useTypes } from "../../api/types";
import { NO_OBJECT, parsed } from "../../parts/json";

const CATCH_UP = [
  { value: "none", label: "are left out" },
  { value: "last", label: "are made up for once" },
  { value: "all", label: "are all made up for" },
] as const;

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

export default function Edit({
  schedule,
  close,
}: {
  schedule: Schedule | null;
  close: () => void;
}) {
  const queries = useQueryClient();
  const types = useTypes();
  const [name, setName] = useState(schedule?.name ?? "");
  const [cron, setCron] = useState(schedule?.cron ?? "0 3 * * *");
  const [timeZone, setTimeZone] = useState(schedule?.timeZone ?? zone());
  const [jitterS, setJitterS] = useState(schedule?.jitterS ?? 0);
  const [catchUp, setCatchUp] = useState<Schedule["catchUp"]>(schedule?.catchUp ?? "last");
  const [type, setType] = useState(schedule?.job.type ?? "");
  const [text, setText] = useState(JSON.stringify(schedule?.job.params ?? {}, null, 2));
  const params = parsed(text);
  const keep = useMutation({
    mutationFn: () => {
      const before = schedule?.job;
      const job = {
        type,
        params: params ?? {},
        ...(before && before.priority > 0 && { priority: before.priority }),
        ...(before?.uniqueKey && { uniqueKey: before.uniqueKey }),
        ...(before?.collection && { collection: before.collection }),
        ...(before?.maxRetries != null && { maxRetries: before.maxRetries }),
        ...(before?.vramRequired != null && { vramRequired: before.vramRequired }),
      };
      const times = { cron, timeZone, jitterS, catchUp };
      return schedule === null
        ? ok(api.POST("/api/schedules", { body: { name, ...times, job } }))
        : ok(
            api.PATCH("/api/schedules/{name}", {
              params: { path: { name: schedule.name } },
              body: { ...times, job },
            }),
          );
    },
    onSuccess: close,
    onSettled: () => queries.invalidateQueries({ queryKey: ["schedules"] }),
  });
  return (
    <Drawer
      open
      onClose={close}
      size={560}
      title={schedule === null ? "A new schedule" : schedule.name}
      footer={
        <div className="head-actions">
          <Button
            type="primary"
            loading={keep.isPending}
            disabled={name === "" || type === "" || params === null}
            onClick={() => keep.mutate()}
          >
            {schedule === null ? "Create" : "Save"}
          </Button>
          <Button onClick={close}>Close</Button>
        </div>
      }
    >
      <div className="schedule-form">
        {keep.error && <Alert type="error" showIcon title={keep.error.message} />}
        {schedule === null && (
          <div className="field">
            <label htmlFor="name">Name</label>
            <Input id="name" value={name} onChange={(event) => setName(event.target.value)} />
          </div>
        )}
        <div className="field">
          <label htmlFor="cron">When, as cron writes it</label>
          <Input
            id="cron"
            className="json"
            value={cron}
            onChange={(event) => setCron(event.target.value)}
          />
          <div className="hint">Minute, hour, day of the month, month, day of the week.</div>
        </div>
        <div className="field">
          <label htmlFor="zone">Time zone</label>
          <Input id="zone" value={timeZone} onChange={(event) => setTimeZone(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor="jitter">At most so many seconds later</label>
          <InputNumber
            id="jitter"
            min={0}
            max={86_400}
            value={jitterS}
            onChange={(value) => setJitterS(value ?? 0)}
          />
        </div>
        <div className="field">
          <label htmlFor="catch-up">Missed runs</label>
          <Select
            id="catch-up"
            style={{ width: "100%" }}
            value={catchUp}
            onChange={setCatchUp}
            options={[...CATCH_UP]}
          />
        </div>
        <div className="field">
          <label htmlFor="job-type">Job type</label>
          <Select
            id="job-type"
            showSearch
            style={{ width: "100%" }}
            {...(type !== "" && { value: type })}
            onChange={setType}
            options={(types.data ?? []).map((one) => ({ value: one.type, label: one.type }))}
          />
        </div>
        <div className="field">
          <label htmlFor="params">Its parameters, as JSON</label>
          <Input.TextArea
            id="params"
            className="json"
            rows={6}
            spellCheck={false}
            status={params === null ? "error" : ""}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          {params === null && <div className="fault">{NO_OBJECT}</div>}
        </div>
      </div>
    </Drawer>
  );
}
