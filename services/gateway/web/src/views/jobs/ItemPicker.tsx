/** Finds items of the library by a part of their path. */
import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { Select } from "antd";
import { useState } from "react";

import { api, ok } from "../../api/client";
import type { Item } from "../../api/client";
import { itemQuery } from "../../api/items";
import { position } from "../../parts/words";

const SHOWN = 30;

interface Props {
  id: string;
  value: string | string[] | undefined;
  several?: boolean;
  status: "" | "error";
  change: (value: unknown) => void;
}

export function ItemPicker({ id, value, several = false, status, change }: Props) {
  const [wanted, setWanted] = useState("");
  const found = useQuery({
    queryKey: ["items", "pick", wanted, several],
    queryFn: () =>
      ok(
        api.GET("/api/media/items", {
          params: {
            query: {
              limit: SHOWN,
              status: ["ok"],
              ...(wanted !== "" && { q: wanted }),
              ...(!several && { kind: ["video", "image"] }),
            },
          },
        }),
      ),
    placeholderData: keepPreviousData,
  });
  const chosen = value === undefined ? [] : Array.isArray(value) ? value : [value];
  const known = useQueries({ queries: chosen.map((one) => itemQuery(one)) });
  const items = new Map<string, Item>();
  found.data?.data.forEach((item) => items.set(item.id, item));
  known.forEach(({ data }) => data && items.set(data.id, data));
  return (
    <Select
      id={id}
      {...(several && { mode: "multiple" as const })}
      allowClear
      status={status}
      style={{ width: "100%" }}
      placeholder="Search by file name"
      showSearch={{ filterOption: false, onSearch: setWanted }}
      loading={found.isFetching}
      value={value}
      onChange={change}
      notFoundContent={found.isPending ? "Searching …" : "No item has this in its path."}
      options={[...items.values()].map((item) => ({ value: item.id, label: item.path, item }))}
      optionRender={(option) => <Option item={items.get(String(option.value))} />}
    />
  );
}

function Option({ item }: { item: Item | undefined }) {
  if (!item) return null;
  return (
    <span className="item-option">
      {item.thumbnailUrl ? (
        <img src={item.thumbnailUrl} alt="" loading="lazy" />
      ) : (
        <span className="no-picture" />
      )}
      <span>{item.path}</span>
      {item.duration !== null && <small className="faint">{position(item.duration)}</small>}
    </span>
  );
}
