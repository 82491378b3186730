/** The pause of a scope, and its end. */
import { CaretRightOutlined, PauseOutlined } from "@ant-design/icons";
import { Button } from "antd";

import { api, ok } from "../../api/client";
import type { Queue } from "../../api/client";
import { useChange } from "../../parts/change";

export function Pause({
  queue,
  name,
  small = false,
}: {
  queue: Queue;
  name: string;
  small?: boolean;
}) {
  const params = { path: { scope: queue.scope } };
  const change = useChange(
    () =>
      queue.paused
        ? ok(api.POST("/api/queues/{scope}/resume", { params }))
        : ok(api.POST("/api/queues/{scope}/pause", { params })),
    "queues",
  );
  const words = queue.paused ? `Resume ${name}` : `Pause ${name}`;
  return (
    <Button
      size={small ? "small" : "middle"}
      type={queue.paused ? "primary" : "default"}
      icon={queue.paused ? <CaretRightOutlined /> : <PauseOutlined />}
      loading={change.isPending}
      aria-label={words}
      onClick={() => change.mutate()}
    >
      {small ? (queue.paused ? "Resume" : "Pause") : words}
    </Button>
  );
}
