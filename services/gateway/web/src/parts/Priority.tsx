/** How urgent a job is, as a scale. */
import { Slider } from "antd";

const MARKS = { 1: "1", 5: "5", 10: "10" };

export const PRIORITY = (
  <>
    Priority <span className="faint">1 is most urgent</span>
  </>
);

export function Priority({
  value,
  set,
  settle = () => undefined,
}: {
  value: number;
  set: (priority: number) => void;
  settle?: (priority: number) => void;
}) {
  return (
    <Slider
      min={1}
      max={10}
      marks={MARKS}
      value={value}
      ariaLabelForHandle="Priority"
      onChange={set}
      onChangeComplete={settle}
    />
  );
}
