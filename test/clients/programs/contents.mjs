// Files, commits, branches and refs are read by names that hold slashes, and written by who may.
import assert from "node:assert/strict";
import { asApp, asUser, done, head, owner, refused, repo, world } from "./world.mjs";

const octokit = await asApp();
const at = { owner, repo };
const { data: file } = await octokit.rest.repos.getContent({ ...at, path: "src/cart.go", ref: world.branch });
assert.equal(Buffer.from(file.content, "base64").toString(), "package cart // more\n");
const raw = await octokit.rest.repos.getContent({ ...at, path: "README.md", mediaType: { format: "raw" } });
assert.equal(raw.data, "shop\n");
const { data: root } = await octokit.rest.repos.getContent({ ...at, path: "" });
assert.deepEqual(root.map((e) => [e.name, e.type]), [["README.md", "file"], ["src", "dir"]]);
await refused(octokit.rest.repos.getContent({ ...at, path: "..%2f..%2fetc/passwd" }), 404, /Not Found/);
await refused(octokit.rest.repos.getContent({ ...at, path: "README.md", ref: "nowhere" }), 404, /No commit found/);

const { data: branch } = await octokit.rest.repos.getBranch({ ...at, branch: world.branch });
assert.equal(branch.name, "change/one");
assert.equal(branch.commit.sha, world.pullHead);
assert.deepEqual((await octokit.rest.repos.listBranches(at)).data.map((b) => b.name), ["change/one", "main"]);
const { data: commit } = await octokit.rest.repos.getCommit({ ...at, ref: world.branch });
assert.equal(commit.parents[0].sha, head);
assert.equal(commit.commit.message, "second");
assert.deepEqual((await octokit.rest.repos.listCommits({ ...at, sha: world.branch })).data.map((c) => c.commit.message), ["second", "first"]);
const { data: compared } = await octokit.rest.repos.compareCommitsWithBasehead({ ...at, basehead: `main...${world.branch}` });
assert.deepEqual([compared.ahead_by, compared.behind_by, compared.status], [1, 0, "ahead"]);
assert.deepEqual((await octokit.rest.repos.listPullRequestsAssociatedWithCommit({ ...at, commit_sha: world.pullHead })).data.map((p) => p.number), [world.pull]);
await refused(octokit.rest.repos.getCommit({ ...at, ref: "0".repeat(40) }), 422, /No commit found/);
await refused(octokit.rest.repos.getBranch({ ...at, branch: "nowhere" }), 404, /Branch not found/);

const { data: tree } = await octokit.rest.git.getTree({ ...at, tree_sha: head, recursive: "1" });
assert.deepEqual(tree.tree.filter((e) => e.type === "blob").map((e) => e.path), ["README.md", "src/cart.go"]);
assert.equal((await octokit.rest.git.createRef({ ...at, ref: "refs/heads/made/here", sha: head })).data.object.sha, head);
assert.equal((await octokit.rest.git.getRef({ ...at, ref: "heads/made/here" })).data.ref, "refs/heads/made/here");
await refused(octokit.rest.git.createRef({ ...at, ref: "refs/heads/made/here", sha: head }), 422, /Reference already exists/);
await octokit.rest.git.updateRef({ ...at, ref: "heads/made/here", sha: world.pullHead });
await refused(octokit.rest.git.updateRef({ ...at, ref: "heads/made/here", sha: head }), 422, /not a fast forward/);
assert.equal((await octokit.rest.git.deleteRef({ ...at, ref: "heads/made/here" })).status, 204);
await refused(octokit.rest.git.getRef({ ...at, ref: "heads/made/here" }), 404, /Not Found/);
await refused(asUser(world.reader).rest.git.createRef({ ...at, ref: "refs/heads/mine", sha: head }), 403, /./);
done();
