/** Divides a card into what the bar shows. Pure. */
import type { Gpu } from "../../api/client";

export interface Share {
  key: string;
  name: string;
  kind: "job" | "lingering" | "excess" | "foreign" | "margin" | "free";
  mib: number;
  jobId?: string;
}

/** The parts of a card's memory, in order, that make up its capacity: what jobs reserve, what they use beyond
 * that, what others use, what is kept back, and what is free. */
export function sharesOf(gpu: Gpu): Share[] {
  const reserved = gpu.allocations.map((one): Share => ({
    key: `${one.jobId} ${one.chargedAt}`,
    name: one.type || "an attempt that is over",
    kind: one.lingering ? "lingering" : "job",
    mib: one.vramMb,
    jobId: one.jobId,
  }));
  const excess = Math.max(0, (gpu.observedMb ?? 0) - gpu.allocatedMb);
  const rest: Share[] = [
    { key: "excess", name: "used beyond what is reserved", kind: "excess", mib: excess },
    { key: "foreign", name: "others", kind: "foreign", mib: gpu.foreignMb ?? 0 },
    { key: "free", name: "free", kind: "free", mib: gpu.freeMb },
    { key: "margin", name: "kept back", kind: "margin", mib: gpu.marginMb },
  ];
  return [...reserved, ...rest].filter((share) => share.mib > 0);
}
