/** Gives an API key another role or end. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, InputNumber, Modal, Select } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import type { Schema } from "../../api/client";
import { may, useSession } from "../../api/session";
import type { Role } from "../../api/session";
import { inDays, ROLES } from "./roles";

type End = "as it is" | "in days" | "never";
const ENDS: { value: End; label: string }[] = [
  { value: "as it is", label: "As it is" },
  { value: "in days", label: "In some days" },
  { value: "never", label: "Never" },
];

export default function EditKey({ one, close }: { one: Schema["KeyView"]; close: () => void }) {
  const { data: session } = useSession();
  const queries = useQueryClient();
  const [role, setRole] = useState<Role>(one.role);
  const [end, setEnd] = useState<End>("as it is");
  const [days, setDays] = useState(365);
  const body = {
    ...(role !== one.role && { role }),
    ...(end !== "as it is" && { expiresAt: end === "never" ? null : inDays(days) }),
  };
  const change = useMutation({
    mutationFn: () =>
      ok(api.PATCH("/api/keys/{key_id}", { params: { path: { key_id: one.id } }, body })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
    onSuccess: close,
  });
  return (
    <Modal
      open
      title={`The key ${one.name}`}
      okText="Change it"
      okButtonProps={{ disabled: Object.keys(body).length === 0, loading: change.isPending }}
      onOk={() => change.mutate()}
      onCancel={close}
    >
      <div className="key-form">
        {change.error && <Alert type="error" showIcon title={change.error.message} />}
        <div className="field">
          <label htmlFor="key-role">Role</label>
          <Select
            id="key-role"
            style={{ width: "100%" }}
            value={role}
            onChange={setRole}
            options={ROLES.filter((choice) => may(session, choice.value))}
          />
        </div>
        <div className="field">
          <label htmlFor="key-end">Expires</label>
          <Select
            id="key-end"
            style={{ width: "100%" }}
            value={end}
            onChange={setEnd}
            options={ENDS}
          />
        </div>
        {end === "in days" && (
          <div className="field">
            <label htmlFor="key-days">Days from now</label>
            <InputNumber
              id="key-days"
              min={1}
              max={3650}
              value={days}
              onChange={(value) => setDays(value ?? 1)}
            />
          </div>
        )}
      </div>
    </Modal>
  );
}
