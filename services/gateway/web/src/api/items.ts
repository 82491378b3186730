/** Items of the library. */
import { queryOptions } from "@tanstack/react-query";

import { api, ok } from "./client";

/** One item by its id. */
export function itemQuery(id: string) {
  return queryOptions({
    queryKey: ["item", id],
    queryFn: () => ok(api.GET("/api/media/items/{item_id}", { params: { path: { item_id: id } } })),
    staleTime: 60_000,
    retry: false,
  });
}
