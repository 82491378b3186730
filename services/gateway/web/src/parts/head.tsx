/** The head of a view: its name, a line about it, and what can be done. */
import type { ReactNode } from "react";

export function Head({
  title,
  note,
  children,
}: {
  title: string;
  note?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="head">
      <div>
        <h1>{title}</h1>
        {note && <p>{note}</p>}
      </div>
      <div className="head-actions">{children}</div>
    </div>
  );
}
