// A graphile-worker process whose jobs do nothing, set for throughput as its documentation advises.
// Usage: node graphile.mjs <folder of node_modules> <database> <jobs> <slots>
import { createRequire } from "node:module";

const [folder, connectionString, jobs, slots] = process.argv.slice(2);
const { Logger, run } = createRequire(`${folder}/`)("graphile-worker");

const runner = await run({
  connectionString,
  concurrency: Number(slots),
  noHandleSignals: true,
  preset: {
    worker: {
      connectionString,
      concurrentJobs: Number(slots),
      maxPoolSize: 10,
      logger: new Logger(() => () => {}),
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  taskList: {
    noop: ({ probe }) => {
      if (probe !== undefined) console.log("start", probe, Number(process.hrtime.bigint()) / 1e9);
    },
  },
});
let done = 0;
runner.events.on("job:complete", () => {
  done += 1;
  if (done === Number(jobs)) console.log("done");
});
process.on("SIGTERM", () => runner.stop().finally(() => process.exit(0)));
console.log("ready");
