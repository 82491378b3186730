/** What stands where there is nothing to show: an error, or an empty list. */
import { InboxOutlined, WarningOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { ReactNode } from "react";

/** Says what went wrong, and offers to try again. */
export function Failure({ error, again }: { error: Error; again?: () => void }) {
  return (
    <div className="state" role="alert">
      <WarningOutlined className="state-icon" />
      <p>{error.message}</p>
      {again && <Button onClick={again}>Try again</Button>}
    </div>
  );
}

/** Says that there is nothing, and what to do about it. */
export function Nothing({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="state">
      <InboxOutlined className="state-icon" />
      <p>{children}</p>
      {action}
    </div>
  );
}
