/** The menu of a phone, from the left. */
import { Drawer } from "antd";
import type { ReactNode } from "react";

interface Props {
  title: ReactNode;
  close: () => void;
  children: ReactNode;
}

export default function Menu({ title, close, children }: Props) {
  return (
    <Drawer
      open
      onClose={close}
      placement="left"
      size={260}
      title={title}
      aria-label="Menu"
      classNames={{ body: "side-drawer" }}
    >
      {children}
    </Drawer>
  );
}
