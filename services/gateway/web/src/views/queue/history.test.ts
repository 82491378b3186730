import { expect, test } from "vitest";

import type { Job } from "../../api/client";
import { waitsOf } from "./history";

const NOW = Date.parse("2026-02-13T12:00:30Z");

function job(part: Partial<Job>): Job {
  return {
    status: "completed",
    createdAt: "2026-02-13T11:58:00Z",
    startedAt: null,
    completedAt: null,
    runAt: null,
    ...part,
  } as Job;
}

test("a wait is counted from when the job might have started, the longest of a minute", () => {
  const flow = waitsOf(
    [
      job({ startedAt: "2026-02-13T11:59:00Z" }),
      job({ startedAt: "2026-02-13T11:59:05Z", runAt: "2026-02-13T11:59:00Z" }),
    ],
    NOW,
    3,
  );
  expect(flow.waits).toEqual([null, 60, null]);
});
