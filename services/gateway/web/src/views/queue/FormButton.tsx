/** Words that open a small form beside them, and its fields. */
import { Button, InputNumber, Popover } from "antd";
import type { ReactNode } from "react";
import { useState } from "react";

interface Props {
  words: string;
  /** What the button is for, where its words do not say it. */
  label?: string;
  title: string;
  /** The form, that is told how to close. */
  form: (close: () => void) => ReactNode;
}

export function FormButton({ words, label, title, form }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <Popover
      trigger="click"
      open={open}
      onOpenChange={setOpen}
      destroyOnHidden
      title={title}
      content={form(() => setOpen(false))}
    >
      <Button type="link" size="small" className="limit" {...(label && { "aria-label": label })}>
        {words}
      </Button>
    </Popover>
  );
}

interface AmountProps {
  id: string;
  name: string;
  min: number;
  max?: number;
  value: number | null;
  /** What holds while it is empty. */
  usual: string;
  change: (value: number | null) => void;
}

export function Amount({ id, name, usual, change, ...rest }: AmountProps) {
  return (
    <>
      <label htmlFor={id}>{name}</label>
      <InputNumber id={id} placeholder={usual} onChange={change} {...rest} />
    </>
  );
}
