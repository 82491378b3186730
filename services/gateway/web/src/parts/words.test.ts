import { expect, test } from "vitest";

import { away, bytes, lasting, position, words } from "./words";

const NOW = Date.parse("2026-02-13T12:00:00Z");

test.each([
  ["2026-02-13T11:59:58Z", /^just now$/],
  ["2026-02-13T11:59:20Z", /^40 ?s.* ago$/],
  ["2026-02-13T11:10:00Z", /^50 ?m.* ago$/],
  ["2026-02-13T14:00:00Z", /^in 2 ?h/],
  ["2026-02-11T12:00:00Z", /^2 ?d.* ago$/],
])("%s is said as %s", (instant, said) => {
  expect(away(instant, NOW)).toMatch(said);
});

test("lengths and sizes are said in the largest unit that fits", () => {
  expect([0.42, 185, 1800, 7440].map(lasting)).toEqual([
    "0.4 s",
    "3 min 5 s",
    "30 min",
    "2 h 4 min",
  ]);
  expect([position(65), position(3723)]).toEqual(["1:05", "1:02:03"]);
  expect([bytes(999), bytes(12_345_678)]).toEqual(["999 B", "12.3 MB"]);
});

test("a key becomes words", () => {
  expect(words("targetBitrate")).toBe("Target bitrate");
});
