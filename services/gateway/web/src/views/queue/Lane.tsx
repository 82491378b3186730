/** One category: how full it is, and the first of those that wait, each with its reason. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { api, ok } from "../../api/client";
import type { Category, Job, Queue } from "../../api/client";
import { useLive } from "../../live/live";
import { About } from "../../parts/About";
import { Priority, TypeIcon } from "../../parts/job";
import { When } from "../../parts/When";
import { category, count } from "../../parts/words";
import { Limits } from "./Limits";
import { Pause } from "./Pause";

const SHOWN = 8;
const LOOKED_AT = 100;

/** The first jobs of a lane in the order in which they will be looked at. */
function inOrder(jobs: Job[]): Job[] {
  return jobs
    .toSorted((one, other) => (one.queuePosition ?? Infinity) - (other.queuePosition ?? Infinity))
    .slice(0, SHOWN);
}

export function Lane({ queue, scope }: { queue: Queue; scope: Category }) {
  const { every } = useLive();
  const waiting = useQuery({
    queryKey: ["jobs", { lane: scope }],
    queryFn: () =>
      ok(
        api.GET("/api/media/jobs", {
          params: {
            query: {
              status: ["pending"],
              resourceCategory: [scope],
              limit: LOOKED_AT,
              sort: "createdAt",
            },
          },
        }),
      ),
    refetchInterval: every,
  });
  const first = inOrder(waiting.data?.data ?? []);
  return (
    <section
      className={queue.paused ? "panel lane paused" : "panel lane"}
      aria-label={category(scope)}
    >
      <div className="panel-head">
        <div>
          <h2>{category(scope)}</h2>
          <Limits queue={queue} />
        </div>
        <Pause queue={queue} name={category(scope)} small />
      </div>
      <dl className="lane-counts">
        <Count name="Running" value={queue.running + queue.queued} tone="running" />
        <Count name="Waiting" value={queue.pending} tone="pending" />
        <Count name="Paused" value={queue.pausedJobs} tone="paused" />
      </dl>
      {first.length === 0 ? (
        <p className="lane-empty">Nothing waits.</p>
      ) : (
        <ol className="lane-jobs">
          {first.map((job) => (
            <li key={job.id}>
              <TypeIcon type={job.type} />
              <div>
                <Link to={`/jobs/${job.id}`}>{job.type}</Link>
                <About job={job} />
              </div>
              <span className="faint">
                <When at={job.createdAt} />
              </span>
              <Priority value={job.priority} />
            </li>
          ))}
        </ol>
      )}
      {queue.pending > first.length && (
        <Link className="lane-more" to={`/jobs?status=pending&resource=${scope}`}>
          All {count(queue.pending)} that wait
        </Link>
      )}
    </section>
  );
}

function Count({ name, value, tone }: { name: string; value: number; tone: string }) {
  return (
    <div className={`status-${tone}`}>
      <dt>{name}</dt>
      <dd className="number">{count(value)}</dd>
    </div>
  );
}
