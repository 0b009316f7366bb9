// SPDX-License-Identifier: AGPL-3.0-or-later
// Rows of the full tier within a file of the quick one.

import { test } from 'node:test';

// What makes `make check` long without saying more than other rows of the file do. It runs in `make check-full`.
export const isFull = process.env.QWD_TEST_TIER === 'full';
export const fullTest = isFull ? test : () => {};
