// SPDX-License-Identifier: AGPL-3.0-or-later
import { test } from 'node:test';
import { runViewer } from './viewer.mjs';

test('the viewer behind qwd-server', { timeout: 900000 }, (t) => runViewer(t, 'qwd-server'));
test('the viewer behind Apache', { timeout: 900000 }, (t) => runViewer(t, 'apache'));
