// A client that minds GitHub's limits understands the ones of the local GitHub: it is told which, and how long to wait.
import assert from "node:assert/strict";
import { throttling } from "@octokit/plugin-throttling";
import { Octokit } from "@octokit/rest";
import { done, owner, refused, repo, world } from "./world.mjs";

const heard = [];
const limited = (kind) => (after, options) => {
  heard.push([kind, options.url, after > 0]);
  return false; // do not try again
};
const Careful = Octokit.plugin(throttling);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const octokit = new Careful({
  auth: world.token, baseUrl: world.api, log: quiet,
  throttle: { onRateLimit: limited("primary"), onSecondaryRateLimit: limited("secondary") },
});
await refused(octokit.rest.repos.get({ owner, repo }), 403, /API rate limit exceeded/);
await refused(octokit.rest.repos.listBranches({ owner, repo }), 403, /secondary rate limit/);
await refused(octokit.rest.repos.listCommits({ owner, repo }), 429, /secondary rate limit/);
await refused(octokit.rest.pulls.list({ owner, repo }), 502, /./);
assert.deepEqual(heard, [
  ["primary", "/repos/{owner}/{repo}", true],
  ["secondary", "/repos/{owner}/{repo}/branches", true],
  ["secondary", "/repos/{owner}/{repo}/commits", true],
]);

// An account that has used up its hour is told so, and may still ask how it stands.
const { data: before } = await octokit.rest.rateLimit.get();
assert.ok(before.resources.core.remaining > 0 && before.resources.core.limit === 5000);
await refused(new Octokit({ auth: "ghp_nobodys", baseUrl: world.api, log: quiet }).rest.rateLimit.get(), 401, /Bad credentials/);
done();
