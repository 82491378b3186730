/** What a job works on, by its parameters. Pure. */
type Params = Readonly<Record<string, unknown>>;

/** The item that a job is about, or what it is about in words. */
export function subject(params: Params): { itemId: string | null; words: string } {
  const { videoId, inputPath, itemIds, path, root, directoryType, count } = params;
  if (typeof videoId === "string") return { itemId: videoId, words: "" };
  if (typeof inputPath === "string") return { itemId: null, words: inputPath };
  if (Array.isArray(itemIds) && itemIds.length > 0) {
    const [only] = itemIds as unknown[];
    if (itemIds.length === 1 && typeof only === "string") return { itemId: only, words: "" };
    return { itemId: null, words: `${itemIds.length} items` };
  }
  const place = [root, directoryType ?? path].filter((part) => typeof part === "string");
  if (place.length > 0) return { itemId: null, words: place.join(": ") };
  return { itemId: null, words: typeof count === "number" ? `${count} videos` : "" };
}
