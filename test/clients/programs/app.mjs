// An App proves itself with a JWT, and gets tokens for its installations: whole ones, and narrower ones.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Octokit } from "@octokit/rest";
import { app, asUser, done, owner, refused, repo, world } from "./world.mjs";

const us = app();
const { data: self } = await us.octokit.request("GET /app");
assert.equal(self.id, world.app);
assert.equal(self.slug, "conveyor");
assert.equal(self.permissions.checks, "write");

const found = [];
for await (const { installation } of us.eachInstallation.iterator()) found.push(installation.id);
assert.deepEqual(found, [world.installation]);
const names = [];
for await (const { repository } of us.eachRepository.iterator()) names.push(repository.full_name);
assert.deepEqual(names, ["octo/shop"]);
const { data: at } = await us.octokit.request("GET /repos/{owner}/{repo}/installation", { owner, repo });
assert.equal(at.id, world.installation);

// A token for the whole installation: it is asked for once, and used again.
const octokit = await us.getInstallationOctokit(world.installation);
const whole = await octokit.auth({ type: "installation" });
assert.match(whole.token, /^ghs_/);
assert.equal((await octokit.auth({ type: "installation" })).token, whole.token);
assert.ok(new Date(whole.expiresAt) > new Date());
assert.equal((await octokit.rest.repos.get({ owner, repo })).data.full_name, "octo/shop");

// A narrower one may do what it names, and nothing else.
const narrow = await octokit.auth({ type: "installation", repositoryNames: [repo], permissions: { contents: "read" } });
assert.deepEqual(narrow.permissions, { contents: "read", metadata: "read" });
assert.equal(narrow.repositorySelection, "selected");
const reader = asUser(narrow.token);
await reader.rest.repos.getBranch({ owner, repo, branch: "main" });
await refused(reader.rest.checks.create({ owner, repo, name: "unit", head_sha: world.head }), 403, /Resource not accessible by integration/);
await refused(octokit.auth({ type: "installation", repositoryNames: ["other"] }), 422, /not accessible to the parent installation/);
await refused(octokit.auth({ type: "installation", permissions: { administration: "write" } }), 422, /not granted/);

// What is not installed is not there; a JWT reads no repository; a token is no App.
await refused(octokit.rest.repos.get({ owner, repo: "other" }), 404, /Not Found/);
const { token: jwt } = await us.octokit.auth({ type: "app" });
await refused(asUser(jwt).rest.repos.get({ owner, repo }), 403, /Resource not accessible by integration/);
await refused(asUser(whole.token).request("GET /app"), 401, /JSON web token/);

// Another key, another App, and a token that was given back are refused.
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048, privateKeyEncoding: { type: "pkcs1", format: "pem" }, publicKeyEncoding: { type: "spki", format: "pem" } });
await refused(app(privateKey).octokit.request("GET /app"), 401, /could not be decoded/);
await refused(app(world.key, 1).octokit.request("GET /app"), 404, /Integration not found/);
await reader.request("DELETE /installation/token");
await refused(reader.rest.repos.get({ owner, repo }), 401, /Bad credentials/);
await refused(new Octokit({ baseUrl: world.api }).rest.repos.get({ owner, repo }), 404, /Not Found/);
done();
