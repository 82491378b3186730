/** Numbers, times and names in the reader's words. Pure. */

const locale = typeof navigator === "undefined" ? "en" : navigator.language;
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });

const STEPS: readonly [limit: number, seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [86_400, 3600, "hour"],
  [86_400 * 30, 86_400, "day"],
  [86_400 * 365, 86_400 * 30, "month"],
  [Infinity, 86_400 * 365, "year"],
];

/** How far an instant is from *now*: "just now", "5 min. ago", "in 2 hr.". */
export function away(instant: string, now: number): string {
  const seconds = Math.round((Date.parse(instant) - now) / 1000);
  if (Math.abs(seconds) < 3) return "just now";
  const found = STEPS.find(([limit]) => Math.abs(seconds) < limit) ?? STEPS[0];
  if (found === undefined) return instant;
  return relative.format(Math.trunc(seconds / found[1]), found[2]);
}

/** An instant in full, in the reader's locale and time zone. */
export function instant(value: string): string {
  return exact.format(new Date(value));
}

/** Hours and minutes of an instant in milliseconds. */
export function hour(ms: number): string {
  return clock.format(ms);
}

/** A whole number with the reader's separators. */
export function count(value: number): string {
  return whole.format(value);
}

function joined(large: string, rest: number, unit: string): string {
  return rest === 0 ? large : `${large} ${rest} ${unit}`;
}

/** A length of time: "0.4 s", "41 s", "3 min 5 s", "2 h". */
export function lasting(seconds: number): string {
  if (seconds < 10)
    return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(seconds)} s`;
  if (seconds < 60) return `${whole.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return joined(`${minutes} min`, Math.round(seconds % 60), "s");
  return joined(`${whole.format(Math.floor(minutes / 60))} h`, minutes % 60, "min");
}

/** A position in a recording: "1:05", "1:02:03". */
export function position(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown
    .map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, "0")))
    .join(":");
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes: "12.3 MB". */
export function bytes(value: number): string {
  let left = value;
  let unit = 0;
  while (left >= 1000 && unit < UNITS.length - 1) {
    left /= 1000;
    unit += 1;
  }
  const shown = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(left);
  return `${shown} ${UNITS[unit] ?? ""}`;
}

/** MiB of memory: "512 MiB", "23.5 GiB". */
export function mebibytes(value: number): string {
  if (value < 1024) return `${whole.format(value)} MiB`;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(value / 1024)} GiB`;
}

/** A key of a parameter as words: "targetBitrate" becomes "Target bitrate". */
export function words(key: string): string {
  const split = key
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
  return split.charAt(0).toUpperCase() + split.slice(1);
}

/** What went wrong, as a sentence. */
export function said(error: unknown): string {
  return error instanceof Error ? error.message : "The gateway does not answer.";
}

const CATEGORIES: Record<string, string> = {
  cpu: "CPU",
  gpu_encode: "GPU encode",
  gpu_ai: "GPU AI",
};

/** A category in words. */
export function category(name: string): string {
  return CATEGORIES[name] ?? name;
}
