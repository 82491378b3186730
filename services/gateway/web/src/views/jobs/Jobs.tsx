/** The view Jobs: the table with its filters, many jobs at once, and the details of one. */
import { PauseOutlined, PlusOutlined, SearchOutlined } from "@ant-design/icons";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Button, Input, Pagination, Select, Skeleton, Switch } from "antd";
import { lazy, Suspense, useCallback, useState } from "react";
import { useLocation, useNavigate, useParams } from "react-router";

import { api, ok } from "../../api/client";
import type { Category, JobPage } from "../../api/client";
import { may, useSession } from "../../api/session";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { Failure, Nothing } from "../../parts/states";
import { category, count } from "../../parts/words";
import { useTypes } from "../../api/types";
import { Counts } from "./Counts";
import { useFilter } from "./filter";
import { JobTable } from "./JobTable";
import "./jobs.css";

const Details = lazy(() => import("./Details"));
const ActionBar = lazy(() => import("./ActionBar"));
const Create = lazy(() => import("./Create"));

const CATEGORIES: Category[] = ["cpu", "gpu_encode", "gpu_ai"];
const SIZES = [20, 50, 100];
/** Jobs from the newest on that pages by number reach. */
const REACH = 10_000;

export default function Jobs() {
  const { id } = useParams();
  const navigate = useNavigate();
  const { search } = useLocation();
  const { data: session } = useSession();
  const [filter, change] = useFilter();
  const { every, held, hold, missed } = useLive();
  const [chosen, setChosen] = useState<string[]>([]);
  const [creating, setCreating] = useState(false);
  const types = useTypes();

  const jobs = useQuery({
    queryKey: ["jobs", filter],
    queryFn: () => ok(api.GET("/api/media/jobs", { params: { query: filter.query } })),
    placeholderData: keepPreviousData,
    refetchInterval: every,
  });
  const rows = jobs.data?.data ?? [];
  const older = olderThan(jobs.data?.pagination, filter, rows.length);
  const open = useCallback(
    (job: string) => void navigate(`/jobs/${job}${search}`),
    [navigate, search],
  );
  const choose = useCallback(
    (ids: string[], on: boolean) =>
      setChosen((before) => [...before.filter((one) => !ids.includes(one)), ...(on ? ids : [])]),
    [],
  );

  return (
    <>
      <Head title="Jobs" note="Newest first. Choose one for its log and attempts.">
        <label className="live-switch">
          <Switch checked={!held} onChange={(on) => hold(!on)} aria-label="Live" size="small" />
          {held ? (
            <span>
              <PauseOutlined /> Held{missed > 0 && `, ${count(missed)} changes`}
            </span>
          ) : (
            <span>Live</span>
          )}
        </label>
        <Button type="primary" icon={<PlusOutlined />} onClick={() => setCreating(true)}>
          Create job
        </Button>
      </Head>
      <Counts chosen={filter.status} choose={(status) => change({ status })} />
      <section className="panel" aria-label="Jobs">
        <div className="filters">
          <Input
            prefix={<SearchOutlined />}
            allowClear
            placeholder="Id, type, parameters or error"
            aria-label="Search"
            defaultValue={filter.q}
            key={filter.q}
            onPressEnter={(event) => change({ q: event.currentTarget.value })}
            onBlur={(event) => event.target.value !== filter.q && change({ q: event.target.value })}
            onClear={() => change({ q: "" })}
          />
          <Select<string[]>
            mode="multiple"
            allowClear
            maxTagCount="responsive"
            placeholder="Type"
            aria-label="Type"
            value={filter.type}
            onChange={(type) => change({ type })}
            options={(types.data ?? []).map((one) => ({ value: one.type, label: one.type }))}
          />
          <Select<Category[]>
            mode="multiple"
            allowClear
            maxTagCount="responsive"
            placeholder="Resource"
            aria-label="Resource"
            value={filter.resourceCategory}
            onChange={(resourceCategory) => change({ resourceCategory })}
            options={CATEGORIES.map((value) => ({ value, label: category(value) }))}
          />
          {filter.any && (
            <Button type="link" onClick={() => change("nothing")}>
              Clear filters
            </Button>
          )}
        </div>
        {jobs.isError && rows.length === 0 ? (
          <Failure error={jobs.error} again={() => void jobs.refetch()} />
        ) : jobs.isPending ? (
          <div className="panel-body">
            <Skeleton active title={false} paragraph={{ rows: 8, width: "100%" }} />
          </div>
        ) : rows.length === 0 ? (
          <Empty
            any={filter.any}
            all={older === undefined}
            creates={() => setCreating(true)}
            clear={() => change("nothing")}
          />
        ) : (
          <JobTable
            jobs={rows}
            shown={id}
            search={search}
            open={open}
            chosen={chosen}
            {...(may(session, "OPERATOR") && { choose })}
          />
        )}
        {jobs.data && (filter.cursor !== "" || jobs.data.pagination.total > 0 || older) && (
          <div className="pages">
            <span className="faint number">
              {count(jobs.data.pagination.total)}
              {jobs.data.pagination.totalIsExact ? "" : " or more"} jobs
            </span>
            {filter.cursor === "" ? (
              <Pagination
                size="small"
                current={filter.page}
                pageSize={filter.limit}
                total={Math.min(jobs.data.pagination.total, REACH)}
                pageSizeOptions={SIZES}
                showSizeChanger
                responsive
                onChange={(page, limit) => change({ page, limit })}
              />
            ) : (
              <Button size="small" onClick={() => change({})}>
                Newest
              </Button>
            )}
            {older && (
              <Button size="small" onClick={() => change({ cursor: older })}>
                Older
              </Button>
            )}
          </div>
        )}
      </section>
      <Suspense fallback={null}>
        {chosen.length > 0 && <ActionBar chosen={chosen} rows={rows} clear={() => setChosen([])} />}
        {id !== undefined && <Details id={id} close={() => void navigate(`/jobs${search}`)} />}
        {creating && (
          <Create
            close={() => setCreating(false)}
            created={(job) => {
              setCreating(false);
              open(job);
            }}
          />
        )}
      </Suspense>
    </>
  );
}

/** Where to go on behind this page, where pages by number do not reach; undefined where they do. */
function olderThan(
  pagination: JobPage["pagination"] | undefined,
  { cursor, page, limit }: { cursor: string; page: number; limit: number },
  shown: number,
): string | undefined {
  const next = pagination?.nextCursor ?? undefined;
  const isLast = page * limit >= Math.min(pagination?.total ?? 0, REACH);
  return cursor !== "" || isLast || shown < limit ? next : undefined;
}

interface EmptyProps {
  /** Whether anything is filtered. */
  any: boolean;
  /** Whether all jobs were looked at. */
  all: boolean;
  creates: () => void;
  clear: () => void;
}

function Empty({ any, all, creates, clear }: EmptyProps) {
  return any ? (
    <Nothing action={<Button onClick={clear}>Clear filters</Button>}>
      {all
        ? "No job passes these filters."
        : "None of the jobs that were looked at passes these filters. Look at older ones, or choose a status or a type as well."}
    </Nothing>
  ) : (
    <Nothing action={<Button onClick={creates}>Create job</Button>}>
      Nothing has been asked for yet. Create a job, or begin in the library.
    </Nothing>
  );
}
