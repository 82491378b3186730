/** Collections: jobs and items under one slug. */
import { queryOptions } from "@tanstack/react-query";

import { api, ok } from "./client";

/** As many as one answer has. */
const MOST = 200;

/** The first collections by slug. */
export const collectionsQuery = queryOptions({
  queryKey: ["collections"],
  queryFn: async () =>
    (await ok(api.GET("/api/collections", { params: { query: { limit: MOST } } }))).data,
});

/** One collection by its slug. */
export function collectionQuery(slug: string) {
  return queryOptions({
    queryKey: ["collections", slug],
    queryFn: () => ok(api.GET("/api/collections/{slug}", { params: { path: { slug } } })),
  });
}
