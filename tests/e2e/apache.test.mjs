// SPDX-License-Identifier: AGPL-3.0-or-later

import { test } from 'node:test';
import { runAll } from './scenarios.mjs';

test('the service behind Apache', (t) => runAll(t, 'apache'));
