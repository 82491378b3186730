/** Makes an API key and shows it, once. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Input, InputNumber, Modal, Select } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import { may, useSession } from "../../api/session";
import type { Role } from "../../api/session";
import { inDays, ROLES } from "./roles";

export default function NewKey({ close }: { close: () => void }) {
  const { data: session } = useSession();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("SUBMITTER");
  const [copied, setCopied] = useState(false);
  const [days, setDays] = useState<number | null>(365);
  const make = useMutation({
    mutationFn: () =>
      ok(
        api.POST("/api/keys", {
          body: {
            name,
            role,
            ...(days !== null && { expiresAt: inDays(days) }),
          },
        }),
      ),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
  if (make.data) {
    return (
      <Modal
        open
        title={`The key of ${make.data.name}`}
        onCancel={close}
        footer={<Button onClick={close}>Done</Button>}
      >
        <div className="key-form">
          <Alert
            type="warning"
            showIcon
            title="It is shown now and never again: only its hash is kept."
          />
          <Input.TextArea
            readOnly
            rows={2}
            className="json"
            aria-label="The key"
            value={make.data.key}
            onFocus={(event) => event.target.select()}
          />
          {window.isSecureContext && (
            <Button
              type="primary"
              onClick={() =>
                void navigator.clipboard.writeText(make.data.key).then(() => setCopied(true))
              }
            >
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </div>
      </Modal>
    );
  }
  return (
    <Modal
      open
      title="A new API key"
      okText="Make it"
      okButtonProps={{ disabled: name === "", loading: make.isPending }}
      onOk={() => make.mutate()}
      onCancel={close}
    >
      <div className="key-form">
        {make.error && <Alert type="error" showIcon title={make.error.message} />}
        <div className="field">
          <label htmlFor="key-name">Whom it is for</label>
          <Input
            id="key-name"
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value.trim())}
          />
          <div className="hint">Small letters, digits, dots, hyphens and underscores.</div>
        </div>
        <div className="field">
          <label htmlFor="key-role">Role</label>
          <Select
            id="key-role"
            style={{ width: "100%" }}
            value={role}
            onChange={setRole}
            options={ROLES.filter((one) => may(session, one.value))}
          />
        </div>
        <div className="field">
          <label htmlFor="key-days">Days until it expires</label>
          <InputNumber
            id="key-days"
            min={1}
            max={3650}
            value={days}
            placeholder="never"
            onChange={setDays}
          />
        </div>
      </div>
    </Modal>
  );
}
