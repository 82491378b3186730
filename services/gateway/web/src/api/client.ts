/** Speaks with the gateway: typed by its OpenAPI document, with the session's cookie and its CSRF token. */
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schema = components["schemas"];
export type Job = Schema["JobSummary"];
export type JobDetails = Schema["JobDetails"];
export type JobPage = Schema["JobPage"];
export type JobType = Schema["JobTypeView"];
export type Item = Schema["ItemView"];
export type Gpu = Schema["GpuView"];
export type Worker = Schema["WorkerView"];
export type Queue = Schema["QueueView"];
export type Schedule = Schema["ScheduleView"];
export type ImmichServer = Schema["ImmichServerView"];
export type ImmichQueue = Schema["ImmichQueueView"];
export type ImmichChange = Schema["ImmichChange"];
export type Status = Schema["Status"];
export type Category = Schema["Category"];
export type Action = Schema["Action"];

/** An answer that is an error: its sentence is the message. */
export class Refused extends Error {
  readonly status: number;
  readonly fields: readonly { field: string; message: string }[];

  constructor(status: number, problem: Partial<Schema["Problem"]>) {
    super(problem.detail ?? `The gateway answered ${status}.`);
    this.status = status;
    this.fields = problem.errors ?? [];
  }
}

let csrfToken: string | null = null;
const leaving = new Set<() => void>();

/** Keep the token that every change has to carry. */
export function keepCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** The token that every change has to carry, for requests that are not made here. */
export function csrf(): string | null {
  return csrfToken;
}

/** Call *then* whenever an answer says that nobody is signed in any longer; returns the way to stop. */
export function onSignedOut(then: () => void): () => void {
  leaving.add(then);
  return () => leaving.delete(then);
}

const SAFE = new Set(["GET", "HEAD"]);

export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use({
  onRequest({ request }) {
    if (!SAFE.has(request.method) && csrfToken !== null) {
      request.headers.set("X-CSRF-Token", csrfToken);
    }
    return request;
  },
  onResponse({ response }) {
    if (response.status === 401 && !response.url.endsWith("/api/session")) {
      leaving.forEach((then) => then());
    }
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Return what a call answers, or throw what it refuses. */
export async function ok<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) {
    const problem = typeof error === "object" && error !== null ? error : {};
    throw new Refused(response.status, problem);
  }
  return data as T;
}
