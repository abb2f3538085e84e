import assert from "node:assert/strict";
import { test } from "node:test";
import { page, rank } from "./board.js";

test("the same points share a place", () => {
  const places = rank([
    { name: "b", points: 2 },
    { name: "a", points: 2 },
    { name: "c", points: 1 },
  ]).map((p) => [p.name, p.place]);
  assert.deepEqual(places, [["a", 1], ["b", 1], ["c", 3]]);
});

test("names are text", () => {
  assert.match(page([{ name: "<b>", points: 1 }]), /&lt;b&gt;: 1/);
});
