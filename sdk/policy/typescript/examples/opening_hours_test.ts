/** The test of the first policy of the README. */

import assert from "node:assert/strict";

import { policy as openingHours } from "./opening_hours.js";

import { Tested, context } from "attorn-policy/testing";

const policy = new Tested(openingHours, { from: 8, until: 18 });
assert.equal(policy.says(context("faq.read", "article/42")), "allow");
