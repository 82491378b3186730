import { describe, expect, test } from "vitest";

import { queryOf, readFilter, writeFilter } from "./filter";
import { fieldsOf } from "./schema";
import { subject } from "../../parts/subject";

describe("the filter in the address", () => {
  test("comes back as it was written", () => {
    const filter = readFilter(
      new URLSearchParams(
        "status=failed&status=paused&type=scan&resource=cpu&q=bunny&page=3&limit=50",
      ),
    );
    expect(readFilter(writeFilter(filter))).toEqual(filter);
    expect(queryOf(filter)).toEqual({
      page: 3,
      limit: 50,
      status: ["failed", "paused"],
      type: ["scan"],
      resourceCategory: ["cpu"],
      q: "bunny",
    });
  });
  test("goes on behind a page instead of by its number where it has a cursor", () => {
    const filter = readFilter(new URLSearchParams("type=scan&cursor=abc"));
    expect(readFilter(writeFilter(filter))).toEqual(filter);
    expect(queryOf(filter)).toEqual({ cursor: "abc", limit: 20, type: ["scan"] });
  });
  test("leaves out what is as usual", () => {
    expect(writeFilter(readFilter(new URLSearchParams("page=1&limit=20&q="))).size).toBe(0);
  });
  test("takes nonsense for the usual", () => {
    const filter = readFilter(new URLSearchParams("page=-4&limit=many"));
    expect([filter.page, filter.limit]).toEqual([1, 20]);
  });
});

describe("the form of a schema", () => {
  const schema = {
    $defs: { Kind: { enum: ["thumbnail", "sprite"], type: "string" } },
    required: ["itemIds"],
    properties: {
      width: {
        anyOf: [{ minimum: 16, maximum: 8192, type: "integer" }, { type: "null" }],
        default: null,
      },
      depth: { default: "demux", pattern: "^(probe|demux|decode)$", type: "string" },
      itemIds: { items: { format: "uuid", type: "string" }, type: "array" },
      kinds: { items: { $ref: "#/$defs/Kind" }, type: "array", default: ["thumbnail"] },
      ranges: { items: { type: "object" }, type: "array" },
    },
  };
  test("begins with the items", () => {
    expect(fieldsOf(schema)[0]).toMatchObject({ key: "itemIds", kind: "items", required: true });
  });
  test("looks through null, references and patterns", () => {
    const byKey = Object.fromEntries(fieldsOf(schema).map((field) => [field.key, field]));
    expect(byKey["width"]).toMatchObject({ kind: "whole", min: 16, max: 8192, title: "Width" });
    expect(byKey["depth"]).toMatchObject({ kind: "choice", choices: ["probe", "demux", "decode"] });
    expect(byKey["kinds"]).toMatchObject({ kind: "choices", choices: ["thumbnail", "sprite"] });
    expect(byKey["ranges"]).toMatchObject({ kind: "json" });
  });
});

test.each([
  [{ videoId: "a" }, { itemId: "a", words: "" }],
  [{ itemIds: ["a"] }, { itemId: "a", words: "" }],
  [{ itemIds: ["a", "b"] }, { itemId: null, words: "2 items" }],
  [
    { root: "library", path: "videos" },
    { itemId: null, words: "library: videos" },
  ],
  [{ count: 4 }, { itemId: null, words: "4 videos" }],
  [{}, { itemId: null, words: "" }],
])("a job with %j is about %j", (params, about) => {
  expect(subject(params)).toEqual(about);
});
