/** The roles of keys, as they are chosen. */
import type { Role } from "../../api/session";

export const ROLES: { value: Role; label: string }[] = [
  { value: "VIEWER", label: "Viewer: sees the library" },
  { value: "SUBMITTER", label: "Submitter: creates jobs and uploads" },
  { value: "OPERATOR", label: "Operator: sees and steers all jobs" },
  { value: "SUPER_ADMIN", label: "Super admin: everything" },
];

const DAY_MS = 86_400_000;

/** The instant so many days from now. */
export function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString();
}
