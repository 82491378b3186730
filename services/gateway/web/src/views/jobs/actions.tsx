/** What can be done to jobs: to one, or to many, with a question where something is lost. */
import { useQueryClient } from "@tanstack/react-query";
import { App } from "antd";

import { api, ok } from "../../api/client";
import type { Action, Status } from "../../api/client";
import { isFinal } from "../../parts/job";
import { said } from "../../parts/words";

/** What whoever has submitted a job may do to it. */
export type Step = Exclude<Action, "reprioritise">;

const DONE: Record<Action, string> = {
  retry: "put back into the queue",
  cancel: "cancelled",
  pause: "paused",
  resume: "resumed",
  reprioritise: "given a new priority",
};

function take(step: Step, id: string): Promise<{ status: Status }> {
  const params = { path: { job_id: id } };
  switch (step) {
    case "retry":
      return ok(api.POST("/api/media/jobs/{job_id}/retry", { params }));
    case "cancel":
      return ok(api.POST("/api/media/jobs/{job_id}/cancel", { params }));
    case "pause":
      return ok(api.POST("/api/media/jobs/{job_id}/pause", { params }));
    case "resume":
      return ok(api.POST("/api/media/jobs/{job_id}/resume", { params }));
  }
}

/** The ways to do something to jobs; cancelling is asked about first. */
export function useActions() {
  const queries = useQueryClient();
  const { message, modal } = App.useApp();

  const tried = async (change: () => Promise<void>) => {
    try {
      await change();
    } catch (error) {
      void message.error(said(error), 6);
    }
    ["jobs", "job", "stats", "queues"].forEach(
      (key) => void queries.invalidateQueries({ queryKey: [key] }),
    );
  };
  const step = (wanted: Step, id: string) =>
    tried(async () => {
      const { status } = await take(wanted, id);
      const stops =
        wanted === "cancel" ? !isFinal(status) : wanted === "pause" && status !== "paused";
      void message.success(
        stops ? "The job is asked to stop; its worker confirms." : `The job is ${DONE[wanted]}.`,
      );
    });
  const act = (action: Action, ids: string[], priority?: number) =>
    tried(async () => {
      const body = { action, ids, ...(priority !== undefined && { priority }) };
      const { done, refused } = await ok(api.POST("/api/media/jobs/actions", { body }));
      if (done.length > 0) {
        void message.success(
          `${done.length === 1 ? "The job is" : `${done.length} jobs are`} ${DONE[action]}.`,
        );
      }
      const [first] = refused;
      if (first !== undefined) {
        const others = refused.length - 1;
        void message.warning(
          `${first.reason}${others > 0 ? ` So it is with ${others} more.` : ""}`,
          6,
        );
      }
    });
  const ask = (ids: string[]) => {
    const [only] = ids.length === 1 ? ids : [];
    void modal.confirm({
      title: only ? "Cancel this job?" : `Cancel ${ids.length} jobs?`,
      content:
        "What waits is cancelled at once. What runs is stopped by its worker, and what it has made so far is dropped.",
      okText: only ? "Cancel the job" : "Cancel the jobs",
      okButtonProps: { danger: true },
      cancelText: "Leave as is",
      focusable: { autoFocusButton: "cancel" },
      onOk: () => (only ? step("cancel", only) : act("cancel", ids)),
    });
  };
  return { step, act, ask };
}
