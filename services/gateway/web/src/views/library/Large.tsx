/** One item large: its picture or recording, what is known of it, and what can be done with it. */
import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Button, Modal, Skeleton, Tag } from "antd";
import type { ReactNode } from "react";
import { Fragment, useEffect } from "react";

import { api, ok } from "../../api/client";
import type { Item } from "../../api/client";
import { may, useSession } from "../../api/session";
import { JobLine } from "../../parts/JobLine";
import { Failure } from "../../parts/states";
import { bytes, count, instant, position } from "../../parts/words";
import { itemQuery } from "../../api/items";
import { ItemMenu } from "./ItemMenu";
import { Picture } from "./Picture";

interface Props {
  id: string;
  among: string[];
  show: (id: string) => void;
  close: () => void;
}

export default function Large({ id, among, show, close }: Props) {
  const item = useQuery(itemQuery(id));
  const place = among.indexOf(id);
  const before = among[place - 1];
  const after = place < 0 ? undefined : among[place + 1];
  useEffect(() => {
    const turn = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLMediaElement || event.target instanceof HTMLInputElement)
        return;
      if (event.key === "ArrowLeft" && before !== undefined) show(before);
      if (event.key === "ArrowRight" && after !== undefined) show(after);
    };
    window.addEventListener("keydown", turn);
    return () => window.removeEventListener("keydown", turn);
  }, [before, after, show]);
  return (
    <Modal
      open
      onCancel={close}
      footer={null}
      width="min(1180px, calc(100vw - 24px))"
      centered
      destroyOnHidden
      className="large"
      title={item.data?.filename ?? "Item"}
    >
      {item.isError ? (
        <Failure error={item.error} again={() => void item.refetch()} />
      ) : item.data ? (
        <div className="large-both">
          <div className="large-picture">
            <Shown key={item.data.id} item={item.data} />
            <Turn before to={before} show={show} />
            <Turn to={after} show={show} />
          </div>
          <Known item={item.data} />
        </div>
      ) : (
        <Skeleton active />
      )}
    </Modal>
  );
}

function Turn({
  before = false,
  to,
  show,
}: {
  before?: boolean;
  to: string | undefined;
  show: (id: string) => void;
}) {
  if (to === undefined) return null;
  return (
    <Button
      shape="circle"
      className={before ? "turn" : "turn turn-next"}
      icon={before ? <LeftOutlined /> : <RightOutlined />}
      aria-label={before ? "Previous item" : "Next item"}
      onClick={() => show(to)}
    />
  );
}

function Shown({ item }: { item: Item }) {
  const at = `/api/media/items/${item.id}`;
  if (item.status !== "ok")
    return <p className="large-none">{item.reason ?? "The file is missing."}</p>;
  if (item.kind === "video") {
    return <video src={`${at}/stream`} poster={`${at}/preview`} controls preload="none" />;
  }
  if (item.kind === "audio") {
    return (
      <div className="large-sound">
        <Picture
          address={`${at}/waveform`}
          made={item.updatedAt}
          alt={`How loud ${item.filename} is`}
        />
        <audio src={`${at}/stream`} controls preload="none" />
      </div>
    );
  }
  return <Picture address={`${at}/preview`} made={item.updatedAt} alt={item.filename} />;
}

function Known({ item }: { item: Item }) {
  const rows: [string, ReactNode][] = [
    ["Path", item.path],
    ["Root", item.root],
    ["Size", bytes(item.fileSize)],
  ];
  if (item.width !== null && item.height !== null)
    rows.push(["Pixels", `${item.width} × ${item.height}`]);
  if (item.duration !== null) rows.push(["Length", position(item.duration)]);
  const coded = [item.format, item.videoCodec, item.audioCodec].filter(Boolean).join(", ");
  if (coded) rows.push(["Format", coded]);
  if (item.frameRate !== null) rows.push(["Frames", `${count(item.frameRate)} a second`]);
  if (item.pages !== null) rows.push(["Pages", count(item.pages)]);
  if (item.collection !== null) rows.push(["Collection", item.collection]);
  rows.push(["Found", instant(item.createdAt)]);
  return (
    <div className="large-known">
      <ItemMenu item={item} wide />
      <dl className="facts">
        {rows.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
      {item.tags.length > 0 && (
        <section>
          <h3>Tags</h3>
          <div className="tags">
            {item.tags.map((tag) => (
              <Tag
                key={`${tag.source} ${tag.name}`}
                title={`${Math.round(tag.score * 100)} %, by ${tag.source}`}
              >
                {tag.name}
              </Tag>
            ))}
          </div>
        </section>
      )}
      {item.derivatives.length > 0 && (
        <section>
          <h3>Made from it</h3>
          <ul className="made">
            {item.derivatives.map((one, index) => (
              <li key={index}>
                <span>{one.kind}</span>
                <span className="faint number">
                  {one.width !== null && one.height !== null && `${one.width} × ${one.height} · `}
                  {bytes(one.sizeBytes)}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Jobs item={item} />
    </div>
  );
}

function Jobs({ item }: { item: Item }) {
  const { data: session } = useSession();
  const allowed = may(session, "SUBMITTER");
  const jobs = useQuery({
    queryKey: ["jobs", { item: item.id }],
    queryFn: () => ok(api.GET("/api/media/jobs", { params: { query: { q: item.id, limit: 6 } } })),
    enabled: allowed,
  });
  if (!jobs.data || jobs.data.data.length === 0) return null;
  return (
    <section>
      <h3>Jobs</h3>
      <ul className="job-lines">
        {jobs.data.data.map((job) => (
          <JobLine key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}
