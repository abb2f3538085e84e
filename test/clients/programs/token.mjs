// A token of the App's installation, for another client.
import { app, done, world } from "./world.mjs";

const octokit = await app().getInstallationOctokit(world.installation);
console.log((await octokit.auth({ type: "installation" })).token);
done();
