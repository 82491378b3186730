/** An instant beside now, that stays right while the page is open. */
import { useSyncExternalStore } from "react";

import { away, instant } from "./words";

const EVERY_MS = 1_000;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: number | undefined;

function listen(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now();
    listeners.forEach((tell) => tell());
  }, EVERY_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Now, to the second. */
export function useNow(): number {
  return useSyncExternalStore(listen, () => now);
}

/** How far *at* is from now, in words; who asks is drawn again only when the words change. */
function useAway(at: string): string {
  return useSyncExternalStore(listen, () => away(at, now));
}

export function When({ at }: { at: string | null | undefined }) {
  return at ? <Known at={at} /> : <span className="faint">–</span>;
}

function Known({ at }: { at: string }) {
  return (
    <time dateTime={at} title={instant(at)}>
      {useAway(at)}
    </time>
  );
}
