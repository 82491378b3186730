/** Starts the page. */
import "@fontsource-variable/inter/wght.css";
import "./page.css";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";

import { Refused } from "./api/client";
import { Look } from "./look";
import { Page } from "./page";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (count, error) => !(error instanceof Refused && error.status < 500) && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});

const place = document.getElementById("page");
if (place !== null) {
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <BrowserRouter>
          <Look>
            <Page />
          </Look>
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
