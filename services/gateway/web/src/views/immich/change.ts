import { api, ok } from "../../api/client";
import type { ImmichChange } from "../../api/client";
import { useChange } from "../../parts/change";

/** A change of one server; it is given what is to be changed. */
export function useServerChange(server: string, done?: () => void) {
  return useChange(
    (change: Partial<ImmichChange>) =>
      ok(api.PATCH("/api/immich", { body: { server, ...change } })),
    "immich",
    done,
  );
}
