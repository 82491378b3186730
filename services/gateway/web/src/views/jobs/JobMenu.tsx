/** The menu of one job: what can be done to it in its status. */
import {
  CaretRightOutlined,
  CloseOutlined,
  PauseOutlined,
  ReloadOutlined,
} from "@ant-design/icons";

import type { Job } from "../../api/client";
import { may, useSession } from "../../api/session";
import { can } from "../../parts/job";
import { MenuButton } from "../../parts/MenuButton";
import type { Step } from "./actions";
import { useActions } from "./actions";

export function JobMenu({ job }: { job: Job }) {
  const { data: session } = useSession();
  const { step, ask } = useActions();
  if (!may(session, "SUBMITTER")) return null;
  return (
    <MenuButton
      label={`Actions for ${job.type}`}
      items={[
        { key: "retry", icon: <ReloadOutlined />, label: "Retry", disabled: !can(job, "retry") },
        { key: "pause", icon: <PauseOutlined />, label: "Pause", disabled: !can(job, "pause") },
        {
          key: "resume",
          icon: <CaretRightOutlined />,
          label: "Resume",
          disabled: !can(job, "resume"),
        },
        { type: "divider" },
        {
          key: "cancel",
          icon: <CloseOutlined />,
          label: "Cancel …",
          danger: true,
          disabled: !can(job, "cancel"),
        },
      ]}
      choose={(key) => {
        if (key === "cancel") ask([job.id]);
        else void step(key as Step, job.id);
      }}
    />
  );
}
