// SPDX-License-Identifier: AGPL-3.0-or-later

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { keysFor, layouts } from '../../html/static/viewer/layouts.js';
import { runViewer } from './viewer.mjs';
import { top } from '../lib/files.mjs';

test('keysFor gives the keys of a character', () => {
    assert.deepEqual(layouts.map(({ id }) => id), ['us', 'gb', 'de', 'fr']);
    for (const [layout, sign, code, level] of [
        ['us', 'a', 'KeyA'], ['us', 'A', 'KeyA', 'shift'], ['us', '@', 'Digit2', 'shift'], ['us', '\\', 'Backslash'], ['us', '?', 'Slash', 'shift'],
        ['gb', '@', 'Quote', 'shift'], ['gb', '\\', 'IntlBackslash'], ['gb', '#', 'Backslash'],
        ['de', 'z', 'KeyY'], ['de', 'Y', 'KeyZ', 'shift'], ['de', '@', 'KeyQ', 'altGr'], ['de', '|', 'IntlBackslash', 'altGr'], ['de', 'µ', 'KeyM', 'altGr'],
        ['de', '-', 'Slash'], ['de', '~', 'BracketRight', 'altGr'],
        ['fr', 'a', 'KeyQ'], ['fr', 'M', 'Semicolon', 'shift'], ['fr', '1', 'Digit1', 'shift'], ['fr', '@', 'Digit0', 'altGr'], ['fr', '!', 'Slash'],
        ['fr', '¤', 'BracketRight', 'altGr'], ['us', '\n', 'Enter'], ['fr', ' ', 'Space'],
    ])
        assert.deepEqual(keysFor(sign, layout), [{ code, shift: level === 'shift', altGr: level === 'altGr' }], `${layout} ${sign}`);
    for (const [layout, sign, ...codes] of [
        ['fr', 'ê', 'BracketLeft', 'KeyE'], ['fr', 'Ï', 'BracketLeft', 'KeyI'], ['de', 'é', 'Equal', 'KeyE'], ['de', '^', 'Backquote', 'Space'],
    ])
        assert.deepEqual(keysFor(sign, layout).map(({ code }) => code), codes, `${layout} ${sign}`);
    for (const [layout, sign] of [['us', '€'], ['us', 'é'], ['de', '字'], ['fr', 'ñ'], ['de', '\u1ed9']])
        assert.equal(keysFor(sign, layout), null, `${layout} ${sign}`);
    assert.equal(keysFor('a', 'none')[0].code, 'KeyA', 'a layout that is not known is the first');
});

// A module that the page does not name costs another round trip.
test('the page requests all modules of the viewer at once', () => {
    const found = new Set();
    const visit = (file) => {
        if (found.has(file) || file.includes('novnc/'))
            return;
        found.add(file);
        for (const [, other] of fs.readFileSync(path.join(top, 'html/static', file), 'utf8').matchAll(/^(?:import|export) .*from "(.+)";$/gm))
            visit(path.join(path.dirname(file), other));
    };
    visit('viewer/main.js');
    const page = fs.readFileSync(path.join(top, 'html/viewer-modules.html'), 'utf8');
    const named = [...page.matchAll(/\{\{static\}\}\/([^"]+)/g)].map(([, file]) => file).filter((file) => !file.includes('novnc/'));
    assert.deepEqual(named.sort(), [...found].sort());
});

test('the viewer behind qwd-server', (t) => runViewer(t, 'qwd-server', true));
