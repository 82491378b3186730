/** The trail: what was done over REST, by whom and from where. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Button, Input, Skeleton } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import { Failure, Nothing } from "../../parts/states";
import { When } from "../../parts/When";

const PAGE = 50;
const REFUSED = 400;

function method(action: string): string {
  return action.split(" ", 1)[0] ?? "";
}

export function Audit() {
  const [actor, setActor] = useState("");
  const trail = useInfiniteQuery({
    queryKey: ["audit", actor],
    queryFn: ({ pageParam }) =>
      ok(
        api.GET("/api/audit", {
          params: { query: { limit: PAGE, cursor: pageParam, ...(actor !== "" && { actor }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  });
  const entries = trail.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <section className="panel" aria-labelledby="trail">
      <div className="panel-head">
        <div>
          <h2 id="trail">Trail</h2>
          <p>Changes, refusals and wrong credentials, newest first.</p>
        </div>
        <Input.Search
          allowClear
          className="actor"
          placeholder="Only of this caller"
          aria-label="Only of this caller"
          onSearch={(value) => setActor(value.trim())}
        />
      </div>
      {trail.isError && entries.length === 0 ? (
        <Failure error={trail.error} again={() => void trail.refetch()} />
      ) : trail.isPending ? (
        <div className="panel-body">
          <Skeleton active />
        </div>
      ) : entries.length === 0 ? (
        <Nothing>Nothing was done yet.</Nothing>
      ) : (
        <>
          <div className="wide">
            <table className="plain access">
              <thead>
                <tr>
                  <th>When</th>
                  <th>Who</th>
                  <th className="trail-what">What</th>
                  <th className="wide-only">From</th>
                  <th className="figure">Answer</th>
                </tr>
              </thead>
              <tbody>
                {entries.map((entry) => (
                  <tr key={entry.id}>
                    <td>
                      <When at={entry.at} />
                    </td>
                    <td>{entry.actor ?? <span className="faint">nobody known</span>}</td>
                    <td className="trail-what">
                      <code>
                        <b>{method(entry.action)}</b> {entry.target || entry.action}
                      </code>
                      {entry.said !== "" && (
                        <span className="about" title={entry.said}>
                          {entry.said}
                        </span>
                      )}
                    </td>
                    <td className="wide-only">{entry.address}</td>
                    <td className="figure">
                      <span className={entry.status < REFUSED ? "" : "refused"}>
                        {entry.status}
                      </span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {trail.hasNextPage && (
            <div className="trail-more">
              <Button loading={trail.isFetchingNextPage} onClick={() => void trail.fetchNextPage()}>
                Show more
              </Button>
            </div>
          )}
        </>
      )}
    </section>
  );
}
