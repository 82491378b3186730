/** How a job's type, status, priority and progress are drawn, wherever they stand. */
import {
  AppstoreOutlined,
  BarsOutlined,
  BuildOutlined,
  CheckSquareOutlined,
  ClearOutlined,
  FileGifOutlined,
  FileImageOutlined,
  FireOutlined,
  FolderOpenOutlined,
  FolderViewOutlined,
  MergeCellsOutlined,
  PartitionOutlined,
  PictureOutlined,
  PlaySquareOutlined,
  ScissorOutlined,
  SplitCellsOutlined,
  TagsOutlined,
  ThunderboltOutlined,
  VideoCameraOutlined,
} from "@ant-design/icons";
import type { ComponentType } from "react";

import type { Job, Status } from "../api/client";

const ICONS: Record<string, ComponentType> = {
  scan: FolderViewOutlined,
  public_scan: FolderViewOutlined,
  validate: CheckSquareOutlined,
  reencode_streaming: PlaySquareOutlined,
  reencode_chunk: PartitionOutlined,
  compile_random: MergeCellsOutlined,
  compile_quad: AppstoreOutlined,
  compile_mega: BuildOutlined,
  compile_gif: FileGifOutlined,
  digest_generate: BarsOutlined,
  clip_generate: ScissorOutlined,
  highlight_generate: FireOutlined,
  tag_generation: TagsOutlined,
  scene_extract: SplitCellsOutlined,
  thumbnail_generate: FileImageOutlined,
  derivatives_generate: PictureOutlined,
  move_to_library: FolderOpenOutlined,
  cache_build: ThunderboltOutlined,
  cache_sweep: ClearOutlined,
};

/** The picture of a job type; types of plug-ins share one. */
export function TypeIcon({ type }: { type: string }) {
  const Icon = ICONS[type] ?? VideoCameraOutlined;
  return (
    <span className="type-icon" aria-hidden="true">
      <Icon />
    </span>
  );
}

export const STATUSES: readonly Status[] = [
  "running",
  "queued",
  "pending",
  "paused",
  "completed",
  "failed",
  "cancelled",
];

const FINAL: ReadonlySet<Status> = new Set(["completed", "failed", "cancelled"]);

/** Whether a job in this status stays as it is. */
export function isFinal(status: Status): boolean {
  return FINAL.has(status);
}

/** What can be done to a job in each status. */
export function can(
  job: Pick<Job, "status">,
  action: "retry" | "cancel" | "pause" | "resume",
): boolean {
  if (action === "retry") return job.status === "failed" || job.status === "cancelled";
  if (action === "resume") return job.status === "paused";
  if (action === "pause") return ["pending", "queued", "running"].includes(job.status);
  return !isFinal(job.status);
}

export function StatusMark({ status, asked }: { status: Status; asked?: string | null }) {
  return (
    <span className={`status status-${status}`}>
      <i aria-hidden="true" />
      {status}
      {asked && <em> · {asked}</em>}
    </span>
  );
}

/** What was asked of a running job and is not done yet. */
export function askedOf(job: Job): string | null {
  if (isFinal(job.status)) return null;
  if (job.cancelRequestedAt) return "stopping";
  if (job.pauseRequestedAt) return "pausing";
  return null;
}

export function Bar({ job }: { job: Pick<Job, "status" | "progress"> }) {
  const percent = job.status === "completed" ? 100 : job.progress;
  return (
    <Progress
      of="Progress"
      tone={job.status}
      percent={percent}
      numbered={job.status !== "pending" || percent > 0}
    />
  );
}

interface ProgressProps {
  /** What it is the progress of, for who cannot see it. */
  of: string;
  tone: Status;
  percent: number;
  numbered?: boolean;
}

/** A bar in the colour of a status, with its number. */
export function Progress({ of, tone, percent, numbered = true }: ProgressProps) {
  return (
    <span className={`bar bar-${tone}`}>
      <span
        className="bar-track"
        role="progressbar"
        aria-label={of}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <span className="bar-fill" style={{ transform: `scaleX(${percent / 100})` }} />
      </span>
      <span className="bar-number">{numbered && `${percent} %`}</span>
    </span>
  );
}

export function Priority({ value }: { value: number }) {
  const tone = value <= 3 ? "urgent" : value <= 6 ? "usual" : "low";
  return (
    <span className={`priority priority-${tone}`} title={`Priority ${value}; 1 is most urgent`}>
      {value}
    </span>
  );
}
