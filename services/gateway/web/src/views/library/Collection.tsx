/** The collection that the library is narrowed to: how far its jobs are, and the way to them. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { collectionQuery } from "../../api/collections";
import { useLive } from "../../live/live";
import { may, useSession } from "../../api/session";
import { Progress } from "../../parts/job";
import { When } from "../../parts/When";
import { count } from "../../parts/words";

export function Collection({ slug }: { slug: string }) {
  const { every } = useLive();
  const { data: session } = useSession();
  const found = useQuery({ ...collectionQuery(slug), refetchInterval: every });
  if (!found.data) return null;
  const { title, total, done, failed, percentDone, predictedEndAt, finishedAt } = found.data;
  return (
    <section className="panel collection" aria-label={`Collection ${slug}`}>
      <div>
        <h2>{title || slug}</h2>
        <p className="number">
          {total === 0
            ? "Nothing has been asked for in it yet."
            : `${count(done)} of ${count(total)} jobs done`}
          {failed > 0 && <span className="refused">, {count(failed)} failed</span>}
          {finishedAt === null && predictedEndAt !== null && (
            <>
              , the last <When at={predictedEndAt} />
            </>
          )}
        </p>
      </div>
      <Progress
        of={`Progress of ${slug}`}
        tone={done < total ? "running" : "completed"}
        percent={Math.floor(percentDone)}
      />
      {may(session, "SUBMITTER") && <Link to={`/jobs?collection=${slug}`}>Its jobs</Link>}
    </section>
  );
}
