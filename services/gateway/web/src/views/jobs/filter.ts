/** The filters of the table, as they stand in the address. */
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";

import type { Category, Status } from "../../api/client";

export interface Filter {
  status: Status[];
  type: string[];
  resourceCategory: Category[];
  q: string;
  collection: string;
  page: number;
  limit: number;
  /** The nextCursor of the page before, where older jobs are looked at than pages reach; else empty. */
  cursor: string;
}

const DEFAULTS = { page: 1, limit: 20, cursor: "" };

/** Read a filter out of an address. */
export function readFilter(search: URLSearchParams): Filter {
  return {
    status: search.getAll("status") as Status[],
    type: search.getAll("type"),
    resourceCategory: search.getAll("resource") as Category[],
    q: search.get("q") ?? "",
    collection: search.get("collection") ?? "",
    page: Math.max(1, Math.floor(Number(search.get("page"))) || DEFAULTS.page),
    limit: Math.min(200, Math.max(1, Math.floor(Number(search.get("limit"))) || DEFAULTS.limit)),
    cursor: search.get("cursor") ?? DEFAULTS.cursor,
  };
}

/** Write a filter into an address; what is as usual is left out. */
export function writeFilter(filter: Filter): URLSearchParams {
  const search = new URLSearchParams();
  filter.status.forEach((one) => search.append("status", one));
  filter.type.forEach((one) => search.append("type", one));
  filter.resourceCategory.forEach((one) => search.append("resource", one));
  if (filter.q !== "") search.set("q", filter.q);
  if (filter.collection !== "") search.set("collection", filter.collection);
  if (filter.page !== DEFAULTS.page) search.set("page", String(filter.page));
  if (filter.limit !== DEFAULTS.limit) search.set("limit", String(filter.limit));
  if (filter.cursor !== DEFAULTS.cursor) search.set("cursor", filter.cursor);
  return search;
}

/** What the gateway is asked for. */
export function queryOf(filter: Filter) {
  return {
    ...(filter.cursor === "" ? { page: filter.page } : { cursor: filter.cursor }),
    limit: filter.limit,
    ...(filter.status.length > 0 && { status: filter.status }),
    ...(filter.type.length > 0 && { type: filter.type }),
    ...(filter.resourceCategory.length > 0 && { resourceCategory: filter.resourceCategory }),
    ...(filter.q !== "" && { q: filter.q }),
    ...(filter.collection !== "" && { collection: filter.collection }),
  };
}

/** The filter in the address, and the way to change it; every change but of the place begins at the newest. */
export function useFilter() {
  const [search, setSearch] = useSearchParams();
  const filter = useMemo(() => {
    const read = readFilter(search);
    const shown = writeFilter({ ...read, ...DEFAULTS });
    return { ...read, query: queryOf(read), any: shown.size > 0 };
  }, [search]);
  const change = useCallback(
    (wanted: Partial<Filter> | "nothing") =>
      setSearch((before) =>
        wanted === "nothing"
          ? new URLSearchParams()
          : writeFilter({ ...readFilter(before), page: 1, cursor: "", ...wanted }),
      ),
    [setSearch],
  );
  return [filter, change] as const;
}
