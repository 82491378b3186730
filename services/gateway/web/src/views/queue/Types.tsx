/** The scopes of single job types. */
import type { Queue } from "../../api/client";
import { useTypes } from "../../api/types";
import { TypeIcon } from "../../parts/job";
import { count } from "../../parts/words";
import { Limits } from "./Limits";
import { Needs } from "./Needs";
import { Pause } from "./Pause";

export function Types({ queues }: { queues: Queue[] }) {
  const types = useTypes();
  return (
    <section className="panel" aria-labelledby="types">
      <div className="panel-head">
        <h2 id="types">By job type</h2>
      </div>
      <div className="wide">
        <table className="plain">
          <thead>
            <tr>
              <th>Type</th>
              <th className="figure">Waiting</th>
              <th className="figure">Running</th>
              <th className="figure">Paused</th>
              <th>Limit</th>
              <th>Needs</th>
              <th>
                <span className="unseen">Pause</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {queues.map((queue) => {
              const type = types.data?.find((one) => one.type === queue.scope);
              return (
                <tr key={queue.scope}>
                  <td>
                    <span className="job-name">
                      <TypeIcon type={queue.scope} />
                      {queue.scope}
                    </span>
                  </td>
                  <td className="figure">{count(queue.pending)}</td>
                  <td className="figure">{count(queue.running + queue.queued)}</td>
                  <td className="figure">{count(queue.pausedJobs)}</td>
                  <td>
                    <Limits queue={queue} />
                  </td>
                  <td>{type && <Needs type={type} />}</td>
                  <td className="figure">
                    <Pause queue={queue} name={queue.scope} small />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}
