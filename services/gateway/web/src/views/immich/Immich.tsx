/** The view Immich: servers whose queues run under the same scheduler and on the same cards. */
import { useQuery } from "@tanstack/react-query";

import { api, ok } from "../../api/client";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { Loaded } from "../../parts/Loaded";
import { Server } from "./Server";
import "./immich.css";

/** Controllers report as often. */
const EVERY_MS = 2_000;

export default function Immich() {
  const { held } = useLive();
  const servers = useQuery({
    queryKey: ["immich"],
    queryFn: async () => (await ok(api.GET("/api/immich"))).data,
    refetchInterval: held ? false : EVERY_MS,
  });
  return (
    <>
      <Head
        title="Immich"
        note="Queues of Immich servers, a few at a time and most urgent first."
      />
      <Loaded
        query={servers}
        alone
        empty={
          <>
            No Immich server yet. Its controller, <code>callsheet immich work</code>, brings it.
          </>
        }
      >
        {(data) => data.map((server) => <Server key={server.name} server={server} />)}
      </Loaded>
    </>
  );
}
