// A deployment goes from queued to success, and the one before it becomes inactive.
import assert from "node:assert/strict";
import { asApp, done, head, owner, refused, repo } from "./world.mjs";

const octokit = await asApp();
const deploy = (more) => octokit.rest.repos.createDeployment({ owner, repo, ref: head, environment: "staging", auto_merge: false, required_contexts: [], ...more });
const say = (id, state, more) => octokit.rest.repos.createDeploymentStatus({ owner, repo, deployment_id: id, state, ...more });

const { data: first, status } = await deploy({ payload: { digest: "sha256:1" }, description: "the first" });
assert.equal(status, 201);
assert.equal(first.sha, head);
assert.equal(first.environment, "staging");
assert.deepEqual(first.payload, { digest: "sha256:1" });
for (const state of ["queued", "in_progress", "success"]) {
  const { data } = await say(first.id, state, { log_url: "https://ci.example.com/runs/1", environment_url: "https://shop.example.com", description: state });
  assert.equal(data.state, state);
  assert.equal(data.creator.login, "conveyor[bot]");
}
const { data: second } = await deploy();
await say(second.id, "success", { auto_inactive: true });
const states = async (id) => (await octokit.paginate(octokit.rest.repos.listDeploymentStatuses, { owner, repo, deployment_id: id })).map((s) => s.state);
assert.deepEqual(await states(first.id), ["inactive", "success", "in_progress", "queued"]);
assert.deepEqual(await states(second.id), ["success"]);

const { data: all } = await octokit.rest.repos.listDeployments({ owner, repo, environment: "staging" });
assert.deepEqual(all.map((d) => d.id), [second.id, first.id]);
assert.equal((await octokit.rest.repos.listDeployments({ owner, repo, sha: "1".repeat(40) })).data.length, 0);
const { data: places } = await octokit.rest.repos.getAllEnvironments({ owner, repo });
assert.deepEqual(places.environments.map((e) => e.name), ["staging"]);
await deploy({ environment: "preview/pr-1" });
assert.equal((await octokit.rest.repos.getEnvironment({ owner, repo, environment_name: "preview/pr-1" })).data.name, "preview/pr-1");

await refused(octokit.rest.repos.deleteDeployment({ owner, repo, deployment_id: second.id }), 422, /active/);
await say(second.id, "inactive");
assert.equal((await octokit.rest.repos.deleteDeployment({ owner, repo, deployment_id: second.id })).status, 204);
await refused(octokit.rest.repos.getDeployment({ owner, repo, deployment_id: second.id }), 404, /Not Found/);
await refused(say(first.id, "splendid"), 422, /./);
await refused(deploy({ ref: "no-such-branch" }), 422, /No ref found/);
await refused(deploy({ required_contexts: ["unit"] }), 409, /./);
done();
