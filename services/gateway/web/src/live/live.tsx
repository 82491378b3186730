/** Keeps what is shown up to date: one stream of events for the whole page, polling where there is none. */
import type { QueryClient } from "@tanstack/react-query";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { createContext, use, useEffect, useMemo, useRef, useState } from "react";

import type { Job, JobDetails, JobPage } from "../api/client";
import { may, useSession } from "../api/session";

/** Whether a scheduler leads, as far as the page can tell. */
export type Reach = "good" | "no-scheduler" | "no-gateway";

interface Live {
  reach: Reach;
  /** Events arrive as things happen; otherwise the page asks again every two seconds. */
  streaming: boolean;
  held: boolean;
  /** Changes that came while the page was held. */
  missed: number;
  hold: (held: boolean) => void;
  /** For queries: how often to ask again. */
  every: number | false;
}

const EVERY_MS = 2_000;
const READY_EVERY_MS = 4_000;
const AGAIN_MS = 15_000;
const GATHER_MS = 400;
/** Within which what changes together is heard. */
const BURST_MS = 15;

const Context = createContext<Live>({
  reach: "good",
  streaming: false,
  held: false,
  missed: 0,
  hold: () => undefined,
  every: EVERY_MS,
});

/** How the page is kept up to date. */
export function useLive(): Live {
  return use(Context);
}

async function askReach(): Promise<Reach> {
  try {
    const answer = await fetch("/readyz", { cache: "no-store" });
    return answer.ok ? "good" : "no-scheduler";
  } catch {
    return "no-gateway";
  }
}

/** Put a changed job where it is shown; false when some list may lack it. */
export function applyJob(queries: QueryClient, job: Job): boolean {
  const seen = { shown: false, moved: false };
  queries.setQueriesData<JobPage>({ queryKey: ["jobs"] }, (page) => {
    const before = page?.data.find((one) => one.id === job.id);
    if (page === undefined || before === undefined) return page;
    seen.shown = true;
    seen.moved ||= before.status !== job.status;
    return {
      ...page,
      data: page.data.map((one) => (one.id === job.id ? { ...one, ...job } : one)),
    };
  });
  queries.setQueryData<JobDetails>(["job", job.id], (details) => details && { ...details, ...job });
  return seen.shown && !seen.moved;
}

/** Asks again for what is out of date: at once, then for what has been gathered once in a while. */
class Stale {
  private readonly queries: QueryClient;
  private readonly keys = new Set<string>();
  private timer: number | undefined;
  private asked = 0;

  constructor(queries: QueryClient) {
    this.queries = queries;
  }

  add(...keys: string[]): void {
    keys.forEach((key) => this.keys.add(key));
    this.timer ??= window.setTimeout(
      () => this.ask(),
      Math.max(BURST_MS, this.asked + GATHER_MS - performance.now()),
    );
  }

  private ask(): void {
    this.timer = undefined;
    this.asked = performance.now();
    const keys = [...this.keys];
    this.keys.clear();
    keys.forEach((key) => void this.queries.invalidateQueries({ queryKey: [key] }));
  }
}

/** Jobs of these types change the library while they run. */
const FINDERS = new Set([
  "scan",
  "public_scan",
  "validate",
  "thumbnail_generate",
  "derivatives_generate",
  "cache_build",
  "move_to_library",
]);
const JOB_LISTS = ["jobs", "stats", "queues", "collections"];

/** Keeps everything below it up to date. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [streaming, setStreaming] = useState(false);
  const [held, setHeld] = useState(false);
  const [missed, setMissed] = useState(0);
  const heldNow = useRef(false);
  const { data: session } = useSession();
  const hears = may(session, "SUBMITTER");
  const ready = useQuery({
    queryKey: ["ready"],
    queryFn: askReach,
    refetchInterval: READY_EVERY_MS,
    refetchIntervalInBackground: false,
  });
  const reach = ready.data ?? "good";

  const before = useRef<Reach>("good");
  useEffect(() => {
    if (before.current !== "good" && reach === "good") void queries.invalidateQueries();
    before.current = reach;
  }, [reach, queries]);

  useEffect(() => {
    if (!hears) return;
    const stale = new Stale(queries);
    let source: EventSource | undefined;
    let timer: number | undefined;

    const heard = (event: MessageEvent<string>, apply: () => void) => {
      if (event.data === "") return;
      if (heldNow.current) setMissed((count) => count + 1);
      else apply();
    };
    const close = () => {
      window.clearTimeout(timer);
      source?.close();
      source = undefined;
      setStreaming(false);
    };
    const open = () => {
      close();
      if (document.hidden) return;
      const opened = new EventSource("/api/media/jobs/events");
      source = opened;
      opened.onopen = () => setStreaming(true);
      opened.onerror = () => {
        setStreaming(false);
        if (opened.readyState === EventSource.CLOSED) timer = window.setTimeout(open, AGAIN_MS);
      };
      opened.addEventListener("job", (event: MessageEvent<string>) =>
        heard(event, () => {
          const job = JSON.parse(event.data) as Job;
          if (!applyJob(queries, job)) stale.add(...JOB_LISTS, "job");
          if (FINDERS.has(job.type)) stale.add("items");
        }),
      );
      opened.addEventListener("reset", (event: MessageEvent<string>) =>
        heard(event, () => stale.add(...JOB_LISTS, "job", "items", "gpus", "workers")),
      );
      for (const key of ["queues", "workers", "gpus"]) {
        opened.addEventListener(key, (event: MessageEvent<string>) =>
          heard(event, () => stale.add(key)),
        );
      }
      opened.addEventListener(
        "away",
        () => void queries.invalidateQueries({ queryKey: ["ready"] }),
      );
    };
    const seen = () => {
      if (document.hidden) close();
      else {
        open();
        if (!heldNow.current) stale.add(...JOB_LISTS, "job");
      }
    };
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      close();
    };
  }, [queries, hears]);

  const live = useMemo<Live>(
    () => ({
      reach,
      streaming,
      held,
      missed,
      hold: (wanted) => {
        heldNow.current = wanted;
        const { queries: usual } = queries.getDefaultOptions();
        queries.setDefaultOptions({ queries: { ...usual, refetchOnWindowFocus: !wanted } });
        setHeld(wanted);
        setMissed(0);
        if (!wanted) void queries.invalidateQueries();
      },
      every: held || streaming ? false : EVERY_MS,
    }),
    [reach, streaming, held, missed, queries],
  );
  return <Context value={live}>{children}</Context>;
}
