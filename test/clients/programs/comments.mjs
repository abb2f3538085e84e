// People talk on a pull request, and the App answers, corrects itself, and nods.
import assert from "node:assert/strict";
import { asApp, asUser, done, owner, pull, refused, repo, world } from "./world.mjs";

const octokit = await asApp();
const at = { owner, repo, issue_number: pull };
const { data: asked } = await asUser().rest.issues.createComment({ ...at, body: "/approve production" });
assert.equal(asked.user.login, "author");
assert.equal(asked.author_association, "COLLABORATOR");
const { data: nod } = await octokit.rest.reactions.createForIssueComment({ owner, repo, comment_id: asked.id, content: "eyes" });
assert.equal(nod.content, "eyes");
const twice = await octokit.rest.reactions.createForIssueComment({ owner, repo, comment_id: asked.id, content: "eyes" });
assert.equal(twice.status, 200);
assert.equal(twice.data.id, nod.id);
const { data: nods } = await octokit.rest.reactions.listForIssueComment({ owner, repo, comment_id: asked.id });
assert.deepEqual(nods.map((r) => [r.user.login, r.content]), [["conveyor[bot]", "eyes"]]);
await octokit.rest.reactions.deleteForIssueComment({ owner, repo, comment_id: asked.id, reaction_id: nod.id });
assert.equal((await octokit.rest.issues.getComment({ owner, repo, comment_id: asked.id })).data.reactions.eyes, 0);

const { data: said } = await octokit.rest.issues.createComment({ ...at, body: "Refused. `$(id)` é 😀 \u202e <b>" });
assert.equal(said.user.type, "Bot");
assert.equal(said.performed_via_github_app.slug, "conveyor");
assert.equal((await octokit.rest.issues.getComment({ owner, repo, comment_id: said.id })).data.body, "Refused. `$(id)` é 😀 \u202e <b>");
await octokit.rest.issues.updateComment({ owner, repo, comment_id: said.id, body: "Granted." });
assert.deepEqual((await octokit.rest.issues.listComments(at)).data.map((c) => c.body), ["/approve production", "Granted."]);
assert.equal((await octokit.rest.issues.deleteComment({ owner, repo, comment_id: said.id })).status, 204);
await refused(octokit.rest.issues.getComment({ owner, repo, comment_id: said.id }), 404, /Not Found/);
await refused(octokit.rest.issues.createComment({ ...at, body: "x".repeat(65537) }), 422, /too long/);
await refused(octokit.rest.issues.createComment({ ...at, body: "" }), 422, /./);
await refused(octokit.rest.reactions.createForIssueComment({ owner, repo, comment_id: asked.id, content: "yes" }), 422, /./);

// A role is looked up, of those who have one and of those who have none.
const role = async (username) => (await octokit.rest.repos.getCollaboratorPermissionLevel({ owner, repo, username })).data;
assert.equal((await role("author")).role_name, "write");
assert.equal((await role("reader")).permission, "read");
assert.equal((await role("maintainer")).permission, "admin");
const { data: request } = await octokit.rest.pulls.get({ owner, repo, pull_number: pull });
assert.equal(request.head.sha, world.pullHead);
assert.equal(request.user.login, "author");
assert.deepEqual((await octokit.rest.pulls.listFiles({ owner, repo, pull_number: pull })).data.map((f) => f.filename), ["src/cart.go"]);
done();
