/** Uploads of originals, by tus: they go on while the reader looks at other views, and after a cut. */
import type { Upload } from "tus-js-client";

import { csrf } from "../../api/client";

export interface Sent {
  key: number;
  name: string;
  bytes: number;
  sent: number;
  state: "sending" | "stopped" | "done" | "failed";
  /** What went wrong, of one that failed. */
  reason: string;
  /** The job that reads it, once it is done. */
  jobId: string | null;
}

const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10_000, 20_000];
/** Files that are sent at once; the others wait. */
const AT_ONCE = 3;

let uploads: readonly Sent[] = [];
const running = new Map<number, Upload>();
const listeners = new Set<() => void>();
let newest = 0;

/** Call *then* whenever an upload changes; returns the way to stop. */
export function listen(then: () => void): () => void {
  listeners.add(then);
  return () => listeners.delete(then);
}

/** All uploads of this page, newest last. */
export function all(): readonly Sent[] {
  return uploads;
}

function tell(next: readonly Sent[]): void {
  uploads = next;
  listeners.forEach((then) => then());
}

function change(key: number, part: Partial<Sent>): void {
  tell(uploads.map((one) => (one.key === key ? { ...one, ...part } : one)));
}

/** Begin with the next files, as many as may be sent at once. */
function go(): void {
  const sending = uploads.filter((one) => one.state === "sending");
  for (const { key } of sending.slice(0, AT_ONCE)) void begin(key);
}

const begun = new Set<number>();

async function begin(key: number): Promise<void> {
  const upload = running.get(key);
  if (upload === undefined || begun.has(key)) return;
  begun.add(key);
  const [before] = await upload.findPreviousUploads();
  if (before !== undefined) upload.resumeFromPreviousUpload(before);
  if (begun.has(key)) upload.start();
}

function fresh({ name, size }: File, key: number): Sent {
  return { key, name, bytes: size, sent: 0, state: "sending", reason: "", jobId: null };
}

function over(key: number, part: Partial<Sent>): void {
  begun.delete(key);
  change(key, part);
  go();
}

/** Send files into the root for uploads; those that were cut earlier go on where they were. */
export async function send(files: readonly File[], collection: string): Promise<void> {
  const listed = files.map((file) => ({ file, key: ++newest }));
  tell([...uploads, ...listed.map(({ file, key }) => fresh(file, key))]);
  const tus = await import("tus-js-client");
  for (const { file, key } of listed) {
    if (!uploads.some((one) => one.key === key)) continue;
    const upload = new tus.Upload(file, {
      endpoint: "/api/media/upload",
      retryDelays: RETRY_DELAYS_MS,
      metadata: { filename: file.name, ...(collection !== "" && { collection }) },
      removeFingerprintOnSuccess: true,
      onBeforeRequest: (request) => {
        request.setHeader("X-CSRF-Token", csrf() ?? "");
      },
      onProgress: (sent) => change(key, { sent }),
      onError: (error) => over(key, { state: "failed", reason: reasonOf(error) }),
      onSuccess: ({ lastResponse }) => {
        running.delete(key);
        const [jobId] = (lastResponse.getHeader("Callsheet-Jobs") ?? "").split(/[\s,]+/);
        over(key, { state: "done", sent: file.size, jobId: jobId === "" ? null : (jobId ?? null) });
      },
    });
    running.set(key, upload);
  }
  go();
}

/** Stop sending; what has arrived stays for a while. */
export async function stop(key: number): Promise<void> {
  const wasBegun = begun.delete(key);
  change(key, { state: "stopped" });
  if (wasBegun) await running.get(key)?.abort();
  go();
}

/** Go on with one that was stopped or has failed. */
export function resume(key: number): void {
  change(key, { state: "sending", reason: "" });
  go();
}

/** Drop one from the list, and what has arrived of it where it is not whole. */
export async function drop(key: number): Promise<void> {
  const upload = running.get(key);
  begun.delete(key);
  running.delete(key);
  tell(uploads.filter((one) => one.key !== key));
  go();
  await upload?.abort(upload.url !== null);
}

function reasonOf(error: Error): string {
  const answer = "originalResponse" in error ? error.originalResponse : null;
  const body =
    typeof answer === "object" && answer !== null && "getBody" in answer
      ? (answer as { getBody: () => string }).getBody()
      : "";
  try {
    const { detail } = JSON.parse(body) as { detail?: string };
    return detail ?? error.message;
  } catch {
    return "The gateway does not answer. Try again when it does: it goes on where it was.";
  }
}
