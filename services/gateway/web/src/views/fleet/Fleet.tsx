/** The view GPUs and workers: the account of every card, and the fleet. */
import { useQuery } from "@tanstack/react-query";

import { api, type Gpu, ok } from "../../api/client";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { Loaded } from "../../parts/Loaded";
import { Card } from "./Card";
import { Workers } from "./Workers";
import "./fleet.css";

const MINUTE_MS = 60_000;
const HISTORY_MINUTES = 60;
const NO_PAST: Gpu["history"] = [];

export default function Fleet() {
  const { every, held } = useLive();
  const gpus = useQuery({
    queryKey: ["gpus"],
    queryFn: async () => (await ok(api.GET("/api/gpus"))).data,
    refetchInterval: every,
  });
  const past = useQuery({
    queryKey: ["past of gpus"],
    queryFn: async () => {
      const { data } = await ok(
        api.GET("/api/gpus", { params: { query: { historyMinutes: HISTORY_MINUTES } } }),
      );
      return new Map(data.map((gpu) => [gpu.uuid, gpu.history]));
    },
    staleTime: MINUTE_MS,
    refetchInterval: held ? false : MINUTE_MS,
  });
  const workers = useQuery({
    queryKey: ["workers"],
    queryFn: async () => (await ok(api.GET("/api/workers"))).data,
    refetchInterval: every,
  });
  return (
    <>
      <Head title="GPUs & workers" note="What every card is charged with, and who does the work." />
      <section aria-labelledby="cards">
        <h2 id="cards" className="section">
          GPUs
        </h2>
        <Loaded
          query={gpus}
          alone
          empty="No worker reaches a GPU. Jobs for GPUs are done by software where a worker offers that."
        >
          {(data) => (
            <div className="cards">
              {data.map((gpu) => (
                <Card
                  key={gpu.uuid}
                  gpu={gpu}
                  past={past.data?.get(gpu.uuid) ?? NO_PAST}
                  at={gpus.dataUpdatedAt}
                />
              ))}
            </div>
          )}
        </Loaded>
      </section>
      <section aria-labelledby="workers">
        <h2 id="workers" className="section">
          Workers
        </h2>
        <Loaded query={workers} alone empty="No worker is connected. Jobs wait until one is.">
          {(data) => <Workers workers={data} />}
        </Loaded>
      </section>
    </>
  );
}
