/** How many jobs of a scope may run at once. */
import { Button } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import type { Queue } from "../../api/client";
import { useChange } from "../../parts/change";
import { Amount, FormButton } from "./FormButton";

function said(queue: Queue): string {
  const parts = [
    queue.hostLimit !== null && `${queue.hostLimit} a host`,
    queue.fleetLimit !== null && `${queue.fleetLimit} in all`,
  ].filter(Boolean);
  return parts.length > 0 ? `At most ${parts.join(", ")}` : "No limit";
}

export function Limits({ queue }: { queue: Queue }) {
  return (
    <FormButton
      words={said(queue)}
      label={`Limit of ${queue.scope}: ${said(queue)}`}
      title="Jobs that may run at once"
      form={(close) => <Form queue={queue} done={close} />}
    />
  );
}

function Form({ queue, done }: { queue: Queue; done: () => void }) {
  const [host, setHost] = useState(queue.hostLimit);
  const [fleet, setFleet] = useState(queue.fleetLimit);
  const body = {
    scope: queue.scope,
    ...(host !== queue.hostLimit && { hostLimit: host }),
    ...(fleet !== queue.fleetLimit && { fleetLimit: fleet }),
  };
  const change = useChange(() => ok(api.PATCH("/api/queues", { body })), "queues", done);
  return (
    <div className="limit-form">
      <Amount
        id="host-limit"
        name="On one host"
        min={0}
        max={10_000}
        value={host}
        usual="no limit"
        change={setHost}
      />
      <Amount
        id="fleet-limit"
        name="In the whole fleet"
        min={0}
        max={1_000_000}
        value={fleet}
        usual="no limit"
        change={setFleet}
      />
      <Button type="primary" loading={change.isPending} onClick={() => change.mutate()}>
        Set
      </Button>
    </div>
  );
}
