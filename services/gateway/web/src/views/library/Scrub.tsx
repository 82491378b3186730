/** Shows the picture of the moment that the pointer is at, from left to right. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Item } from "../../api/client";
import { cueAt, cuesOf } from "./vtt";

async function read(id: string) {
  const answer = await fetch(`/api/media/items/${id}/sprite.vtt`);
  return answer.ok ? cuesOf(await answer.text()) : [];
}

export function Scrub({ item }: { item: Item }) {
  const [share, setShare] = useState(0);
  const cues = useQuery({
    queryKey: ["sprite", item.id],
    queryFn: () => read(item.id),
    staleTime: Infinity,
  });
  const cue = cues.data && cueAt(cues.data, share);
  return (
    <span
      className="scrub"
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        setShare((event.clientX - box.left) / box.width);
      }}
    >
      {cue && (
        <svg
          viewBox={`${cue.x} ${cue.y} ${cue.width} ${cue.height}`}
          preserveAspectRatio="xMidYMid slice"
        >
          <image href={`/api/media/items/${item.id}/sprite`} />
        </svg>
      )}
      <span className="scrub-line" style={{ transform: `scaleX(${share})` }} />
    </span>
  );
}
