/** How the page looks: colours, type, spacing and motion, light or dark, as the reader or the machine wants it. */
import { App, ConfigProvider, theme } from "antd";
import type { ThemeConfig } from "antd";
import type { ReactNode } from "react";
import { createContext, use, useEffect, useMemo, useState, useSyncExternalStore } from "react";

export type Shade = "light" | "dark" | "system";

interface Choice {
  shade: Shade;
  dark: boolean;
  choose: (shade: Shade) => void;
}

const KEY = "callsheet.shade";
const Chosen = createContext<Choice>({ shade: "system", dark: false, choose: () => undefined });

/** The shade that is chosen, and the way to choose another. */
export function useShade(): Choice {
  return use(Chosen);
}

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";

const HTML = "http://www.w3.org/1999/xhtml";

// Two of Ant Design's parts add styles without the nonce that ConfigProvider has for all the others.
Object.defineProperty(document, "createElement", {
  configurable: true,
  writable: true,
  value: (name: string, options?: ElementCreationOptions): Element => {
    const made = document.createElementNS(HTML, name.toLowerCase(), options);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  },
});

const SHARED: NonNullable<ThemeConfig["token"]> = {
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyCode: "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, monospace",
  fontSize: 13,
  borderRadius: 7,
  controlHeight: 30,
  wireframe: false,
};

function themeOf(dark: boolean, still: boolean): ThemeConfig {
  return {
    algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: dark
      ? {
          ...SHARED,
          motion: !still,
          colorPrimary: "#6271f2",
          colorPrimaryHover: "#5d69de",
          colorLink: "#9aa7ff",
          colorLinkHover: "#c5ccff",
          colorError: "#ff7b75",
          colorErrorActive: "#f2a6a0",
          colorBgBase: "#0d1015",
          colorBgLayout: "#0d1015",
          colorBgContainer: "#14181f",
          colorBgElevated: "#1a1f28",
          colorBorder: "#2c333f",
          colorBorderSecondary: "#222833",
          colorTextSecondary: "#aab2c0",
          colorTextTertiary: "#8d97a8",
          colorTextDescription: "#97a1b1",
          colorTextPlaceholder: "#8d97a8",
        }
      : {
          ...SHARED,
          motion: !still,
          colorPrimary: "#3949e0",
          colorPrimaryHover: "#4e5ce6",
          colorLink: "#3949e0",
          colorLinkHover: "#2d3bc4",
          colorError: "#c62828",
          colorErrorHover: "#d63a3a",
          colorBgLayout: "#f5f6f8",
          colorBorder: "#d6dae1",
          colorBorderSecondary: "#e7eaef",
          colorText: "#1b2230",
          colorTextSecondary: "#4e5869",
          colorTextTertiary: "#626d7f",
          colorTextDescription: "#5f6a7c",
          colorTextPlaceholder: "#6b7587",
        },
    components: {
      Table: {
        cellPaddingBlock: 7,
        cellPaddingInline: 12,
        headerBg: "transparent",
        headerSplitColor: "transparent",
        headerColor: dark ? "#97a1b1" : "#5f6a7c",
      },
      Tabs: dark ? { itemSelectedColor: "#aab4ff", itemHoverColor: "#aab4ff" } : {},
      Tag: { fontSizeSM: 12 },
      Button: {
        primaryShadow: "none",
        defaultShadow: "none",
        dangerShadow: "none",
        // Words under the pointer stand out from what is below them by 4.5 to 1 or more.
        ...(dark && {
          defaultHoverColor: "#aab4ff",
          defaultHoverBorderColor: "#8390e8",
          defaultActiveColor: "#c5ccff",
          dangerColor: "#1c0b0a",
        }),
      },
    },
  };
}

const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

/** What the machine wants now. */
function useWanted(query: MediaQueryList): boolean {
  return useSyncExternalStore(
    (told) => {
      query.addEventListener("change", told);
      return () => query.removeEventListener("change", told);
    },
    () => query.matches,
  );
}

/** Gives everything below it the look. */
export function Look({ children }: { children: ReactNode }) {
  const [shade, setShade] = useState<Shade>(
    () => (localStorage.getItem(KEY) as Shade | null) ?? "system",
  );
  const machineDark = useWanted(DARK);
  const still = useWanted(STILL);
  const dark = shade === "system" ? machineDark : shade === "dark";
  useEffect(() => {
    document.documentElement.dataset["shade"] = dark ? "dark" : "light";
  }, [dark]);
  const choice = useMemo<Choice>(
    () => ({
      shade,
      dark,
      choose: (wanted) => {
        localStorage.setItem(KEY, wanted);
        setShade(wanted);
      },
    }),
    [shade, dark],
  );
  const config = useMemo(() => themeOf(dark, still), [dark, still]);
  return (
    <Chosen value={choice}>
      <ConfigProvider theme={config} csp={{ nonce }}>
        <App message={{ maxCount: 3 }}>{children}</App>
      </ConfigProvider>
    </Chosen>
  );
}
