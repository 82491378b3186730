/** One Immich server: whether it is reached, the pause of its controller, how many queues may run, and its queues. */
import { CaretRightOutlined, PauseOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useState } from "react";

import type { ImmichServer } from "../../api/client";
import { When } from "../../parts/When";
import { Amount, FormButton } from "../queue/FormButton";
import { Queues } from "./Queues";
import { useServerChange } from "./change";

const LIMIT_MAX = 100;
const REACH = {
  reached: { tone: "completed", words: "reached" },
  unreachable: { tone: "failed", words: "unreachable" },
  silent: { tone: "cancelled", words: "no controller" },
} as const;

export function Server({ server }: { server: ImmichServer }) {
  const { tone, words } = REACH[server.reach];
  return (
    <section className="panel immich" aria-label={`Immich server ${server.name}`}>
      <div className="panel-head">
        <div>
          <h2>{server.name}</h2>
          <p>{[server.address, server.version].filter(Boolean).join(" · ")}</p>
        </div>
        <div className="head-actions">
          {server.reach !== "silent" && !server.applied && (
            <span className="faint">taken over in a moment</span>
          )}
          <span className={`status status-${tone}`}>
            <i />
            {words}
          </span>
          <Limit server={server} />
          <Pause server={server} />
        </div>
      </div>
      <Notices server={server} />
      {server.queues.length > 0 && <Queues server={server} />}
    </section>
  );
}

/** What is not as usual. */
function Notices({ server }: { server: ImmichServer }) {
  return (
    <div className="immich-notices" role="status">
      {server.reach === "silent" && (
        <p className="note wrong">
          <b>No controller reports.</b>{" "}
          {server.reportedAt && (
            <>
              The last did <When at={server.reportedAt} />; what is shown is as old.
            </>
          )}
        </p>
      )}
      {server.error !== null && (
        <p className="note wrong">
          <b>The server is not reached.</b> {server.error}{" "}
          {server.reachedAt && (
            <>
              It was <When at={server.reachedAt} />; its queues are shown as they were.
            </>
          )}
        </p>
      )}
      {server.paused && (
        <p className="note">
          <b>The controller is paused{server.pausedBy && ` by ${server.pausedBy}`}.</b> What runs
          goes on, what is paused stays paused.
        </p>
      )}
    </div>
  );
}

function Pause({ server }: { server: ImmichServer }) {
  const change = useServerChange(server.name);
  const words = server.paused ? "Resume" : "Pause";
  return (
    <Button
      type={server.paused ? "primary" : "default"}
      icon={server.paused ? <CaretRightOutlined /> : <PauseOutlined />}
      loading={change.isPending}
      aria-label={`${words} the controller of ${server.name}`}
      onClick={() => change.mutate({ paused: !server.paused })}
    >
      {words}
    </Button>
  );
}

function said({ limit }: ImmichServer): string {
  return limit === 0 ? "None begins" : `At most ${limit} at once`;
}

function Limit({ server }: { server: ImmichServer }) {
  return (
    <FormButton
      words={said(server)}
      label={`Queues at once of ${server.name}: ${said(server)}`}
      title="Queues that may run at once"
      form={(close) => <LimitForm server={server} done={close} />}
    />
  );
}

function LimitForm({ server, done }: { server: ImmichServer; done: () => void }) {
  const [limit, setLimit] = useState(server.limitIsOwn ? null : server.limit);
  const [interval, setSeconds] = useState(server.intervalIsOwn ? null : server.interval);
  const change = useServerChange(server.name, done);
  return (
    <div className="limit-form">
      <Amount
        id="immich-limit"
        name="At once"
        min={0}
        max={LIMIT_MAX}
        value={limit}
        usual="as set there"
        change={setLimit}
      />
      <Amount
        id="immich-interval"
        name="Seconds between looks"
        min={0.5}
        max={3600}
        value={interval}
        usual="as set there"
        change={setSeconds}
      />
      <p className="hint">
        Empty: what the controller’s settings say. 0: none begins. What runs goes on to its end.
      </p>
      <Button
        type="primary"
        loading={change.isPending}
        onClick={() => change.mutate({ limit, interval })}
      >
        Set
      </Button>
    </div>
  );
}
