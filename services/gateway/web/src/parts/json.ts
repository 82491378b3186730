/** Parameters of jobs as people write them. Pure. */

export type Params = Record<string, unknown>;

export const NO_OBJECT = "This is no JSON object.";

/** The object that a text writes in JSON; null where it writes none. */
export function parsed(text: string): Params | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Params)
      : null;
  } catch {
    return null;
  }
}
