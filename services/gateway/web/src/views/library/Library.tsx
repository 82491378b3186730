/** The view Library: a grid of pictures, search, and one item large with what can be done with it. */
import { SearchOutlined, UploadOutlined } from "@ant-design/icons";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Button, Input, Segmented, Select, Skeleton } from "antd";
import { lazy, Suspense, useCallback, useEffect, useRef } from "react";
import { useLocation, useNavigate, useParams, useSearchParams } from "react-router";

import { api, ok } from "../../api/client";
import { collectionsQuery } from "../../api/collections";
import { may, useSession } from "../../api/session";
import { useLive } from "../../live/live";
import { Head } from "../../parts/head";
import { Failure, Nothing } from "../../parts/states";
import { count } from "../../parts/words";
import { Card } from "./Card";
import { Collection } from "./Collection";
import { Drop } from "./Drop";
import { send } from "./sending";
import { Uploads } from "./Uploads";
import "./library.css";

const Large = lazy(() => import("./Large"));

const PAGE = 60;
const KINDS = ["all", "video", "image", "audio", "document"] as const;
type Kind = (typeof KINDS)[number];
const STATUSES = [
  { value: "ok", label: "Usable" },
  { value: "broken", label: "Broken" },
  { value: "missing", label: "Missing" },
] as const;
type ItemStatus = (typeof STATUSES)[number]["value"];

export default function Library() {
  const { id } = useParams();
  const navigate = useNavigate();
  const { search } = useLocation();
  const [asked, setAsked] = useSearchParams();
  const { every } = useLive();
  const { data: session } = useSession();
  const collections = useQuery(collectionsQuery);
  const collection = asked.get("collection") ?? "";
  const take = useCallback((files: File[]) => void send(files, collection), [collection]);
  const q = asked.get("q") ?? "";
  const kind = (asked.get("kind") ?? "all") as Kind;
  const status = asked.get("status") as ItemStatus | null;
  const change = (name: string, value: string) =>
    setAsked((before) => {
      const next = new URLSearchParams(before);
      if (value === "") next.delete(name);
      else next.set(name, value);
      return next;
    });

  const items = useInfiniteQuery({
    queryKey: ["items", { q, kind, status, collection }],
    queryFn: ({ pageParam }) =>
      ok(
        api.GET("/api/media/items", {
          params: {
            query: {
              limit: PAGE,
              cursor: pageParam,
              ...(q !== "" && { q }),
              ...(kind !== "all" && { kind: [kind] }),
              ...(status !== null && { status: [status] }),
              ...(collection !== "" && { collection }),
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.pagination.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: every === false ? false : every * 2,
  });
  const shown = items.data?.pages.flatMap((page) => page.data) ?? [];
  const total = items.data?.pages[0]?.pagination.total;

  return (
    <>
      <Head title="Library" note={total === undefined ? " " : `${count(total)} items`}>
        {may(session, "SUBMITTER") && <Choose take={take} />}
      </Head>
      {may(session, "SUBMITTER") && <Drop take={take} />}
      <Uploads />
      <div className="library-filters">
        <Input
          prefix={<SearchOutlined />}
          allowClear
          placeholder="A part of the path"
          aria-label="Search the library"
          defaultValue={q}
          onChange={(event) => change("q", event.target.value.trim())}
        />
        <Segmented<Kind>
          aria-label="Kind"
          value={kind}
          onChange={(value) => change("kind", value === "all" ? "" : value)}
          options={KINDS.map((value) => ({ value, label: NAMES[value] }))}
        />
        <Select<ItemStatus>
          aria-label="Status"
          placeholder="Any status"
          allowClear
          {...(status !== null && { value: status })}
          onChange={(value: ItemStatus | undefined) => change("status", value ?? "")}
          options={[...STATUSES]}
        />
        {(collection !== "" || (collections.data ?? []).length > 0) && (
          <Select<string>
            aria-label="Collection"
            placeholder="Any collection"
            allowClear
            showSearch
            {...(collection !== "" && { value: collection })}
            onChange={(value: string | undefined) => change("collection", value ?? "")}
            options={(collections.data ?? []).map((one) => ({
              value: one.slug,
              label: one.title || one.slug,
            }))}
          />
        )}
      </div>
      {collection !== "" && <Collection slug={collection} />}
      {items.isError && shown.length === 0 ? (
        <div className="panel">
          <Failure error={items.error} again={() => void items.refetch()} />
        </div>
      ) : items.isPending ? (
        <Waiting />
      ) : shown.length === 0 ? (
        <div className="panel">
          <Nothing
            action={asked.size > 0 && <Button onClick={() => setAsked({})}>Clear filters</Button>}
          >
            {asked.size > 0
              ? "Nothing in the library passes these filters."
              : "The library is empty. A scan records what lies in its folder."}
          </Nothing>
        </div>
      ) : (
        <>
          <ul className="grid">
            {shown.map((item) => (
              <Card key={item.id} item={item} search={search} />
            ))}
          </ul>
          {items.hasNextPage && (
            <More busy={items.isFetchingNextPage} more={() => void items.fetchNextPage()} />
          )}
        </>
      )}
      <Suspense fallback={null}>
        {id !== undefined && (
          <Large
            id={id}
            among={shown.map((item) => item.id)}
            show={(other) => void navigate(`/library/${other}${search}`, { replace: true })}
            close={() => void navigate(`/library${search}`)}
          />
        )}
      </Suspense>
    </>
  );
}

/** The way to upload without dragging. */
function Choose({ take }: { take: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={(event) => {
          take([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <Button type="primary" icon={<UploadOutlined />} onClick={() => input.current?.click()}>
        Upload
      </Button>
    </>
  );
}

const NAMES: Record<Kind, string> = {
  all: "All",
  video: "Videos",
  image: "Images",
  audio: "Sound",
  document: "Documents",
};

/** Asks for more as soon as the end of the grid comes into sight. */
function More({ busy, more }: { busy: boolean; more: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (place.current === null || busy) return;
    const watcher = new IntersectionObserver(
      ([seen]) => {
        if (seen?.isIntersecting) more();
      },
      { rootMargin: "600px" },
    );
    watcher.observe(place.current);
    return () => watcher.disconnect();
  }, [busy, more]);
  return (
    <div ref={place} className="more">
      <Button loading={busy} onClick={more}>
        Show more
      </Button>
    </div>
  );
}

function Waiting() {
  return (
    <div className="grid" aria-hidden="true">
      {Array.from({ length: 12 }, (_, index) => (
        <Skeleton.Node key={index} active className="card-waits" />
      ))}
    </div>
  );
}
