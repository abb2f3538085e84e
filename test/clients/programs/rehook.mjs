// An App moves its own hook, and reads where it is.
import assert from "node:assert/strict";
import { app, asUser, done, world } from "./world.mjs";

const { token: jwt } = await app().octokit.auth({ type: "app" });
const us = asUser(jwt);
await us.request("PATCH /app/hook/config", { data: { url: world.hook } });
const { data } = await us.request("GET /app/hook/config");
assert.equal(data.url, world.hook);
assert.equal(data.secret, "********");
done();
