/** A button that opens a menu; what draws menus is fetched when the first one is wanted. */
import { MoreOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { MenuProps } from "antd";
import { lazy, Suspense, useState } from "react";

const OpenMenu = lazy(() => import("./OpenMenu"));

interface Props {
  /** What the button is for, where it shows no words. */
  label: string;
  /** The words on it; without them it is small, with three dots. */
  words?: string;
  items: NonNullable<MenuProps["items"]>;
  choose: (key: string) => void;
}

export function MenuButton({ label, words, items, choose }: Props) {
  const [wanted, setWanted] = useState(false);
  const look = words
    ? ({ type: "primary", children: words } as const)
    : ({ type: "text", size: "small", icon: <MoreOutlined />, "aria-label": label } as const);
  if (!wanted) return <Button {...look} onClick={() => setWanted(true)} />;
  return (
    <Suspense fallback={<Button {...look} />}>
      <OpenMenu items={items} choose={choose}>
        <Button {...look} />
      </OpenMenu>
    </Suspense>
  );
}
