/** A menu that is open from the beginning, at the button that it belongs to. */
import { Dropdown } from "antd";
import type { MenuProps } from "antd";
import type { ReactElement } from "react";
import { useState } from "react";

interface Props {
  items: NonNullable<MenuProps["items"]>;
  choose: (key: string) => void;
  children: ReactElement;
}

export default function OpenMenu({ items, choose, children }: Props) {
  const [open, setOpen] = useState(true);
  return (
    <Dropdown
      open={open}
      onOpenChange={setOpen}
      autoFocus
      trigger={["click"]}
      placement="bottomRight"
      menu={{
        items,
        onClick: ({ key, domEvent }) => {
          domEvent.stopPropagation();
          setOpen(false);
          choose(key);
        },
      }}
    >
      {children}
    </Dropdown>
  );
}
