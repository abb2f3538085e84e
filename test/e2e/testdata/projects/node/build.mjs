import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { page } from "./src/board.js";

mkdirSync("dist", { recursive: true });
writeFileSync("dist/index.html", page(JSON.parse(readFileSync("players.json", "utf8"))));
