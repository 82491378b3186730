/** The view Access: API keys, and the trail of what was done. */
import { PlusOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { App, Button, Tag } from "antd";
import { lazy, Suspense, useState } from "react";

import { api, ok } from "../../api/client";
import type { Schema } from "../../api/client";
import { roleName } from "../../api/session";
import { useChange } from "../../parts/change";
import { Head } from "../../parts/head";
import { Loaded } from "../../parts/Loaded";
import { When } from "../../parts/When";
import { Audit } from "./Audit";
import "./access.css";

const NewKey = lazy(() => import("./NewKey"));
const EditKey = lazy(() => import("./EditKey"));
type Key = Schema["KeyView"];

export default function Access() {
  const [making, setMaking] = useState(false);
  const [changed, setChanged] = useState<Key>();
  const keys = useQuery({
    queryKey: ["keys"],
    queryFn: async () => (await ok(api.GET("/api/keys"))).data,
  });
  return (
    <>
      <Head title="Access" note="Who may come in with an API key, and what was done.">
        <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking(true)}>
          New key
        </Button>
      </Head>
      <section className="panel" aria-labelledby="keys">
        <div className="panel-head">
          <h2 id="keys">API keys</h2>
        </div>
        <Loaded query={keys} empty="There is no key yet. Programs come in with keys of their own.">
          {(data) => (
            <div className="wide">
              <table className="plain access">
                <thead>
                  <tr>
                    <th>Name</th>
                    <th>Role</th>
                    <th className="wide-only">Made</th>
                    <th className="wide-only">Last used</th>
                    <th>Expires</th>
                    <th>
                      <span className="unseen">Change or revoke</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((key) => (
                    <Row key={key.id} one={key} change={setChanged} />
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </section>
      <Audit />
      <Suspense fallback={null}>
        {making && <NewKey close={() => setMaking(false)} />}
        {changed && <EditKey one={changed} close={() => setChanged(undefined)} />}
      </Suspense>
    </>
  );
}

function Row({ one, change }: { one: Key; change: (one: Key) => void }) {
  const { modal } = App.useApp();
  const params = { path: { key_id: one.id } };
  const revoke = useChange(() => ok(api.DELETE("/api/keys/{key_id}", { params })), "keys");
  const ask = () =>
    void modal.confirm({
      title: `Revoke the key ${one.name}?`,
      content: "Whoever uses it is refused from now on. This cannot be undone.",
      okText: "Revoke",
      okButtonProps: { danger: true },
      onOk: () => revoke.mutateAsync(),
    });
  return (
    <tr className={one.revokedAt === null ? "" : "revoked"}>
      <td>
        <b>{one.name}</b>
      </td>
      <td>{roleName(one.role)}</td>
      <td className="wide-only">
        <When at={one.createdAt} /> <span className="faint">by {one.createdBy}</span>
      </td>
      <td className="wide-only">
        {one.lastUsedAt === null ? (
          <span className="faint">never</span>
        ) : (
          <When at={one.lastUsedAt} />
        )}
      </td>
      <td>
        {one.expiresAt === null ? (
          <span className="faint">never</span>
        ) : (
          <When at={one.expiresAt} />
        )}
      </td>
      <td className="figure">
        {one.revokedAt === null ? (
          <>
            <Button
              size="small"
              type="text"
              onClick={() => change(one)}
              aria-label={`Change ${one.name}`}
            >
              Change …
            </Button>
            <Button size="small" type="text" danger onClick={ask} aria-label={`Revoke ${one.name}`}>
              Revoke …
            </Button>
          </>
        ) : (
          <Tag>revoked</Tag>
        )}
      </td>
    </tr>
  );
}
