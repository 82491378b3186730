/** The sign-in. */
import { Alert, Button, Input } from "antd";
import type { SubmitEvent } from "react";
import { useState } from "react";

import { useDoor } from "../../api/session";
import icon from "../../icon.svg";
import { said } from "../../parts/words";

export function SignIn() {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const door = useDoor();

  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      await door.signIn(token.trim());
    } catch (reason) {
      setError(said(reason));
      setBusy(false);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (token.trim() !== "") void send();
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <img src={icon} alt="" width={40} height={40} />
        <h1>Sign in to Callsheet</h1>
        <p>With the administrator’s token, an API key, or a token of your identity provider.</p>
        {error && <Alert type="error" showIcon title={error} />}
        <label htmlFor="token">Token</label>
        <Input.Password
          id="token"
          size="large"
          autoFocus
          autoComplete="current-password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
        <Button type="primary" size="large" block htmlType="submit" loading={busy}>
          Sign in
        </Button>
        <p className="sign-in-hint">
          After <code>make run</code> the administrator’s token lies in <code>var/admin-token</code>
          .
        </p>
      </form>
    </main>
  );
}
