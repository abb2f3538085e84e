// A check is made, filled in batches of fifty annotations, completed, and read back.
import assert from "node:assert/strict";
import { asApp, asUser, done, head, owner, refused, repo } from "./world.mjs";

const octokit = await asApp();
const { data: made, status } = await octokit.rest.checks.create({
  owner, repo, name: "unit", head_sha: head, status: "in_progress", external_id: "run/1", details_url: "https://ci.example.com/runs/1",
  output: { title: "Running", summary: "one of two" },
  actions: [{ label: "Run again", description: "Run it once more", identifier: "again" }],
});
assert.equal(status, 201);
assert.equal(made.status, "in_progress");
assert.equal(made.conclusion, null);
assert.equal(made.app.slug, "conveyor");

const note = (n) => ({ path: "src/cart.go", start_line: n + 1, end_line: n + 1, annotation_level: "failure", message: `wrong ${n}`, title: "cart" });
const notes = Array.from({ length: 120 }, (_, n) => note(n));
await refused(octokit.rest.checks.update({ owner, repo, check_run_id: made.id, output: { title: "t", summary: "s", annotations: notes } }), 422, /No more than 50 items/);
for (let from = 0; from < notes.length; from += 50) {
  await octokit.rest.checks.update({ owner, repo, check_run_id: made.id, output: { title: "Failed", summary: "120 things", annotations: notes.slice(from, from + 50) } });
}
const { data: ended } = await octokit.rest.checks.update({ owner, repo, check_run_id: made.id, conclusion: "failure" });
assert.equal(ended.status, "completed");
assert.ok(ended.completed_at);
assert.equal(ended.output.annotations_count, 120);
const read = await octokit.paginate(octokit.rest.checks.listAnnotations, { owner, repo, check_run_id: made.id, per_page: 100 });
assert.deepEqual(read.map((a) => a.message), notes.map((a) => a.message));

const { data: suites } = await octokit.rest.checks.listSuitesForRef({ owner, repo, ref: "main" });
const suite = suites.check_suites.find((s) => s.app.slug === "conveyor");
assert.equal(suite.head_sha, head);
const { data: runs } = await octokit.rest.checks.listForSuite({ owner, repo, check_suite_id: suite.id });
assert.deepEqual(runs.check_runs.map((r) => r.id), [made.id]);
assert.equal((await octokit.rest.checks.get({ owner, repo, check_run_id: made.id })).data.external_id, "run/1");

// The newest of a name is what counts, unless all are asked for.
const { data: again } = await octokit.rest.checks.create({ owner, repo, name: "unit", head_sha: head, conclusion: "success" });
const latest = (await octokit.rest.checks.listForRef({ owner, repo, ref: head, check_name: "unit" })).data;
assert.deepEqual(latest.check_runs.map((r) => r.id), [again.id]);
assert.equal((await octokit.rest.checks.listForRef({ owner, repo, ref: head, filter: "all" })).data.total_count, 2);

// Mistakes are told in GitHub's words; people write no checks.
await refused(octokit.rest.checks.create({ owner, repo, name: "unit", head_sha: "0".repeat(40) }), 422, /No commit found for SHA/);
await refused(octokit.request("POST /repos/{owner}/{repo}/check-runs", { owner, repo, head_sha: head }), 422, /"name" wasn't supplied/);
await refused(octokit.rest.checks.update({ owner, repo, check_run_id: made.id, conclusion: "splendid" }), 422, /not a possible value/);
await refused(octokit.rest.checks.update({ owner, repo, check_run_id: 1, conclusion: "success" }), 404, /Not Found/);
await refused(asUser().rest.checks.create({ owner, repo, name: "mine", head_sha: head }), 403, /./);
done();
