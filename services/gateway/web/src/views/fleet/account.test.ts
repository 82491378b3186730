import { expect, test } from "vitest";

import type { Gpu } from "../../api/client";
import { sharesOf } from "./account";

const gpu = {
  capacityMb: 16_000,
  marginMb: 500,
  allocatedMb: 6000,
  observedMb: 7000,
  foreignMb: 1000,
  freeMb: 7500,
  allocations: [
    { jobId: "a", type: "scene_extract", vramMb: 4000, lingering: false, chargedAt: "1" },
    { jobId: "b", type: "", vramMb: 2000, lingering: true, chargedAt: "2" },
  ],
} as Gpu;

test("the parts of the bar make up the card", () => {
  const shares = sharesOf(gpu);
  expect(shares.map((share) => share.kind)).toEqual([
    "job",
    "lingering",
    "excess",
    "foreign",
    "free",
    "margin",
  ]);
  expect(shares.reduce((sum, share) => sum + share.mib, 0)).toBe(gpu.capacityMb);
});

test("what has no reading takes no room", () => {
  const shares = sharesOf({ ...gpu, observedMb: null, foreignMb: null });
  expect(shares.some((share) => share.kind === "excess" || share.kind === "foreign")).toBe(false);
});
