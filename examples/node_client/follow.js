// Submits a job and follows it to its end: node follow.js TYPE ['{"parameter": "value"}']
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { v7 as newId } from "uuid";

const PROTOS = fileURLToPath(new URL("../../protos", import.meta.url));
const FINAL = new Set(["JOB_STATE_COMPLETED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"]);
const LOST = new Set([grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED]);
const CALL_DEADLINE_MS = 10_000;
const PATIENCE_MS = 60_000;

const loaded = loadSync("callsheet/v1/job_service.proto", {
  includeDirs: [PROTOS],
  keepCase: true,
  enums: String,
  longs: Number,
  defaults: true,
});
const { JobService } = grpc.loadPackageDefinition(loaded).callsheet.v1;

/** A certificate of the role client or operator, where one is named; else a token, in the clear. */
function credentials() {
  const folder = process.env.CALLSHEET_TLS_DIR;
  if (!folder) return [grpc.credentials.createInsecure(), {}];
  const [ca, key, certificate] = ["ca.crt", "tls.key", "tls.crt"].map((name) => readFileSync(join(folder, name)));
  return [
    grpc.credentials.createSsl(ca, key, certificate),
    // The certificate names the role, wherever the scheduler is.
    { "grpc.ssl_target_name_override": "scheduler.callsheet" },
  ];
}

function metadata() {
  const made = new grpc.Metadata();
  const file = process.env.CALLSHEET_JOIN_TOKEN_FILE;
  if (file) made.set("authorization", `Bearer ${readFileSync(file, "utf8").trim()}`);
  return made;
}

let address = process.env.CALLSHEET_SCHEDULER ?? "127.0.0.1:7420";

/** Ask whoever leads, until it answers: every call may be repeated. */
async function insist(ask) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const client = new JobService(address, ...credentials());
    try {
      return await ask(client);
    } catch (error) {
      if (!LOST.has(error.code) || Date.now() > until) throw error;
      const [leader] = error.metadata?.get("callsheet-leader") ?? [];
      if (leader) address = leader;
      await pause(200);
    } finally {
      client.close();
    }
  }
}

function submit(job) {
  return insist(
    (client) =>
      new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + CALL_DEADLINE_MS };
        client.SubmitJobs({ jobs: [job] }, metadata(), options, (error, answer) =>
          error ? reject(error) : resolve(answer.jobs[0]),
        );
      }),
  );
}

/** Say each change, and return the job once it is final. */
function follow(id) {
  return insist(async (client) => {
    const watch = client.WatchJobs({ ids: [id], initial: true }, metadata());
    try {
      for await (const { jobs } of watch) {
        for (const job of jobs) {
          console.log(`${job.state.replace("JOB_STATE_", "").toLowerCase()} ${job.progress_percent} %`);
          if (FINAL.has(job.state)) return job;
        }
      }
    } finally {
      watch.cancel(); // else the process goes on for as long as the scheduler does
    }
    throw Object.assign(new Error("the watch ended before the job did"), { code: grpc.status.UNAVAILABLE });
  });
}

const [type, params = "{}"] = process.argv.slice(2);
if (!type) {
  console.error(`usage: node follow.js TYPE ['{"parameter": "value"}']`);
  process.exit(2);
}
try {
  // An id of our own: a submission that has to be repeated is the same job.
  const { id } = await submit({ id: newId(), type, params_json: params });
  const job = await follow(id);
  if (job.error) console.error(job.error);
  process.exitCode = job.state === "JOB_STATE_COMPLETED" ? 0 : 1;
} catch (error) {
  console.error(`Error: ${error.details ?? error.message}`);
  process.exitCode = 1;
}
