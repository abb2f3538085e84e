// A receiver that checks each delivery with GitHub's own library. It prints its address, then a line for each that it took;
// at the end of its input it stops. What it refuses it tells in its answer, and at length on its standard error.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createNodeMiddleware, Webhooks } from "@octokit/webhooks";

const lines = createInterface({ input: process.stdin });
const { value: secret } = await lines[Symbol.asyncIterator]().next();
const webhooks = new Webhooks({ secret, log: { debug() {}, info() {}, warn() {}, error() {} } });
webhooks.onAny(({ id, name, payload }) => console.log(JSON.stringify({ id, name, action: payload.action, sender: payload.sender?.login })));
const server = createServer(createNodeMiddleware(webhooks, { path: "/hook" }));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/hook`));
process.stdin.on("end", () => {
  server.closeAllConnections();
  server.close();
});
process.stdin.resume();
