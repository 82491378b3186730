/** What jobs of a type need: as declared, or as it was changed, beside what was learned of them. */
import { Button, Switch } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import type { JobType } from "../../api/client";
import { useChange } from "../../parts/change";
import { count, lasting, mebibytes } from "../../parts/words";
import { Amount, FormButton } from "./FormButton";

function said(type: JobType): string {
  const limit = `${lasting(type.runLimit)} at most`;
  return type.vramRequired > 0 ? `${mebibytes(type.vramRequired)}, ${limit}` : limit;
}

/** What was learned of all sizes together. */
function lesson({ learned: [all] }: JobType): string {
  if (all === undefined || all.runs === 0) return "Nothing was learned yet.";
  const runs = `In ${count(all.runs)} runs half took at most ${lasting(all.medianRunTime)}, 95 % at most ${lasting(all.p95RunTime)}`;
  return all.vramRequired === null ? `${runs}.` : `${runs}, with ${mebibytes(all.vramRequired)}.`;
}

export function Needs({ type }: { type: JobType }) {
  return (
    <FormButton
      words={said(type)}
      label={`Needs of ${type.type}: ${said(type)}`}
      title={`What ${type.type} needs`}
      form={(close) => <Form type={type} done={close} />}
    />
  );
}

function Form({ type, done }: { type: JobType; done: () => void }) {
  const onGpu = type.resourceCategory !== "cpu";
  const [vram, setVram] = useState(type.changed.vramRequired);
  const [limit, setLimit] = useState(type.changed.runLimit);
  const [learned, setLearned] = useState(type.applyLearned);
  const body = {
    ...(limit !== type.changed.runLimit && { runLimit: limit }),
    ...(vram !== type.changed.vramRequired && { vramRequired: vram }),
    ...(learned !== type.applyLearned && { applyLearned: learned }),
  };
  const params = { path: { job_type: type.type } };
  const change = useChange(
    () => ok(api.PATCH("/api/media/job-types/{job_type}", { params, body })),
    "types",
    done,
  );
  return (
    <div className="limit-form">
      {onGpu && (
        <Amount
          id="vram"
          name="VRAM, in MiB"
          min={0}
          value={vram}
          usual={String(type.declared.vramRequired)}
          change={setVram}
        />
      )}
      <Amount
        id="run-limit"
        name="Seconds an attempt may run"
        min={1}
        value={limit}
        usual={String(type.declared.runLimit)}
        change={setLimit}
      />
      {onGpu && (
        <>
          <label htmlFor="learned">Charge what was learned</label>
          <Switch id="learned" checked={learned} onChange={setLearned} />
        </>
      )}
      <p className="hint">Empty stands for what is declared. {lesson(type)}</p>
      <Button type="primary" loading={change.isPending} onClick={() => change.mutate()}>
        Set
      </Button>
    </div>
  );
}
