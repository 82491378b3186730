/** A job on one line of a short list, in views that are about something else. */
import { Link } from "react-router";

import type { Job } from "../api/client";
import { About } from "./About";
import { Bar, StatusMark, TypeIcon } from "./job";
import { When } from "./When";

export function JobLine({ job }: { job: Job }) {
  return (
    <li className="job-line">
      <div className="job-name">
        <TypeIcon type={job.type} />
        <div>
          <Link to={`/jobs/${job.id}`}>{job.type}</Link>
          <About job={job} />
        </div>
      </div>
      <StatusMark status={job.status} />
      <Bar job={job} />
      <span className="faint">
        <When at={job.createdAt} />
      </span>
    </li>
  );
}
