// More than fits on a page is read by following Link, in every way that the library knows.
import assert from "node:assert/strict";
import { asApp, asUser, done, head, owner, pull, refused, repo } from "./world.mjs";

const octokit = await asApp();
const many = 130;
for (let n = 0; n < many; n++) {
  await octokit.rest.issues.createComment({ owner, repo, issue_number: pull, body: `comment ${n}` });
}
const comments = await octokit.paginate(octokit.rest.issues.listComments, { owner, repo, issue_number: pull, per_page: 100 });
assert.deepEqual(comments.map((c) => c.body), Array.from({ length: many }, (_, n) => `comment ${n}`));

const pages = [];
for await (const { data } of octokit.paginate.iterator("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", { owner, repo, issue_number: pull, per_page: 50 })) {
  pages.push(data.length);
}
assert.deepEqual(pages, [50, 50, 30]);

// The first page names the last one, and none before it; the default is thirty.
const { data: first, headers } = await octokit.rest.issues.listComments({ owner, repo, issue_number: pull });
assert.equal(first.length, 30);
assert.match(headers.link, /[?&]page=2[^>]*>; rel="next"/);
assert.match(headers.link, /[?&]page=5[^>]*>; rel="last"/);
assert.doesNotMatch(headers.link, /rel="prev"/);
const { data: past } = await octokit.rest.issues.listComments({ owner, repo, issue_number: pull, page: 99 });
assert.deepEqual(past, []);
const { data: capped } = await octokit.rest.issues.listComments({ owner, repo, issue_number: pull, per_page: 500 });
assert.equal(capped.length, 100);

// A list inside of an object is taken out of it, and counted.
for (let n = 0; n < 35; n++) await octokit.rest.checks.create({ owner, repo, name: `check ${n}`, head_sha: head });
const runs = await octokit.paginate(octokit.rest.checks.listForRef, { owner, repo, ref: head, per_page: 10 });
assert.equal(new Set(runs.map((r) => r.name)).size, 35);
assert.equal((await octokit.rest.checks.listForRef({ owner, repo, ref: head, per_page: 1 })).data.total_count, 35);

// What has not changed is not sent again.
const user = asUser();
const { headers: seen } = await user.rest.repos.get({ owner, repo });
await refused(user.rest.repos.get({ owner, repo, headers: { "if-none-match": seen.etag } }), 304, /./);
done();
