// SPDX-License-Identifier: AGPL-3.0-or-later

import { test } from 'node:test';
import { runAll } from './scenarios.mjs';

test('the service behind qwd-server', (t) => runAll(t, 'qwd-server'));
