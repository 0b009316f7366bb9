// SPDX-License-Identifier: AGPL-3.0-or-later
// The golden pages of tests/fixtures/pages pass the checks of page-checks.mjs. The quick tier checks each page in one of
// the two views, the full tier in both. The screenshots of the full tier are build/screenshots/page-NAME-WIDTH-SCHEME.png.
// Cores: 1.5

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext } from '../lib/browser.mjs';
import { checkPage, htmlFindings, openCheckedPage } from '../lib/page-checks.mjs';
import { pageFixtureNames, servePageFixtures } from '../lib/page-fixtures.mjs';
import { isFull } from '../lib/tiers.mjs';

test('the validator finds errors', async () => {
    const page = (body) => `<!DOCTYPE html>\n<html lang="en"><head><title>A</title></head><body>${body}</body></html>\n`;
    assert.deepEqual(await htmlFindings(page('<p>Good.</p>')), []);
    for (const wrong of ['<p id="a">A</p><p id="a">B</p>', '<p><div>A</div></p>', '<ul><p>A</p></ul>', '<a href="/"><button type="button">A</button></a>', '<img src="/a.png" />', '<p nonsense="1"'])
        assert.notDeepEqual(await htmlFindings(page(wrong)), [], wrong);
});

test('each golden page', async (t) => {
    const origin = await servePageFixtures(t);
    const browser = await openBrowser(t);
    const context = await openContext(t, browser, { locale: 'en-US' });
    const page = await openCheckedPage(context);
    for (const [i, name] of pageFixtureNames().entries()) {
        await t.test(name, async () => {
            await page.goto(`${origin}/page/${name}`, { waitUntil: 'domcontentloaded' });
            assert.deepEqual(await checkPage(page, `page-${name}`, isFull ? null : i), []);
        });
    }
});
