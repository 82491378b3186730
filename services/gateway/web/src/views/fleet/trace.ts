/** What the cards held in the last hour: as the scheduler kept it by the minute, and as the page saw it. */
import type { Gpu } from "../../api/client";

export interface Moment {
  at: number;
  allocated: number;
  observed: number | null;
  foreign: number | null;
}

const KEPT_MS = 3_600_000;
const STEP_MS = 2_000;
const traces = new Map<string, Moment[]>();

/** What is kept, and that it is so until *now*. */
export function until(kept: readonly Moment[], now: number): Moment[] {
  const last = kept.at(-1);
  return last === undefined ? [] : [...kept, { ...last, at: Math.max(now, last.at + 1) }];
}

/** Note what *gpu* was seen with at an instant, and return what is kept of it. */
export function traced(gpu: Gpu, at: number): Moment[] {
  const kept = traces.get(gpu.uuid) ?? [];
  const last = kept.at(-1);
  if (last !== undefined && at - last.at < STEP_MS) return kept;
  const moment = {
    at,
    allocated: gpu.allocatedMb,
    observed: gpu.observedMb,
    foreign: gpu.foreignMb,
  };
  const next = [...kept.filter((one) => at - one.at < KEPT_MS), moment];
  traces.set(gpu.uuid, next);
  return next;
}

/** What the scheduler kept of a card and what the page saw itself, in order. */
export function together(past: Gpu["history"], seen: readonly Moment[]): Moment[] {
  const kept = past.map((one) => ({
    at: Date.parse(one.at),
    allocated: one.allocatedMb,
    observed: one.observedMb,
    foreign: one.foreignMb,
  }));
  return [...kept, ...seen].sort((one, other) => one.at - other.at);
}
