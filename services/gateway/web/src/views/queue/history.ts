/** Counts what was done by the minute, and how long it had waited. Pure. */
import type { Job } from "../../api/client";

export interface Flowed {
  /** Beginnings of minutes, seconds since 1970. */
  minutes: number[];
  completed: number[];
  failed: number[];
  /** The longest wait, in seconds, of jobs that started in each minute; null where none did. */
  waits: (number | null)[];
}

const MINUTE_S = 60;

/** What *jobs* did in the *length* minutes before *now* (milliseconds). */
export function flowOf(jobs: readonly Job[], now: number, length = 60): Flowed {
  const last = Math.floor(now / 1000 / MINUTE_S);
  const minutes = Array.from({ length }, (_, index) => (last - length + 1 + index) * MINUTE_S);
  const completed = minutes.map(() => 0);
  const failed = minutes.map(() => 0);
  const waits = minutes.map((): number | null => null);
  const place = (instant: string) =>
    Math.floor(Date.parse(instant) / 1000 / MINUTE_S) - (last - length + 1);
  for (const job of jobs) {
    if (job.completedAt !== null) {
      const counted = job.status === "failed" ? failed : completed;
      const index = place(job.completedAt);
      const before = counted[index];
      if (before !== undefined) counted[index] = before + 1;
    }
    if (job.startedAt !== null) {
      const index = place(job.startedAt);
      const wait = Math.max(
        0,
        (Date.parse(job.startedAt) - Date.parse(job.runAt ?? job.createdAt)) / 1000,
      );
      if (index >= 0 && index < length) waits[index] = Math.max(waits[index] ?? 0, wait);
    }
  }
  return { minutes, completed, failed, waits };
}
