// SPDX-License-Identifier: AGPL-3.0-or-later
// What a web server has a part in of the viewer, behind Apache. The walk to a desktop behind Apache is in apache.test.mjs.
// Tier: full

import { test } from 'node:test';
import { runViewer } from './viewer.mjs';

test('the viewer behind Apache', (t) => runViewer(t, 'apache'));
