/** The view Queue: lanes with what waits and why, limits and pauses, and how it flows. */
import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "antd";
import { lazy, Suspense } from "react";

import { api, ok } from "../../api/client";
import type { Category } from "../../api/client";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { Loaded } from "../../parts/Loaded";
import { Lane } from "./Lane";
import { Pause } from "./Pause";
import { Types } from "./Types";
import "./queue.css";

const Flow = lazy(() => import("./Flow"));
const CATEGORIES: Category[] = ["cpu", "gpu_encode", "gpu_ai"];

export default function Queue() {
  const { every } = useLive();
  const queues = useQuery({
    queryKey: ["queues"],
    queryFn: async () => (await ok(api.GET("/api/queues"))).data,
    refetchInterval: every,
  });
  const all = queues.data?.find((one) => one.scope === "all");
  return (
    <>
      <Head title="Queue" note="What waits, and why. The most urgent come first.">
        {all && <Pause queue={all} name="everything" />}
      </Head>
      <Loaded query={queues} alone>
        {(data) => (
          <>
            {all?.paused && (
              <div className="away" role="status">
                Everything is paused{all.pausedBy && ` by ${all.pausedBy}`}: what runs goes on, and
                nothing new begins.
              </div>
            )}
            <div className="lanes">
              {CATEGORIES.map((scope) => {
                const queue = data.find((one) => one.scope === scope);
                return queue && <Lane key={scope} queue={queue} scope={scope} />;
              })}
            </div>
            <Suspense fallback={<Skeleton active />}>
              <Flow />
            </Suspense>
            <Types
              queues={data.filter(
                (one) => one.scope !== "all" && !CATEGORIES.includes(one.scope as Category),
              )}
            />
          </>
        )}
      </Loaded>
    </>
  );
}
