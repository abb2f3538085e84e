// GitHub's own library signs, and Conveyor's door believes it; nothing else is believed.
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { Webhooks } from "@octokit/webhooks";
import { done, world } from "./world.mjs";

const body = JSON.stringify({ zen: "Keep it logically awesome: é 😀 \u2028 </script>", hook_id: 1 });
async function post(headers, sent = body) {
  const answer = await fetch(world.door, {
    method: "POST", body: sent,
    headers: {
      "content-type": "application/json", "user-agent": "GitHub-Hookshot/044aadd", "x-github-event": "ping", "x-github-delivery": randomUUID(), "x-github-hook-id": "1",
      "x-github-hook-installation-target-id": String(world.app), "x-github-hook-installation-target-type": "integration", ...headers,
    },
  });
  await answer.text();
  return answer.status;
}
const right = await new Webhooks({ secret: world.secret }).sign(body);
const wrong = await new Webhooks({ secret: "another-secret-of-good-length" }).sign(body);
assert.match(right, /^sha256=/);
const sha1 = "sha1=" + createHmac("sha1", world.secret).update(body).digest("hex");

assert.equal(await post({ "x-hub-signature-256": right }), 202);
for (const [why, headers, sent] of [
  ["another secret", { "x-hub-signature-256": wrong }],
  ["only SHA-1", { "x-hub-signature": sha1 }],
  ["SHA-1 in the place of SHA-256", { "x-hub-signature-256": sha1 }],
  ["no signature", {}],
  ["an empty one", { "x-hub-signature-256": "sha256=" }],
  ["another kind", { "x-hub-signature-256": right.replace("sha256", "sha512") }],
  ["another body", { "x-hub-signature-256": right }, body + " "],
]) {
  assert.equal(await post(headers, sent), 401, why);
}
// A wrong SHA-1 beside the right SHA-256 does not count: GitHub sends both, and only one is looked at.
assert.equal(await post({ "x-hub-signature-256": right, "x-hub-signature": "sha1=00" }), 202);
done();
