/** The job types that there are. */
import { useQuery } from "@tanstack/react-query";

import { api, ok } from "./client";

/** Every job type, with its schema. */
export function useTypes() {
  return useQuery({
    queryKey: ["types"],
    queryFn: async () => (await ok(api.GET("/api/media/job-types"))).data,
    staleTime: 60_000,
  });
}
