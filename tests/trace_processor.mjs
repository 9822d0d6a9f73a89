// Perfetto's trace processor, as WebAssembly in Node: node trace_processor.mjs <its folder> <trace> <sql>...
// prints, as JSON, the rows that each query gives.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, trace, ...queries] = process.argv.slice(2);
const place = resolve(folder);
console.warn = () => {};

// The engine is made for a worker of a browser: it asks for its code, and is given a port.
class XMLHttpRequest {
  open(_, name) {
    this.response = readFileSync(join(place, name)).buffer;
  }
  send() {}
}
Object.assign(globalThis, { self: globalThis, WorkerGlobalScope: Object, XMLHttpRequest });
globalThis.location = { href: place };
(0, eval)(readFileSync(join(place, "engine_bundle.node.js"), "utf8"));
const { EngineBase } = await import(pathToFileURL(join(place, "engine.mjs")));

class Engine extends EngineBase {
  mode = "WASM";
  id = "test";
  constructor() {
    super();
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.port.onmessage = (message) => this.onRpcResponseBytes(message.data);
    self.onmessage({ data: port2 });
  }
  rpcSendRequestBytes(bytes) {
    this.port.postMessage(bytes.slice());
  }
  [Symbol.dispose]() {}
}

const engine = new Engine();
const data = readFileSync(trace);
const chunk = 32 << 20;
for (let at = 0; at < data.length; at += chunk) await engine.parse(data.subarray(at, at + chunk));
await engine.notifyEof();
const found = [];
for (const query of queries) {
  const result = await engine.query(query);
  const columns = result.columns();
  const rows = [];
  for (const row = result.iter({}); row.valid(); row.next())
    rows.push(Object.fromEntries(columns.map((name) => [name, row.get(name)])));
  found.push(rows);
}
const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
process.stdout.write(`${JSON.stringify(found, plain)}\n`, () => process.exit(0));
