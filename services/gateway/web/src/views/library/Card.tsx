/** One item in the grid; a video with a sheet of small pictures plays them under the pointer. */
import {
  AudioOutlined,
  FileTextOutlined,
  PictureOutlined,
  PlayCircleOutlined,
  StopOutlined,
} from "@ant-design/icons";
import type { ReactNode } from "react";
import { useState } from "react";
import { Link } from "react-router";

import type { Item } from "../../api/client";
import { position } from "../../parts/words";
import { ItemMenu } from "./ItemMenu";
import { Picture } from "./Picture";
import { Scrub } from "./Scrub";

const ICONS: Record<Item["kind"], ReactNode> = {
  video: <PlayCircleOutlined />,
  image: <PictureOutlined />,
  audio: <AudioOutlined />,
  document: <FileTextOutlined />,
};

export function Card({ item, search }: { item: Item; search: string }) {
  const [over, setOver] = useState(false);
  const scrubs = item.kind === "video" && item.derivatives.some((one) => one.kind === "sprite");
  const folder = item.path.slice(0, -item.filename.length - 1);
  return (
    <li className="card">
      <div className="card-frame">
        <Link
          to={`/library/${item.id}${search}`}
          className="card-picture"
          aria-label={`Show ${item.path}`}
          onPointerEnter={() => setOver(true)}
          onPointerLeave={() => setOver(false)}
        >
          {item.status === "ok" && item.thumbnailUrl ? (
            <Picture address={item.thumbnailUrl} made={item.updatedAt} />
          ) : (
            <span className="card-none">
              {item.status === "ok" ? ICONS[item.kind] : <StopOutlined />}
            </span>
          )}
          {over && scrubs && <Scrub item={item} />}
        </Link>
        {item.duration !== null && (
          <span className="card-length number">{position(item.duration)}</span>
        )}
      </div>
      <div className="card-text">
        <div>
          <span className="card-name" title={item.path}>
            {item.filename}
          </span>
          <span className="about">
            {item.status === "ok" ? folder || item.root : (item.reason ?? item.status)}
          </span>
        </div>
        <ItemMenu item={item} />
      </div>
    </li>
  );
}
