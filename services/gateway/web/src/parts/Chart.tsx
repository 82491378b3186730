/** A small chart over time, drawn by uPlot in the page's colours; its words stand beside it for who cannot see it. */
import { theme } from "antd";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  name: string;
  colour: string;
  values: (number | null)[];
}

interface Props {
  /** What it shows, in words. */
  label: string;
  /** Seconds since 1970. */
  times: number[];
  lines: Line[];
  bars?: boolean;
  height?: number;
  max?: number;
  /** Seconds that it shows at least, up to the newest time. */
  span?: number;
  /** Steps of the scale at the left. */
  steps?: number[];
  format?: (value: number) => string;
}

export function Chart({
  label,
  times,
  lines,
  bars = false,
  height = 150,
  max,
  span,
  steps,
  format,
}: Props) {
  const place = useRef<HTMLDivElement>(null);
  const { token } = theme.useToken();
  useEffect(() => {
    const found = place.current;
    if (found === null) return;
    const axis: uPlot.Axis = {
      stroke: token.colorTextTertiary,
      font: `11px ${token.fontFamily}`,
      grid: { stroke: token.colorBorderSecondary, width: 1 },
      ticks: { show: false },
    };
    const paths = bars
      ? uPlot.paths.bars?.({ size: [0.7, 18] })
      : uPlot.paths.stepped?.({ align: 1 });
    const chart = new uPlot(
      {
        width: found.clientWidth,
        height,
        padding: [10, 8, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: {
            range: (_, first, last) => [Math.min(first, last - (span ?? 0)), last],
          },
          y: { range: (_, __, top) => [0, max ?? Math.max(1, top * 1.15)] },
        },
        axes: [
          {
            ...axis,
            size: 28,
            grid: { show: false },
            incrs: MINUTES,
            values: (_, at) => at.map((one) => HOUR.format(one * 1000)),
          },
          {
            ...axis,
            // It asks before there are any words, though its types do not say so.
            size: (_, at: string[] | null) =>
              AXIS_PX + LETTER_PX * Math.max(0, ...(at ?? []).map((one) => one.length)),
            space: 30,
            ...(steps && { incrs: steps }),
            values: (_, at) => at.map((one) => format?.(one) ?? `${one}`),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.name,
            stroke: line.colour,
            fill: `${line.colour}${bars ? "cc" : "2e"}`,
            width: bars ? 0 : 1.5,
            points: { show: false },
            ...(paths && { paths }),
          })),
        ],
      },
      [times, ...lines.map((line) => line.values)] as uPlot.AlignedData,
      found,
    );
    const sizes = new ResizeObserver(() => chart.setSize({ width: found.clientWidth, height }));
    sizes.observe(found);
    return () => {
      sizes.disconnect();
      chart.destroy();
    };
  }, [times, lines, bars, height, max, span, steps, format, token]);
  return (
    <figure className="chart" aria-label={label} role="img">
      <div ref={place} />
      {lines.length > 1 && (
        <figcaption>
          {lines.map((line) => (
            <span key={line.name}>
              <i style={{ background: line.colour }} />
              {line.name}
            </span>
          ))}
        </figcaption>
      )}
    </figure>
  );
}

/** Room beside the words of the scale, and for each of their letters. */
const AXIS_PX = 14;
const LETTER_PX = 6.5;
/** Steps of the time axis, in seconds: no minute is named twice. */
const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720].map((minutes) => minutes * 60);
const HOUR = new Intl.DateTimeFormat(navigator.language, { hour: "2-digit", minute: "2-digit" });
