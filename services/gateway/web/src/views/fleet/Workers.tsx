/** The fleet: what each worker holds, how loaded its host is, and its drain. */
import { App, Button, Tag, Tooltip } from "antd";

import { api, ok } from "../../api/client";
import type { Worker } from "../../api/client";
import { useChange } from "../../parts/change";
import { TypeIcon } from "../../parts/job";
import { When } from "../../parts/When";

const PIPS_MAX = 16;
const BUSY = 1;

export function Workers({ workers }: { workers: Worker[] }) {
  return (
    <ul className="workers">
      {workers.map((worker) => (
        <li key={worker.id} className="panel worker">
          <div className="worker-name">
            <b>{worker.id}</b>
            <span className="faint">
              {worker.host} · {worker.version}
            </span>
          </div>
          <State worker={worker} />
          <Slots worker={worker} />
          <div className="worker-load">
            <span className="faint">Load</span>
            <b className="number">{Math.round(worker.load * 100)} %</b>
            <span className="bar-track" aria-hidden="true">
              <span
                className={worker.load > BUSY ? "load-fill load-high" : "load-fill"}
                style={{ transform: `scaleX(${Math.min(1, worker.load)})` }}
              />
            </span>
          </div>
          <div className="worker-types">
            {worker.types.map((type) => (
              <Tooltip key={type} title={type}>
                <span tabIndex={0} role="img" aria-label={type}>
                  <TypeIcon type={type} />
                </span>
              </Tooltip>
            ))}
          </div>
          <Steer worker={worker} />
        </li>
      ))}
    </ul>
  );
}

function State({ worker }: { worker: Worker }) {
  return (
    <div className="worker-state">
      {worker.draining ? (
        <Tag color="warning">drains</Tag>
      ) : worker.leaving ? (
        <Tag>leaves</Tag>
      ) : worker.connected ? (
        <span className="status status-completed">
          <i />
          connected
        </span>
      ) : (
        <span className="status status-failed">
          <i />
          away
        </span>
      )}
      {worker.softwareGpu && <Tag>software GPU</Tag>}
      {worker.sandboxLacks.length > 0 && (
        <Tooltip title={`Its decoders go without: ${worker.sandboxLacks.join(", ")}`}>
          <Tag color="warning">sandbox incomplete</Tag>
        </Tooltip>
      )}
      <span className="faint">
        heard <When at={worker.lastHeartbeatAt} />
      </span>
    </div>
  );
}

function Slots({ worker }: { worker: Worker }) {
  const pips = Math.min(worker.slots, PIPS_MAX);
  return (
    <div className="worker-slots">
      <span className="faint">Slots</span>
      <b className="number">
        {worker.leases} of {worker.slots}
      </b>
      <span className="pips" aria-hidden="true">
        {Array.from({ length: pips }, (_, index) => (
          <i key={index} className={index < worker.leases ? "pip taken" : "pip"} />
        ))}
      </span>
    </div>
  );
}

function Steer({ worker }: { worker: Worker }) {
  const { modal } = App.useApp();
  const params = { path: { worker_id: worker.id } };
  const change = useChange(
    () =>
      worker.draining
        ? ok(api.POST("/api/workers/{worker_id}/resume", { params }))
        : ok(api.POST("/api/workers/{worker_id}/drain", { params })),
    "workers",
  );
  const ask = () =>
    void modal.confirm({
      title: `Drain ${worker.id}?`,
      content:
        "It gets no more jobs and finishes what it has. You can let it work again at any time.",
      okText: "Drain",
      onOk: () => change.mutateAsync(),
    });
  return (
    <Button loading={change.isPending} onClick={() => (worker.draining ? change.mutate() : ask())}>
      {worker.draining ? "Let it work" : "Drain …"}
    </Button>
  );
}
