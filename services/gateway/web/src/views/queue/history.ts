/** How long jobs had waited that started in each of the last minutes. Pure. */
import type { Job } from "../../api/client";

export interface Waited {
  /** Beginnings of minutes, seconds since 1970. */
  minutes: number[];
  /** The longest wait, in seconds, of jobs that started in each minute; null where none did. */
  waits: (number | null)[];
}

const MINUTE_S = 60;

/** How long those of *jobs* had waited that started in the *length* minutes before *now* (milliseconds). */
export function waitsOf(jobs: readonly Job[], now: number, length = 60): Waited {
  const last = Math.floor(now / 1000 / MINUTE_S);
  const first = last - length + 1;
  const minutes = Array.from({ length }, (_, index) => (first + index) * MINUTE_S);
  const waits = minutes.map((): number | null => null);
  for (const job of jobs) {
    if (job.startedAt === null) continue;
    const index = Math.floor(Date.parse(job.startedAt) / 1000 / MINUTE_S) - first;
    const wait = Math.max(
      0,
      (Date.parse(job.startedAt) - Date.parse(job.runAt ?? job.createdAt)) / 1000,
    );
    if (index >= 0 && index < length) waits[index] = Math.max(waits[index] ?? 0, wait);
  }
  return { minutes, waits };
}
