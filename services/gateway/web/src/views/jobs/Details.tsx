/** One job with everything: where it is, why it waits, its attempts, its log, what it was asked and what came of it. */
import { useQuery } from "@tanstack/react-query";
import { Button, Drawer, Skeleton } from "antd";
import type { ReactNode } from "react";
import { useState } from "react";
import { Link } from "react-router";

import { api, ok } from "../../api/client";
import type { JobDetails } from "../../api/client";
import { itemQuery } from "../../api/items";
import { may, useSession } from "../../api/session";
import { useLive } from "../../live/live";
import { askedOf, Bar, can, isFinal, StatusMark, TypeIcon } from "../../parts/job";
import { Priority, PRIORITY } from "../../parts/Priority";
import { Failure } from "../../parts/states";
import { useNow, When } from "../../parts/When";
import { category, count, instant, lasting, mebibytes } from "../../parts/words";
import { useActions } from "./actions";
import { Log } from "./Log";
import { subject } from "../../parts/subject";

const AGAIN_MS = 5_000;

export default function Details({ id, close }: { id: string; close: () => void }) {
  const { every, held } = useLive();
  const job = useQuery({
    queryKey: ["job", id],
    queryFn: () => ok(api.GET("/api/media/jobs/{job_id}", { params: { path: { job_id: id } } })),
    // No event tells of the place in the queue and of what is predicted.
    refetchInterval: ({ state }) =>
      every || held || (state.data && isFinal(state.data.status)) ? every : AGAIN_MS,
  });
  return (
    <Drawer
      open
      rootClassName="job-drawer"
      onClose={close}
      size={720}
      title={
        job.data ? (
          <div className="detail-head">
            <TypeIcon type={job.data.type} />
            <div className="detail-title">
              <div>{job.data.type}</div>
              <code>{id}</code>
            </div>
          </div>
        ) : (
          "Job"
        )
      }
      extra={job.data && <Actions job={job.data} />}
    >
      {job.isError && !job.data ? (
        <Failure error={job.error} again={() => void job.refetch()} />
      ) : job.data ? (
        <Everything job={job.data} />
      ) : (
        <Skeleton active paragraph={{ rows: 8 }} />
      )}
    </Drawer>
  );
}

function Actions({ job }: { job: JobDetails }) {
  const { data: session } = useSession();
  const { step, ask } = useActions();
  if (!may(session, "SUBMITTER")) return null;
  return (
    <div className="head-actions">
      {can(job, "retry") && (
        <Button type="primary" onClick={() => void step("retry", job.id)}>
          Retry
        </Button>
      )}
      {can(job, "resume") && (
        <Button type="primary" onClick={() => void step("resume", job.id)}>
          Resume
        </Button>
      )}
      {can(job, "pause") && <Button onClick={() => void step("pause", job.id)}>Pause</Button>}
      {can(job, "cancel") && (
        <Button danger onClick={() => ask([job.id])}>
          Cancel …
        </Button>
      )}
    </div>
  );
}

function Everything({ job }: { job: JobDetails }) {
  const { data: session } = useSession();
  return (
    <div className="detail">
      <div className="detail-now">
        <StatusMark status={job.status} asked={askedOf(job)} />
        <Bar job={job} />
      </div>
      {job.waitingReason && (
        <div className="note" role="status">
          <b>Waits: </b>
          {job.waitingReason}
          {job.queuePosition !== null && ` Number ${count(job.queuePosition)} of its category.`}
        </div>
      )}
      {job.error && (
        <div className="note wrong">
          <b>{job.status === "failed" ? "Failed: " : "Last failure: "}</b>
          {job.error}
        </div>
      )}
      <Facts job={job} />
      {!isFinal(job.status) && may(session, "OPERATOR") && <Urgency job={job} />}
      {job.attempts.length > 0 && <Attempts job={job} />}
      <Log job={job} />
      <Json title="Parameters" value={job.params} />
      {job.result != null && <Json title="Result" value={job.result} />}
    </div>
  );
}

function Facts({ job }: { job: JobDetails }) {
  const about = subject(job.params);
  const item = useQuery({ ...itemQuery(about.itemId ?? ""), enabled: about.itemId !== null });
  const rows: [string, ReactNode][] = [
    ["Resource", category(job.resourceCategory)],
    ["Created", instant(job.createdAt)],
  ];
  if (item.data)
    rows.unshift(["Item", <Link to={`/library/${item.data.id}`}>{item.data.path}</Link>]);
  else if (about.words) rows.unshift(["Subject", about.words]);
  if (job.vramRequired > 0) rows.push(["VRAM", mebibytes(job.vramRequired)]);
  if (job.startedAt) rows.push(["Started", instant(job.startedAt)]);
  if (job.completedAt) rows.push(["Ended", instant(job.completedAt)]);
  if (job.startedAt && job.completedAt) {
    const took = (Date.parse(job.completedAt) - Date.parse(job.startedAt)) / 1000;
    rows.push(["Took", lasting(Math.max(0, took))]);
  }
  if (job.predictedStartAt) rows.push(["Room for it", <When at={job.predictedStartAt} />]);
  if (job.predictedEndAt && !job.completedAt)
    rows.push(["Will end", <When at={job.predictedEndAt} />]);
  if (job.runAt && !job.startedAt) rows.push(["Not before", instant(job.runAt)]);
  if (job.retryAfter && !isFinal(job.status))
    rows.push(["Tried again", <When at={job.retryAfter} />]);
  if (job.worker) rows.push(["Worker", job.worker]);
  rows.push(["Retries", `${job.retryCount} of ${job.maxRetries}`]);
  if (job.collection)
    rows.push([
      "Collection",
      <Link to={`/jobs?collection=${job.collection}`}>{job.collection}</Link>,
    ]);
  if (job.parentId)
    rows.push(["Caused by", <Link to={`/jobs/${job.parentId}`}>{job.parentId}</Link>]);
  if (job.children > 0) rows.push(["Has yielded to", `${count(job.children)} jobs`]);
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <Fact key={name} name={name}>
          {value}
        </Fact>
      ))}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Urgency({ job }: { job: JobDetails }) {
  const { act } = useActions();
  const [wanted, setWanted] = useState<number | null>(null);
  return (
    <section>
      <h3>{PRIORITY}</h3>
      <Priority
        value={wanted ?? job.priority}
        set={setWanted}
        settle={(value) => {
          void act("reprioritise", [job.id], value).then(() => setWanted(null));
        }}
      />
    </section>
  );
}

function Attempts({ job }: { job: JobDetails }) {
  const now = useNow();
  return (
    <section>
      <h3>Attempts</h3>
      <ol className="attempts">
        {job.attempts.toReversed().map((one) => {
          const end = one.endedAt ? Date.parse(one.endedAt) : now;
          const took = one.startedAt ? Math.max(0, (end - Date.parse(one.startedAt)) / 1000) : null;
          return (
            <li key={one.number}>
              <b className="number">{one.number}</b>
              <span>
                {one.outcome ?? "runs"}
                {one.worker && <span className="faint"> on {one.worker}</span>}
              </span>
              <span className="faint number">{took === null ? "" : lasting(took)}</span>
              {one.error && <span className="attempt-error">{one.error}</span>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Json({ title, value }: { title: string; value: unknown }) {
  return (
    <section>
      <h3>{title}</h3>
      <pre className="log" tabIndex={0} aria-label={title}>
        {JSON.stringify(value, null, 2)}
      </pre>
    </section>
  );
}
