// SPDX-License-Identifier: AGPL-3.0-or-later
// The rows of the viewer in which a web server has a part, behind Apache. apache.test.mjs has the main job.
// Tier: full

import { test } from 'node:test';
import { runViewer } from './viewer.mjs';

test('the viewer behind Apache', (t) => runViewer(t, 'apache'));
