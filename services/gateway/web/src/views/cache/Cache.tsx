/** The view Cache: how much is made, and the jobs that make and sweep it. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { App, Button, Checkbox, Input, Skeleton } from "antd";
import { useState } from "react";
import { Link, useNavigate } from "react-router";

import { api, ok } from "../../api/client";
import { may, useSession } from "../../api/session";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { JobLine } from "../../parts/JobLine";
import { Failure, Nothing } from "../../parts/states";
import { bytes, count } from "../../parts/words";
import "./cache.css";

export default function Cache() {
  const { every } = useLive();
  const { data: session } = useSession();
  const stats = useQuery({
    queryKey: ["items", "cache"],
    queryFn: () => ok(api.GET("/api/media/cache/stats")),
    refetchInterval: every,
  });
  return (
    <>
      <Head title="Cache" note="Thumbnails, previews and metadata that are made ahead." />
      {stats.isError && !stats.data ? (
        <div className="panel">
          <Failure error={stats.error} again={() => void stats.refetch()} />
        </div>
      ) : (
        <div className="figures">
          <Figure
            name="Pictures"
            value={stats.data && count(stats.data.thumbnails.count)}
            note={stats.data && bytes(stats.data.thumbnails.size_bytes)}
          />
          <Figure
            name="Metadata"
            value={stats.data && count(stats.data.metadata.count)}
            note={stats.data && bytes(stats.data.metadata.size_bytes)}
          />
        </div>
      )}
      {may(session, "OPERATOR") && <Rebuild />}
      {may(session, "OPERATOR") && <Jobs />}
    </>
  );
}

function Figure({
  name,
  value,
  note,
}: {
  name: string;
  value: string | undefined;
  note: string | undefined;
}) {
  return (
    <div className="panel figure">
      <span className="faint">{name}</span>
      {value === undefined ? <Skeleton.Node active /> : <b className="number">{value}</b>}
      <span className="faint number">{note}</span>
    </div>
  );
}

function Rebuild() {
  const navigate = useNavigate();
  const { message } = App.useApp();
  const [path, setPath] = useState("");
  const [force, setForce] = useState(false);
  const build = useMutation({
    mutationFn: () =>
      ok(api.POST("/api/media/cache/rebuild", { body: { force, ...(path !== "" && { path }) } })),
    onSuccess: (started) => void navigate(`/jobs/${started.job_id}`),
    onError: (error) => void message.error(error.message, 6),
  });
  return (
    <section className="panel" aria-labelledby="build">
      <div className="panel-head">
        <div>
          <h2 id="build">Build</h2>
          <p>Makes what is lacking; what is there already is left alone.</p>
        </div>
      </div>
      <div className="panel-body build">
        <div className="field">
          <label htmlFor="path">Folder or file</label>
          <Input
            id="path"
            placeholder="The whole library"
            value={path}
            onChange={(event) => setPath(event.target.value.trim())}
          />
        </div>
        <Checkbox checked={force} onChange={(event) => setForce(event.target.checked)}>
          Make everything again
        </Checkbox>
        <Button type="primary" loading={build.isPending} onClick={() => build.mutate()}>
          Build
        </Button>
      </div>
    </section>
  );
}

function Jobs() {
  const { every } = useLive();
  const jobs = useQuery({
    queryKey: ["jobs", { cache: true }],
    queryFn: () =>
      ok(
        api.GET("/api/media/jobs", {
          params: {
            query: { type: ["cache_build", "cache_sweep", "derivatives_generate"], limit: 12 },
          },
        }),
      ),
    refetchInterval: every,
  });
  return (
    <section className="panel" aria-labelledby="cache-jobs">
      <div className="panel-head">
        <h2 id="cache-jobs">Its jobs</h2>
        <Link to="/jobs?type=cache_build&type=cache_sweep&type=derivatives_generate">
          All of them
        </Link>
      </div>
      {jobs.data?.data.length === 0 ? (
        <Nothing>The cache was never built by hand or by a schedule.</Nothing>
      ) : (
        <ul className="job-lines">
          {jobs.data?.data.map((job) => (
            <JobLine key={job.id} job={job} />
          ))}
        </ul>
      )}
    </section>
  );
}
