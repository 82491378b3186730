/** What is being sent: each file with its bar, and the ways to stop it, to go on and to drop it. */
import { CaretRightOutlined, CloseOutlined, PauseOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { ReactNode } from "react";
import { useSyncExternalStore } from "react";
import { Link } from "react-router";

import { Progress } from "../../parts/job";
import { bytes } from "../../parts/words";
import type { Sent } from "./sending";
import { all, drop, listen, resume, stop } from "./sending";

export function Uploads() {
  const uploads = useSyncExternalStore(listen, all);
  if (uploads.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="uploads">
      <div className="panel-head">
        <h2 id="uploads">Uploads</h2>
        {uploads.some((one) => one.state === "done") && (
          <Button
            type="link"
            size="small"
            onClick={() =>
              uploads.forEach((one) => {
                if (one.state === "done") void drop(one.key);
              })
            }
          >
            Clear what is done
          </Button>
        )}
      </div>
      <ul className="uploads">
        {uploads.map((one) => (
          <Line key={one.key} one={one} />
        ))}
      </ul>
    </section>
  );
}

const TONES = {
  sending: "running",
  stopped: "paused",
  done: "completed",
  failed: "failed",
} as const;

function Line({ one }: { one: Sent }) {
  const percent = one.bytes === 0 ? 100 : Math.floor((one.sent / one.bytes) * 100);
  return (
    <li>
      <div className="upload-name">
        <b title={one.name}>{one.name}</b>
        <span className={one.state === "failed" ? "about wrong" : "about"}>{wordsOf(one)}</span>
      </div>
      <Progress of={`Sent of ${one.name}`} tone={TONES[one.state]} percent={percent} />
      <span className="upload-steps">
        {one.state === "sending" && (
          <Step icon={<PauseOutlined />} name={`Stop ${one.name}`} act={() => void stop(one.key)} />
        )}
        {(one.state === "stopped" || one.state === "failed") && (
          <Step
            icon={<CaretRightOutlined />}
            name={`Go on with ${one.name}`}
            act={() => resume(one.key)}
          />
        )}
        <Step icon={<CloseOutlined />} name={`Drop ${one.name}`} act={() => void drop(one.key)} />
      </span>
    </li>
  );
}

function wordsOf(one: Sent): ReactNode {
  if (one.state === "failed") return one.reason;
  if (one.state === "stopped") return `Stopped at ${bytes(one.sent)} of ${bytes(one.bytes)}`;
  if (one.state === "sending") return `${bytes(one.sent)} of ${bytes(one.bytes)}`;
  if (one.jobId === null) return `${bytes(one.bytes)}, arrived`;
  return (
    <>
      {bytes(one.bytes)}, arrived; <Link to={`/jobs/${one.jobId}`}>a job reads it</Link>
    </>
  );
}

function Step({ icon, name, act }: { icon: ReactNode; name: string; act: () => void }) {
  return (
    <Button type="text" size="small" icon={icon} aria-label={name} title={name} onClick={act} />
  );
}
