/** What can be done to the chosen jobs. */
import { CloseOutlined } from "@ant-design/icons";
import { Button, InputNumber, Popover } from "antd";
import { useState } from "react";

import type { Job } from "../../api/client";
import { can } from "../../parts/job";
import { useActions } from "./actions";

export default function ActionBar({
  chosen,
  rows,
  clear,
}: {
  chosen: string[];
  rows: Job[];
  clear: () => void;
}) {
  const { act, ask } = useActions();
  const [priority, setPriority] = useState(5);
  const seen = rows.filter((job) => chosen.includes(job.id));
  const elsewhere = seen.length < chosen.length;
  const possible = (action: "retry" | "cancel" | "pause" | "resume") =>
    elsewhere || seen.some((job) => can(job, action));
  return (
    <div className="action-bar" role="toolbar" aria-label="Actions for the chosen jobs">
      <strong className="number">{chosen.length} chosen</strong>
      <Button disabled={!possible("retry")} onClick={() => void act("retry", chosen)}>
        Retry
      </Button>
      <Button disabled={!possible("pause")} onClick={() => void act("pause", chosen)}>
        Pause
      </Button>
      <Button disabled={!possible("resume")} onClick={() => void act("resume", chosen)}>
        Resume
      </Button>
      <Popover
        trigger="click"
        title="New priority, 1 is most urgent"
        content={
          <div className="head-actions">
            <InputNumber
              min={1}
              max={10}
              value={priority}
              aria-label="Priority"
              onChange={(value) => setPriority(value ?? 5)}
            />
            <Button type="primary" onClick={() => void act("reprioritise", chosen, priority)}>
              Set
            </Button>
          </div>
        }
      >
        <Button disabled={!possible("cancel")}>Priority</Button>
      </Popover>
      <Button danger disabled={!possible("cancel")} onClick={() => ask(chosen)}>
        Cancel …
      </Button>
      <Button type="text" icon={<CloseOutlined />} aria-label="Choose none" onClick={clear} />
    </div>
  );
}
