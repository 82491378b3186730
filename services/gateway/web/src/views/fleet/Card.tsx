/** One GPU: its memory as a bar, who holds what, and how it went. */
import { Tag } from "antd";
import { lazy, Suspense, useMemo } from "react";
import { Link } from "react-router";

import type { Gpu } from "../../api/client";
import { useNow, When } from "../../parts/When";
import { mebibytes } from "../../parts/words";
import { sharesOf } from "./account";
import { together, traced, until } from "./trace";

const Chart = lazy(() => import("../../parts/Chart").then((part) => ({ default: part.Chart })));

const SPAN_S = 300;
const DRAWN_EVERY_MS = 5_000;
const STEPS = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

export function Card({ gpu, past, at }: { gpu: Gpu; past: Gpu["history"]; at: number }) {
  const shares = sharesOf(gpu);
  const kept = traced(gpu, at);
  const now = Math.floor(useNow() / DRAWN_EVERY_MS) * DRAWN_EVERY_MS;
  const trace = useMemo(() => until(together(past, kept), now), [past, kept, now]);
  const seconds = useMemo(() => trace.map((one) => one.at / 1000), [trace]);
  const lines = useMemo(
    () => [
      { name: "reserved", colour: "#5b6cf0", values: trace.map((one) => one.allocated) },
      { name: "observed", colour: "#1f9d57", values: trace.map((one) => one.observed) },
      { name: "foreign", colour: "#d98a1f", values: trace.map((one) => one.foreign) },
    ],
    [trace],
  );
  return (
    <article className="panel gpu">
      <div className="panel-head">
        <div>
          <h3>{gpu.name}</h3>
          <p>
            {gpu.host} · GPU {gpu.index}
            {gpu.driver && ` · driver ${gpu.driver}`}
          </p>
        </div>
        <div className="gpu-now number">
          {gpu.state !== "ok" && <Tag color="error">{gpu.state}</Tag>}
          {gpu.utilizationPercent !== null && <span>{gpu.utilizationPercent} % busy</span>}
          {gpu.temperatureC !== null && <span>{gpu.temperatureC} °C</span>}
          {gpu.encoderSessions > 0 && <span>{gpu.encoderSessions} encoding</span>}
        </div>
      </div>
      <div className="panel-body">
        {gpu.problem && <div className="note wrong">{gpu.problem}</div>}
        <div
          className="memory"
          role="img"
          aria-label={`Of ${mebibytes(gpu.capacityMb)}, ${mebibytes(gpu.allocatedMb)} are reserved and ${mebibytes(gpu.freeMb)} are free`}
        >
          {shares.map((share) => (
            <span
              key={share.key}
              className={`share share-${share.kind}`}
              style={{ flexGrow: share.mib }}
              title={`${share.name}: ${mebibytes(share.mib)}`}
            />
          ))}
        </div>
        <dl className="memory-figures number">
          <Figure name="Reserved" kind="job" mib={gpu.allocatedMb} />
          <Figure name="Observed" kind="observed" mib={gpu.observedMb} />
          <Figure name="Foreign" kind="foreign" mib={gpu.foreignMb} />
          <Figure name="Free" kind="free" mib={gpu.freeMb} />
          <Figure name="Whole" kind="whole" mib={gpu.capacityMb} />
        </dl>
        {gpu.allocations.length > 0 && (
          <ul className="made">
            {gpu.allocations.map((one) => (
              <li key={`${one.jobId} ${one.chargedAt}`}>
                <i className={`dot share-${one.lingering ? "lingering" : "job"}`} />
                <Link to={`/jobs/${one.jobId}`}>{one.type || "an attempt that is over"}</Link>
                <span className="number">{mebibytes(one.vramMb)}</span>
                <span className="faint">
                  <When at={one.chargedAt} />
                </span>
              </li>
            ))}
          </ul>
        )}
        <Suspense fallback={<div className="chart-waits" />}>
          <Chart
            label={`Memory of ${gpu.name} in the last hour`}
            times={seconds}
            lines={lines}
            max={gpu.capacityMb}
            format={mebibytes}
            height={130}
            span={SPAN_S}
            steps={STEPS}
          />
        </Suspense>
      </div>
    </article>
  );
}

function Figure({ name, kind, mib }: { name: string; kind: string; mib: number | null }) {
  return (
    <div>
      <dt>
        <i className={`dot share-${kind}`} />
        {name}
      </dt>
      <dd>{mib === null ? "not read" : mebibytes(mib)}</dd>
    </div>
  );
}
