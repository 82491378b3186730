import { expect, test } from "vitest";

import { cueAt, cuesOf } from "./vtt";

const TRACK =
  "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nsprite#xywh=0,0,160,90\n\n01:00:01.500 --> 01:00:03.000\nsprite#xywh=160,0,160,90\n";

test("a track is read as cues", () => {
  expect(cuesOf(TRACK)).toEqual([
    { start: 0, end: 1.5, x: 0, y: 0, width: 160, height: 90 },
    { start: 3601.5, end: 3603, x: 160, y: 0, width: 160, height: 90 },
  ]);
});

test("the pointer chooses a cue from left to right, and never one that is not there", () => {
  const cues = cuesOf(TRACK);
  expect([-1, 0, 0.49, 0.5, 1, 7].map((share) => cueAt(cues, share)?.x)).toEqual([
    0, 0, 0, 160, 160, 160,
  ]);
  expect(cueAt([], 0.5)).toBeUndefined();
});
