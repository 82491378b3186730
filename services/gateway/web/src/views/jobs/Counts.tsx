/** How many jobs are in each status; choosing one filters the table. */
import { useQuery } from "@tanstack/react-query";

import { api, ok } from "../../api/client";
import type { Status } from "../../api/client";
import { may, useSession } from "../../api/session";
import { useLive } from "../../live/live";
import { STATUSES, StatusMark } from "../../parts/job";
import { count } from "../../parts/words";

export function Counts({
  chosen,
  choose,
}: {
  chosen: Status[];
  choose: (status: Status[]) => void;
}) {
  const { every } = useLive();
  const { data: session } = useSession();
  const counted = may(session, "OPERATOR");
  const stats = useQuery({
    queryKey: ["stats"],
    queryFn: () => ok(api.GET("/api/media/jobs/stats")),
    refetchInterval: every,
    enabled: counted,
  });
  const toggle = (status: Status) =>
    choose(chosen.includes(status) ? chosen.filter((one) => one !== status) : [...chosen, status]);
  return (
    <div className="counts" role="group" aria-label="Status">
      <button type="button" aria-pressed={chosen.length === 0} onClick={() => choose([])}>
        All
      </button>
      {STATUSES.map((status) => (
        <button
          key={status}
          type="button"
          aria-pressed={chosen.includes(status)}
          onClick={() => toggle(status)}
        >
          <StatusMark status={status} />
          {counted && <b>{stats.data ? count(stats.data[status] ?? 0) : "–"}</b>}
        </button>
      ))}
    </div>
  );
}
