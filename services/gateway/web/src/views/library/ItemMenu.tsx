/** What can be done with one item: each makes a job, and the page goes over to it. */
import {
  BarsOutlined,
  CheckSquareOutlined,
  FileImageOutlined,
  FolderOpenOutlined,
  PlaySquareOutlined,
  TagsOutlined,
} from "@ant-design/icons";
import { App, Input } from "antd";
import { useNavigate } from "react-router";

import { api, ok } from "../../api/client";
import type { Item } from "../../api/client";
import { may, useSession } from "../../api/session";
import { MenuButton } from "../../parts/MenuButton";
import { said } from "../../parts/words";

interface Offer {
  key: string;
  label: string;
  icon: React.ReactNode;
  fits: (item: Item) => boolean;
}

const OFFERS: Offer[] = [
  {
    key: "reencode_streaming",
    label: "Re-encode for streaming",
    icon: <PlaySquareOutlined />,
    fits: (item) => item.kind === "video" && item.status === "ok",
  },
  {
    key: "thumbnail_generate",
    label: "Generate thumbnail",
    icon: <FileImageOutlined />,
    fits: (item) => (item.kind === "video" || item.kind === "image") && item.status === "ok",
  },
  {
    key: "validate",
    label: "Validate metadata",
    icon: <CheckSquareOutlined />,
    fits: (item) => item.status !== "missing",
  },
  {
    key: "tag_generation",
    label: "Tag",
    icon: <TagsOutlined />,
    fits: (item) => (item.kind === "video" || item.kind === "image") && item.status === "ok",
  },
  {
    key: "digest_generate",
    label: "Make a digest",
    icon: <BarsOutlined />,
    fits: (item) => item.kind === "video" && item.status === "ok",
  },
  {
    key: "move_to_library",
    label: "Move to directory …",
    icon: <FolderOpenOutlined />,
    fits: (item) => item.status !== "missing",
  },
];

export function ItemMenu({ item, wide = false }: { item: Item; wide?: boolean }) {
  const { data: session } = useSession();
  const { message, modal } = App.useApp();
  const navigate = useNavigate();
  if (!may(session, "SUBMITTER")) return null;

  const submit = async (type: string, params: Record<string, unknown>) => {
    try {
      const body = { type, params: { videoId: item.id, ...params } };
      const job = await ok(api.POST("/api/media/jobs", { body }));
      void navigate(`/jobs/${job.id}`);
    } catch (error) {
      void message.error(said(error), 6);
    }
  };
  const move = () => {
    let target = "";
    modal.confirm({
      icon: null,
      title: `Move ${item.filename}`,
      content: (
        <div className="field">
          <label htmlFor="target">Directory, below library/ of the root</label>
          <Input id="target" autoFocus onChange={(event) => (target = event.target.value.trim())} />
        </div>
      ),
      okText: "Move",
      onOk: () =>
        target === ""
          ? Promise.reject(new Error("no directory"))
          : submit("move_to_library", { directoryType: target }),
    });
  };
  const offers = OFFERS.filter((offer) => offer.fits(item));
  return (
    <MenuButton
      label={`Actions for ${item.filename}`}
      {...(wide && { words: "Actions" })}
      items={offers.map(({ key, label, icon }) => ({ key, label, icon }))}
      choose={(key) => {
        if (key === "move_to_library") move();
        else void submit(key, {});
      }}
    />
  );
}
