// What each program finds: where the local GitHub is, who it is, and clients for it.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { App } from "@octokit/app";
import { Octokit } from "@octokit/rest";

export const world = JSON.parse(readFileSync(0, "utf8"));
export const { owner, repo, head, pull } = world;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

// asUser is the author, by a personal token.
export const asUser = (token = world.token) => new Octokit({ auth: token, baseUrl: world.api, log: quiet });

// app is the App by its private key, which makes JWTs and tokens of its own.
export const app = (key = world.key, id = world.app) =>
  new App({ appId: id, privateKey: key, Octokit: Octokit.defaults({ baseUrl: world.api, log: quiet }), webhooks: { secret: world.secret } });

// asApp is the App within its installation.
export const asApp = () => app().getInstallationOctokit(world.installation);

// refused wants a call to fail so.
export async function refused(promise, status, words) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.status, status, e.message);
    assert.match(e.message, words);
    return true;
  });
}

export function done() {
  console.log("done");
}
