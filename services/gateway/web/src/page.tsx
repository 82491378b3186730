/** The frame around every view: navigation, who is signed in, and a word when something is away. */
import {
  BlockOutlined,
  CalendarOutlined,
  CameraOutlined,
  CloudServerOutlined,
  DatabaseOutlined,
  KeyOutlined,
  LogoutOutlined,
  MenuOutlined,
  MoonOutlined,
  PictureOutlined,
  SunOutlined,
  UnorderedListOutlined,
} from "@ant-design/icons";
import { Button, Spin } from "antd";
import type { ComponentType, ReactNode } from "react";
import { lazy, Suspense, useEffect, useState } from "react";
import { Link, Navigate, NavLink, Route, Routes, useLocation } from "react-router";

import type { Role } from "./api/session";
import { may, roleName, useDoor, useSession } from "./api/session";
import icon from "./icon.svg";
import { LiveProvider, useLive } from "./live/live";
import { useShade } from "./look";
import { Failure, Nothing } from "./parts/states";
import { SignIn } from "./views/signin/SignIn";

const Menu = lazy(() => import("./parts/Menu"));

interface View {
  path: string;
  name: string;
  icon: ReactNode;
  needs: Role;
  view: ComponentType;
  /** Each of what it shows has an address of its own. */
  deep?: boolean;
}

const VIEWS: readonly View[] = [
  {
    path: "/jobs",
    name: "Jobs",
    icon: <UnorderedListOutlined />,
    needs: "SUBMITTER",
    view: lazy(() => import("./views/jobs/Jobs")),
    deep: true,
  },
  {
    path: "/library",
    name: "Library",
    icon: <PictureOutlined />,
    needs: "VIEWER",
    view: lazy(() => import("./views/library/Library")),
    deep: true,
  },
  {
    path: "/queue",
    name: "Queue",
    icon: <BlockOutlined />,
    needs: "OPERATOR",
    view: lazy(() => import("./views/queue/Queue")),
  },
  {
    path: "/fleet",
    name: "GPUs & workers",
    icon: <CloudServerOutlined />,
    needs: "OPERATOR",
    view: lazy(() => import("./views/fleet/Fleet")),
  },
  {
    path: "/cache",
    name: "Cache",
    icon: <DatabaseOutlined />,
    needs: "VIEWER",
    view: lazy(() => import("./views/cache/Cache")),
  },
  {
    path: "/schedules",
    name: "Schedules",
    icon: <CalendarOutlined />,
    needs: "OPERATOR",
    view: lazy(() => import("./views/schedules/Schedules")),
  },
  {
    path: "/immich",
    name: "Immich",
    icon: <CameraOutlined />,
    needs: "OPERATOR",
    view: lazy(() => import("./views/immich/Immich")),
  },
  {
    path: "/access",
    name: "Access",
    icon: <KeyOutlined />,
    needs: "SUPER_ADMIN",
    view: lazy(() => import("./views/access/Access")),
  },
];

/** The whole page: the sign-in, or the frame with a view in it. */
export function Page() {
  const session = useSession();
  if (session.isError) {
    return (
      <div className="alone">
        <Failure error={session.error} again={() => void session.refetch()} />
      </div>
    );
  }
  if (session.data === undefined) return <Spin className="alone" size="large" />;
  if (session.data === null) return <SignIn />;
  return (
    <LiveProvider>
      <Frame />
    </LiveProvider>
  );
}

function Frame() {
  const [open, setOpen] = useState(false);
  const { pathname } = useLocation();
  const { data: session } = useSession();
  const views = VIEWS.filter((view) => may(session, view.needs));
  const here = views.find((view) => pathname.startsWith(view.path));
  useEffect(() => {
    document.title = here ? `${here.name} · Callsheet` : "Callsheet";
  }, [here]);
  return (
    <div className="frame">
      <a className="skip" href="#view">
        Skip to the content
      </a>
      <aside className="side">
        <Brand />
        <Navigation views={views} />
        <Account />
      </aside>
      <header className="top">
        <Button
          type="text"
          icon={<MenuOutlined />}
          aria-label="Open the menu"
          onClick={() => setOpen(true)}
        />
        <Brand />
      </header>
      {open && (
        <Suspense fallback={null}>
          <Menu title={<Brand />} close={() => setOpen(false)}>
            <Navigation views={views} done={() => setOpen(false)} />
            <Account />
          </Menu>
        </Suspense>
      )}
      <main id="view" className="view" tabIndex={-1}>
        <Away />
        <Suspense fallback={<Spin className="alone" />}>
          <Routes>
            <Route path="/" element={<Navigate to={views[0]?.path ?? "/library"} replace />} />
            {views.map(({ path, view: Shown, deep }) => (
              <Route key={path} path={deep ? `${path}/:id?` : path} element={<Shown />} />
            ))}
            <Route path="*" element={<Nowhere path={pathname} />} />
          </Routes>
        </Suspense>
      </main>
    </div>
  );
}

/** Stands at an address that is no view, or one of which the reader's role sees nothing. */
function Nowhere({ path }: { path: string }) {
  const { data: session } = useSession();
  const closed = VIEWS.find((view) => path.startsWith(view.path));
  return (
    <Nothing action={<Link to="/">Go to what you can see</Link>}>
      {closed && session
        ? `${closed.name} needs the role ${roleName(closed.needs)}; you are signed in as ${roleName(session.role)}.`
        : "There is nothing at this address."}
    </Nothing>
  );
}

function Brand() {
  return (
    <span className="brand">
      <img src={icon} alt="" width={22} height={22} />
      Callsheet
    </span>
  );
}

function Navigation({ views, done }: { views: readonly View[]; done?: () => void }) {
  return (
    <nav aria-label="Views" className="navigation">
      {views.map((view) => (
        <NavLink key={view.path} to={view.path} onClick={done}>
          {view.icon}
          <span>{view.name}</span>
        </NavLink>
      ))}
    </nav>
  );
}

function Account() {
  const { data: session } = useSession();
  const { dark, choose } = useShade();
  const door = useDoor();
  return (
    <div className="account">
      <div className="who">
        <strong title={session?.name}>{session?.name}</strong>
        <small>{session && roleName(session.role)}</small>
      </div>
      <IconButton
        icon={dark ? <SunOutlined /> : <MoonOutlined />}
        name={dark ? "Switch to light colours" : "Switch to dark colours"}
        act={() => choose(dark ? "light" : "dark")}
      />
      <IconButton icon={<LogoutOutlined />} name="Sign out" act={() => void door.signOut()} />
    </div>
  );
}

function IconButton({ icon, name, act }: { icon: ReactNode; name: string; act: () => void }) {
  return <Button type="text" icon={icon} aria-label={name} title={name} onClick={act} />;
}

const WORDS = {
  "no-scheduler":
    "No scheduler leads at the moment. What you see is the last that was read; the page goes on by itself.",
  "no-gateway": "The gateway does not answer. The page tries again every few seconds.",
};

function Away() {
  const { reach } = useLive();
  if (reach === "good") return null;
  return (
    <div className="away" role="status">
      {WORDS[reach]}
    </div>
  );
}
