import { expect, test } from "vitest";

import { together } from "./trace";

test("what the scheduler kept and what the page saw stand in order", () => {
  const seen = [{ at: Date.parse("2026-02-13T12:00:30Z"), allocated: 2, observed: 2, foreign: 0 }];
  const past = ["2026-02-13T12:00:00.000Z", "2026-02-13T12:01:00.000Z"].map((at, index) => ({
    at,
    allocatedMb: 1 + 2 * index,
    observedMb: null,
    foreignMb: null,
  }));
  expect(together(past, seen).map((one) => one.allocated)).toEqual([1, 2, 3]);
  expect(together(past, seen)[0]?.observed).toBeNull();
});
