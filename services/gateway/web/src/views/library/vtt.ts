/** Reads the WebVTT track that says which part of a sheet of pictures belongs to which time. Pure. */

export interface Cue {
  start: number;
  end: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

const CUE =
  /(\d+):(\d+):(\d+)\.(\d+) --> (\d+):(\d+):(\d+)\.(\d+)[^\n]*\n[^\n]*#xywh=(\d+),(\d+),(\d+),(\d+)/g;

/** The cues of a track, in its order; what is no cue is passed over. */
export function cuesOf(text: string): Cue[] {
  return [...text.replaceAll("\r\n", "\n").matchAll(CUE)].map((found) => {
    const [h1, m1, s1, ms1, h2, m2, s2, ms2, x, y, width, height] = found.slice(1).map(Number);
    const at = (h = 0, m = 0, s = 0, ms = 0) => h * 3600 + m * 60 + s + ms / 1000;
    return {
      start: at(h1, m1, s1, ms1),
      end: at(h2, m2, s2, ms2),
      x: x ?? 0,
      y: y ?? 0,
      width: width ?? 0,
      height: height ?? 0,
    };
  });
}

/** The cue at *share* (0 to 1) of the whole length. */
export function cueAt(cues: readonly Cue[], share: number): Cue | undefined {
  const index = Math.min(cues.length - 1, Math.max(0, Math.floor(share * cues.length)));
  return cues[index];
}
