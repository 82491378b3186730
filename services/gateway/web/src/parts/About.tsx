/** The line below a job's type: why it waits or failed, else what it works on. */
import { useQuery } from "@tanstack/react-query";

import { itemQuery } from "../api/items";
import type { Job } from "../api/client";
import { subject } from "./subject";

export function About({ job }: { job: Job }) {
  const found = subject(job.params);
  const item = useQuery({ ...itemQuery(found.itemId ?? ""), enabled: found.itemId !== null });
  const on = item.data?.filename ?? found.words;
  if (job.status === "failed" && job.error) {
    return (
      <span className="about wrong" title={job.error}>
        {job.error}
      </span>
    );
  }
  if (job.waitingReason) {
    const words = [on, job.waitingReason].filter(Boolean).join(" · ");
    return (
      <span className="about waits" title={words}>
        {words}
      </span>
    );
  }
  return <span className="about">{on || job.id.slice(-12)}</span>;
}
