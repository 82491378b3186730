/** A job's log, that grows line by line while the job runs, and stays at its end unless the reader scrolls up. */
import { useEffect, useLayoutEffect, useRef, useState } from "react";

import type { JobDetails } from "../../api/client";
import { useLive } from "../../live/live";
import { isFinal } from "../../parts/job";

const NEAR_PX = 24;

/** What the job has written since this page follows it, from the beginning of its log. */
function useFollowed(id: string, goesOn: boolean): string {
  const { held } = useLive();
  const [text, setText] = useState("");
  useEffect(() => {
    if (!goesOn || held) return;
    let gathered = "";
    const lines = new EventSource(`/api/media/jobs/${id}/log?follow=true`);
    lines.onmessage = ({ data }: MessageEvent<string>) => {
      gathered += `${data}\n`;
      setText(gathered);
    };
    lines.addEventListener("end", () => lines.close());
    return () => lines.close();
  }, [id, goesOn, held]);
  return text;
}

export function Log({ job }: { job: JobDetails }) {
  const place = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const followed = useFollowed(job.id, !isFinal(job.status));
  // A log only grows: the longer of the two is the newer, or the one that nothing was left out of.
  const text = followed.length > job.log.length ? followed : job.log;
  useLayoutEffect(() => {
    const shown = place.current;
    if (shown && atEnd.current) shown.scrollTop = shown.scrollHeight;
  }, [text]);
  return (
    <section>
      <div className="log-head">
        <h3>Log</h3>
        <a href={`/api/media/jobs/${job.id}/log`} target="_blank" rel="noreferrer">
          All of it
        </a>
      </div>
      <pre
        ref={place}
        className="log"
        role="log"
        aria-label="Log"
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
        }}
      >
        {text || (isFinal(job.status) ? "It wrote nothing." : "Nothing yet.")}
      </pre>
    </section>
  );
}
