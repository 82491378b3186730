/** A picture that may still be in the making: it is asked for again a few times. */
import { useEffect, useState } from "react";

const TRIES = 6;
const AGAIN_MS = 2_500;

export function Picture({
  address,
  made,
  alt = "",
}: {
  address: string;
  made: string;
  alt?: string;
}) {
  const [tries, setTries] = useState(0);
  const [failed, setFailed] = useState(false);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!failed || tries >= TRIES) return;
    const timer = window.setTimeout(() => {
      setFailed(false);
      setTries((count) => count + 1);
    }, AGAIN_MS);
    return () => window.clearTimeout(timer);
  }, [failed, tries]);
  const joint = address.includes("?") ? "&" : "?";
  return (
    <img
      key={`${made} ${tries}`}
      className={seen ? "seen" : ""}
      src={tries === 0 ? address : `${address}${joint}try=${tries}`}
      alt={alt}
      loading="lazy"
      decoding="async"
      onLoad={() => setSeen(true)}
      onError={() => setFailed(true)}
    />
  );
}
