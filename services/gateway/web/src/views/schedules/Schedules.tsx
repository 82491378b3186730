/** The view Schedules: jobs that are submitted again and again. */
import { CaretRightOutlined, DeleteOutlined, PauseOutlined, PlusOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { App, Button } from "antd";
import { lazy, Suspense, useState } from "react";
import { Link, useNavigate } from "react-router";

import { api, ok } from "../../api/client";
import type { Schedule } from "../../api/client";
import { useLive } from "../../live/live";
import { useChange } from "../../parts/change";
import { Head } from "../../parts/head";
import { TypeIcon } from "../../parts/job";
import { Loaded } from "../../parts/Loaded";
import { When } from "../../parts/When";
import "./schedules.css";

const Edit = lazy(() => import("./Edit"));
const EVERY = 5;

export default function Schedules() {
  const { every } = useLive();
  const [edited, setEdited] = useState<Schedule | "new" | null>(null);
  const schedules = useQuery({
    queryKey: ["schedules"],
    queryFn: async () => (await ok(api.GET("/api/schedules"))).data,
    refetchInterval: every === false ? 10_000 : every * EVERY,
  });
  return (
    <>
      <Head title="Schedules" note="Jobs that are submitted again and again.">
        <Button type="primary" icon={<PlusOutlined />} onClick={() => setEdited("new")}>
          New schedule
        </Button>
      </Head>
      <Loaded query={schedules} alone empty="There is no schedule yet.">
        {(data) => (
          <ul className="schedules">
            {data.map((schedule) => (
              <Row key={schedule.name} schedule={schedule} edit={() => setEdited(schedule)} />
            ))}
          </ul>
        )}
      </Loaded>
      <Suspense fallback={null}>
        {edited !== null && (
          <Edit schedule={edited === "new" ? null : edited} close={() => setEdited(null)} />
        )}
      </Suspense>
    </>
  );
}

function useSteps({ name, pausedAt }: Schedule) {
  const navigate = useNavigate();
  const params = { path: { name } };
  const pause = useChange(
    () =>
      pausedAt === null
        ? ok(api.POST("/api/schedules/{name}/pause", { params }))
        : ok(api.POST("/api/schedules/{name}/resume", { params })),
    "schedules",
  );
  const run = useChange(
    () => ok(api.POST("/api/schedules/{name}/run", { params })),
    "schedules",
    ({ jobId }) => void navigate(`/jobs/${jobId}`),
  );
  const forget = useChange(() => ok(api.DELETE("/api/schedules/{name}", { params })), "schedules");
  return { pause, run, forget };
}

function Row({ schedule, edit }: { schedule: Schedule; edit: () => void }) {
  const { modal } = App.useApp();
  const { pause, run, forget } = useSteps(schedule);
  const paused = schedule.pausedAt !== null;
  const ask = () =>
    void modal.confirm({
      title: `Forget the schedule ${schedule.name}?`,
      content: "Its jobs stay as they are.",
      okText: "Forget it",
      okButtonProps: { danger: true },
      onOk: () => forget.mutateAsync(),
    });
  return (
    <li className="panel schedule">
      <TypeIcon type={schedule.job.type} />
      <div className="schedule-name">
        <Button type="link" onClick={edit}>
          {schedule.name}
        </Button>
        <span className="faint">{schedule.job.type}</span>
      </div>
      <div>
        <code>{schedule.cron}</code>
        <span className="about">{schedule.timeZone}</span>
      </div>
      <div>
        {paused ? "paused" : <When at={schedule.nextRunAt} />}
        <span className="about">{paused ? "submits nothing" : "next run"}</span>
      </div>
      <div>
        {schedule.lastJobId === null ? (
          <span className="faint">–</span>
        ) : (
          <Link to={`/jobs/${schedule.lastJobId}`}>
            <When at={schedule.lastTickAt ?? schedule.createdAt} />
          </Link>
        )}
        <span className="about">{schedule.lastError ?? "last run"}</span>
      </div>
      <div className="head-actions">
        <Button loading={run.isPending} onClick={() => run.mutate()}>
          Run now
        </Button>
        <Button
          icon={paused ? <CaretRightOutlined /> : <PauseOutlined />}
          aria-label={paused ? `Resume ${schedule.name}` : `Pause ${schedule.name}`}
          loading={pause.isPending}
          onClick={() => pause.mutate()}
        />
        <Button
          danger
          type="text"
          icon={<DeleteOutlined />}
          aria-label={`Forget ${schedule.name}`}
          onClick={ask}
        />
      </div>
    </li>
  );
}
