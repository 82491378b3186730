/** Who is signed in. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { api, keepCsrfToken, ok, onSignedOut, Refused } from "./client";
import type { Schema } from "./client";

export type Session = Schema["SessionView"];
export type Role = Session["role"];

const KEY = ["session"];
const RANK: Record<Role, number> = { VIEWER: 1, SUBMITTER: 2, OPERATOR: 3, SUPER_ADMIN: 4 };

async function read(): Promise<Session | null> {
  try {
    const session = await ok(api.GET("/api/session"));
    keepCsrfToken(session.csrfToken);
    return session;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

/** The session: undefined while it is not known, null when nobody is signed in. */
export function useSession() {
  const queries = useQueryClient();
  const query = useQuery({ queryKey: KEY, queryFn: read, staleTime: Infinity, retry: 2 });
  useEffect(() => onSignedOut(() => queries.setQueryData(KEY, null)), [queries]);
  return query;
}

/** Whether somebody with this session may do what *needed* may. */
export function may(session: Session | null | undefined, needed: Role): boolean {
  return session != null && RANK[session.role] >= RANK[needed];
}

/** A role in words: "super admin". */
export function roleName(role: Role): string {
  return role.toLowerCase().replace("_", " ");
}

/** The ways in and out. */
export function useDoor() {
  const queries = useQueryClient();
  return {
    async signIn(token: string): Promise<void> {
      const session = await ok(api.POST("/api/session", { body: { token } }));
      keepCsrfToken(session.csrfToken);
      queries.setQueryData(KEY, session);
    },
    async signOut(): Promise<void> {
      await ok(api.DELETE("/api/session"));
      keepCsrfToken(null);
      queries.setQueryData(KEY, null);
      queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== KEY[0] });
    },
  };
}
