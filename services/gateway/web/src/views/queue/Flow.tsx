/** How the queue flows: all jobs of a day by the hour, and how long they had waited. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, ok } from "../../api/client";
import { useLive } from "../../live/live";
import { Chart } from "../../parts/Chart";
import { count, lasting } from "../../parts/words";

const HOUR_S = 3600;

/** Steps of a scale that counts: there is no half a job. */
const WHOLE = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

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
  const day = useQuery({
    queryKey: ["stats", "hours"],
    queryFn: async () => (await ok(api.GET("/api/media/jobs/hours"))).data,
    refetchInterval: every,
  });
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
  const waits = useMemo(() => {
    const values = (name: "longestWait" | "averageWait") => {
      const found = (day.data ?? []).map((one) => one[name] ?? null);
      return [...found, ...found.slice(-1)];
    };
    return [
      { name: "longest", colour: "#5b6cf0", values: values("longestWait") },
      { name: "mean", colour: "#1f9d57", values: values("averageWait") },
    ];
  }, [day.data]);
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
          <Chart
            label="Jobs by the hour, in a day"
            times={hours}
            lines={throughput}
            steps={WHOLE}
          />
        </div>
      </section>
      <section className="panel" aria-labelledby="waits">
        <div className="panel-head">
          <div>
            <h2 id="waits">Waits</h2>
            <p>How long jobs had waited before their first attempt, by the hour of it</p>
          </div>
          {stats.data && (
            <b className="number">{lasting(stats.data.averageProcessingTime)} to do one</b>
          )}
        </div>
        <div className="panel-body">
          <Chart label="Waits by the hour, in a day" times={hours} lines={waits} format={lasting} />
        </div>
      </section>
    </div>
  );
}
