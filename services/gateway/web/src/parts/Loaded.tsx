/** What was read from the gateway, once it is there; until then that it is awaited, or why it did not come. */
import type { UseQueryResult } from "@tanstack/react-query";
import { Skeleton } from "antd";
import type { ReactNode } from "react";

import { Failure, Nothing } from "./states";

interface Props<T> {
  query: UseQueryResult<T>;
  /** What stands in the place of an empty list. */
  empty?: ReactNode;
  /** Whether what is said instead needs a panel of its own. */
  alone?: boolean;
  children: (data: T) => ReactNode;
}

export function Loaded<T>({ query, empty, alone = false, children }: Props<T>) {
  const { data, error } = query;
  const framed = (words: ReactNode) => (alone ? <div className="panel">{words}</div> : words);
  if (data === undefined) {
    return framed(
      error ? (
        <Failure error={error} again={() => void query.refetch()} />
      ) : (
        <div className="panel-body">
          <Skeleton active />
        </div>
      ),
    );
  }
  if (Array.isArray(data) && data.length === 0 && empty !== undefined) {
    return framed(<Nothing>{empty}</Nothing>);
  }
  return children(data);
}
