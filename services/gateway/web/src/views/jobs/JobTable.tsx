/** The table of jobs: a row is drawn again only when its own job changes. */
import { memo } from "react";
import { Link } from "react-router";

import type { Job } from "../../api/client";
import { askedOf, Bar, Priority, StatusMark, TypeIcon } from "../../parts/job";
import { When } from "../../parts/When";
import { category } from "../../parts/words";
import { About } from "../../parts/About";
import { JobMenu } from "./JobMenu";

interface Props {
  jobs: Job[];
  /** The job whose details are open. */
  shown: string | undefined;
  search: string;
  open: (id: string) => void;
  chosen: readonly string[];
  /** Choose jobs, or leave them out; absent where nothing can be done to several. */
  choose?: (ids: string[], on: boolean) => void;
}

export function JobTable({ jobs, shown, search, open, chosen, choose }: Props) {
  const here = jobs.filter((job) => chosen.includes(job.id)).length;
  return (
    <table className="jobs">
      <thead>
        <tr>
          {choose && (
            <th className="job-pick">
              <Pick
                label="Choose all of this page"
                on={here === jobs.length}
                some={here > 0 && here < jobs.length}
                change={(on) =>
                  choose(
                    jobs.map((job) => job.id),
                    on,
                  )
                }
              />
            </th>
          )}
          <th>Job</th>
          <th className="job-status">Status</th>
          <th className="job-progress">Progress</th>
          <th className="job-priority">Priority</th>
          <th className="job-resource">Resource</th>
          <th className="job-at">Created</th>
          <th className="job-at job-later">Started</th>
          <th className="job-at job-later">Completed</th>
          <th className="job-menu">
            <span className="unseen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {jobs.map((job) => (
          <Row
            key={job.id}
            job={job}
            shown={job.id === shown}
            search={search}
            open={open}
            chosen={chosen.includes(job.id)}
            choose={choose}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps extends Pick<Props, "search" | "open"> {
  job: Job;
  shown: boolean;
  chosen: boolean;
  choose: Props["choose"] | undefined;
}

const Row = memo(function Row({ job, shown, search, open, chosen, choose }: RowProps) {
  return (
    <tr
      className={["row", `is-${job.status}`, shown && "shown", chosen && "picked"]
        .filter(Boolean)
        .join(" ")}
      data-job={job.id}
      onClick={(event) => {
        if (!isControl(event.target)) open(job.id);
      }}
    >
      {choose && (
        <td className="job-pick">
          <Pick
            label={`Choose ${job.type} ${job.id}`}
            on={chosen}
            change={(on) => choose([job.id], on)}
          />
        </td>
      )}
      <td className="job-what">
        <div className="job-name">
          <TypeIcon type={job.type} />
          <div>
            <Link to={`/jobs/${job.id}${search}`}>{job.type}</Link>
            <About job={job} />
          </div>
        </div>
      </td>
      <td className="job-status">
        <StatusMark status={job.status} asked={askedOf(job)} />
      </td>
      <td className="job-progress">
        {job.status === "pending" && job.progress === 0 ? (
          <span className="faint">–</span>
        ) : (
          <Bar job={job} />
        )}
      </td>
      <td className="job-priority">
        <Priority value={job.priority} />
      </td>
      <td className="job-resource">{category(job.resourceCategory)}</td>
      <td className="job-at">
        <When at={job.createdAt} />
      </td>
      <td className="job-at job-later">
        <When at={job.startedAt} />
      </td>
      <td className="job-at job-later">
        <When at={job.completedAt} />
      </td>
      <td className="job-menu">
        <JobMenu job={job} />
      </td>
    </tr>
  );
});

interface PickProps {
  label: string;
  on: boolean;
  /** Some of what it stands for is chosen. */
  some?: boolean;
  change: (on: boolean) => void;
}

function Pick({ label, on, some = false, change }: PickProps) {
  return (
    <label className="pick">
      <input
        type="checkbox"
        aria-label={label}
        checked={on}
        ref={(box) => {
          if (box) box.indeterminate = some;
        }}
        onChange={(event) => change(event.target.checked)}
      />
    </label>
  );
}

function isControl(target: EventTarget): boolean {
  // Menus lie elsewhere in the document, but their clicks come up through the row.
  return (
    target instanceof Element &&
    (target.closest("a, button, input, label") !== null || target.closest("tr.row") === null)
  );
}
