/** How the queue flows: all jobs of a day by the hour, and how long the newest had waited. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, ok } from "../../api/client";
import { useLive } from "../../live/live";
import { Chart } from "../../parts/Chart";
import { count, lasting } from "../../parts/words";
import { waitsOf } from "./history";

const LOOKED_AT = 200;
const HOUR_S = 3600;

/** The end of the last hour after the beginnings of all, so that the last hour has a width as the others. */
function withEnd(beginnings: number[]): number[] {
  const last = beginnings.at(-1);
  return last === undefined ? [] : [...beginnings, last + HOUR_S];
}

export default function Flow() {
  const { every } = useLive();
  const stats = useQuery({
    queryKey: ["stats"],
    queryFn: () => ok(api.GET("/api/media/jobs/stats")),
    refetchInterval: every,
  });
  const done = useQuery({
    queryKey: ["jobs", { flow: true }],
    queryFn: () =>
      ok(
        api.GET("/api/media/jobs", {
          params: { query: { status: ["completed", "failed", "running"], limit: LOOKED_AT } },
        }),
      ),
    refetchInterval: every,
  });
  const day = useQuery({
    queryKey: ["stats", "hours"],
    queryFn: async () => (await ok(api.GET("/api/media/jobs/hours"))).data,
    refetchInterval: every,
  });
  const jobs = done.data?.data;
  const flow = useMemo(() => waitsOf(jobs ?? [], done.dataUpdatedAt), [jobs, done.dataUpdatedAt]);
  const hours = useMemo(
    () => withEnd((day.data ?? []).map((one) => Date.parse(one.hour) / 1000)),
    [day.data],
  );
  const throughput = useMemo(() => {
    const values = (name: "created" | "completed" | "failed") => {
      const found = (day.data ?? []).map((one) => one[name] ?? 0);
      return [...found, ...found.slice(-1)];
    };
    return [
      { name: "created", colour: "#5b6cf0", values: values("created") },
      { name: "completed", colour: "#1f9d57", values: values("completed") },
      { name: "failed", colour: "#d93a3a", values: values("failed") },
    ];
  }, [day.data]);
  const waits = useMemo(
    () => [{ name: "longest wait", colour: "#5b6cf0", values: flow.waits }],
    [flow],
  );
  const note =
    jobs && jobs.length >= LOOKED_AT ? `of the newest ${LOOKED_AT} jobs` : "in the last hour";
  return (
    <div className="flows">
      <section className="panel" aria-labelledby="throughput">
        <div className="panel-head">
          <div>
            <h2 id="throughput">Throughput</h2>
            <p>All jobs created, completed and failed by the hour, in a day</p>
          </div>
          {stats.data && (
            <b className="number">{count(stats.data.throughput.completedLastHour)} an hour</b>
          )}
        </div>
        <div className="panel-body">
          <Chart label="Jobs by the hour, in a day" times={hours} lines={throughput} />
        </div>
      </section>
      <section className="panel" aria-labelledby="waits">
        <div className="panel-head">
          <div>
            <h2 id="waits">Waits</h2>
            <p>The longest wait of what started in a minute, {note}</p>
          </div>
          {stats.data && (
            <b className="number">{lasting(stats.data.averageProcessingTime)} to do one</b>
          )}
        </div>
        <div className="panel-body">
          <Chart
            label="The longest wait by the minute"
            times={flow.minutes}
            lines={waits}
            bars
            format={lasting}
          />
        </div>
      </section>
    </div>
  );
}
