// SPDX-License-Identifier: AGPL-3.0-or-later
// Checks that every page has to pass: accessibility (axe-core and the browser's accessibility tree), width, visible focus,
// and valid HTML. A finding is a sentence; a good page has none.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { screenshot } from './browser.mjs';
import { top } from './files.mjs';
import { isFull } from './tiers.mjs';

const require = createRequire(import.meta.url);
const axeSource = fs.readFileSync(path.join(top, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');
// A finding about sizes does not depend on the colours: two views have each size and each colour scheme once.
const views = [{ width: 1280, height: 800, colorScheme: 'light' }, { width: 390, height: 844, colorScheme: 'dark' }];
const alike = ['tbody tr:nth-child(n+9)', 'main li:nth-child(n+13)']; // further rows of a long list are like the first ones
const PICTURE_MAX_HEIGHT = 3000;

// --- HTML ---

let validator;

// Conformance, not style. The pages reload themselves without script (WCAG's F41 is about content that is lost by it).
function htmlValidator() {
    const { HtmlValidate, StaticConfigLoader } = require('html-validate');
    return new HtmlValidate(new StaticConfigLoader({
        root: true,
        extends: ['html-validate:standard', 'html-validate:a11y'],
        rules: { 'meta-refresh': 'off', 'prefer-native-element': 'off' },
    }));
}

export async function htmlFindings(text) {
    validator ??= htmlValidator();
    const { results } = await validator.validateString(text);
    return results.flatMap(({ messages }) => messages)
        .map(({ line, message, ruleId }) => `line ${line}: ${message} (${ruleId})`);
}

// --- a page that collects its errors ---

// page.errors has the errors of scripts, of the Content Security Policy and of the console since the last navigation.
// page.document is the document as the server sent it.
export async function openCheckedPage(context) {
    const page = await context.newPage();
    page.errors = [];
    page.on('response', (response) => {
        if (!response.request().isNavigationRequest() || response.status() >= 300 && response.status() < 400)
            return;
        page.errors.length = 0;
        page.refused = response.status() >= 400 ? response.url() : '';
        page.document = response.text().catch(() => '');
    });
    page.on('pageerror', (error) => page.errors.push(`error: ${error}`));
    page.on('console', (message) => {
        if (message.location().url === page.refused)
            return; // Chromium reports the status of an error page as an error
        if (message.type() === 'error' || /Content Security Policy/i.test(message.text()))
            page.errors.push(`console: ${message.text()}`);
    });
    return page;
}

// --- accessibility ---

async function axeFindings(page) {
    if (!await page.evaluate(() => 'axe' in globalThis))
        await page.evaluate(axeSource);
    const found = await page.evaluate(async (exclude) => {
        const { violations } = await globalThis.axe.run({ exclude }, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
        return violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html }) => html.slice(0, 140)) }));
    }, alike);
    return found.filter(({ impact }) => ['serious', 'critical'].includes(impact))
        .map(({ id, nodes }) => `axe: ${id}: ${nodes.slice(0, 3).join(' | ')}`);
}

const nameless = ['button', 'link', 'textbox', 'searchbox', 'combobox', 'checkbox', 'radio', 'spinbutton', 'slider', 'dialog', 'group', 'image'];

// From the accessibility tree, which a screen reader uses.
async function treeFindings(page) {
    const devtools = await page.context().newCDPSession(page);
    const { nodes } = await devtools.send('Accessibility.getFullAXTree');
    await devtools.detach();
    const shown = nodes.filter(({ ignored }) => !ignored);
    const role = (node) => node.role?.value, name = (node) => (node.name?.value ?? '').trim();
    const all = (wanted) => shown.filter((node) => role(node) === wanted);
    const level = (node) => node.properties.find((property) => property.name === 'level').value.value;
    const levels = all('heading').map(level);
    const findings = shown.filter((node) => nameless.includes(role(node)) && !name(node) && !(role(node) === 'group'))
        .map((node) => `a ${role(node)} without a name`);
    // A modal dialog hides the rest of the page.
    if (all('dialog').length > 0)
        return findings;
    if (levels.filter((one) => one === 1).length !== 1)
        findings.push(`${levels.filter((one) => one === 1).length} headings of level 1`);
    levels.forEach((one, i) => one > (levels[i - 1] ?? 0) + 1 && findings.push(`after a heading of level ${levels[i - 1] ?? 0} comes one of ${one}: ${name(all('heading')[i])}`));
    if (all('main').length !== 1 || all('banner').length > 1)
        findings.push(`${all('main').length} main, ${all('banner').length} banner`);
    const navigations = all('navigation').map(name);
    if (new Set(navigations).size !== navigations.length || navigations.includes(''))
        findings.push(`navigations with the same name: ${navigations}`);
    return findings;
}

// --- in the page itself ---

/* globals document, getComputedStyle, innerWidth, FormData, window */

function inPage({ width, alike }) {
    const findings = [];
    const modal = document.querySelector('dialog:modal');
    const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('[inert]') && (!modal || modal.contains(element));
    const call = (element) => `<${element.localName}${element.id ? ` #${element.id}` : ''}${element.getAttribute('name') ? ` name=${element.getAttribute('name')}` : ''}> ${(element.getAttribute('aria-label') ?? element.textContent).trim().replace(/\s+/g, ' ').slice(0, 40)}`;

    // The page fits into the window.
    const wide = document.documentElement.scrollWidth;
    if (wide > width) {
        const guilty = [...document.querySelectorAll('body *')].filter((one) => isShown(one) && one.getBoundingClientRect().right > width + 1).map(call);
        findings.push(`${wide} pixels wide, by ${guilty.slice(-2).join(' and ')}`);
    }
    for (const button of document.querySelectorAll('button, .button')) {
        if (isShown(button) && !button.matches('.hidden') && button.scrollWidth > button.clientWidth + 1)
            findings.push(`the label does not fit into ${call(button)}`);
    }

    // The focus is visible on each control; the screen of a machine shows its own.
    const channels = (colour) => (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const luminance = (colour) => channels(colour).slice(0, 3).map((value) => value / 255)
        .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (one, other) => {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const ground = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor, parts = channels(colour);
            if ((parts[3] ?? 1) > 0.5)
                return colour;
        }
        return getComputedStyle(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(0,0,0)' : 'rgb(255,255,255)';
    };
    const ring = (element) => {
        const style = getComputedStyle(element);
        return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && contrast(style.outlineColor, ground(element.parentElement)) >= 3;
    };
    const controls = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not(canvas)')]
        .filter((one) => isShown(one) && !one.disabled && one.tabIndex >= 0 && !one.closest(alike));
    const before = document.activeElement;
    for (const control of controls) {
        control.focus();
        if (document.activeElement !== control)
            findings.push(`cannot have the focus: ${call(control)}`);
        else if (![control, control.closest('label')].some((one) => one && ring(one)))
            findings.push(`the focus is not visible on ${call(control)}: ${getComputedStyle(control).outline}`);
        const box = control.getBoundingClientRect();
        if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth)
            findings.push(`has the focus outside the window: ${call(control)}`);
    }
    if (modal)
        before?.focus?.({ preventScroll: true });
    else
        document.activeElement.blur();
    window.scrollTo(0, 0);
    return findings;
}

// Buttons and links with the same name do the same, except in different rows or items.
function namesakes() {
    const findings = [];
    const modal = document.querySelector('dialog:modal');
    const twins = [];
    for (const one of document.querySelectorAll('a[href], button')) {
        if (!one.checkVisibility({ visibilityProperty: true }) || (modal && !modal.contains(one)))
            continue;
        const described = (one.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '');
        const labelled = one.getAttribute('aria-labelledby')?.split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
        const name = [labelled ?? one.getAttribute('aria-label') ?? one.textContent, ...described].join(' ').trim().replace(/\s+/g, ' ');
        let deed = one.getAttribute('href') ?? one.dataset.copy ?? '';
        if (one.form && one.type === 'submit') {
            const fields = [...new FormData(one.form, one)].filter(([key]) => key !== 'csrf' && one.form.querySelector(`[type=hidden][name="${key}"], button[name="${key}"]`));
            deed = JSON.stringify([one.form.action, fields]);
        }
        const place = one.closest('li, tr, article');
        const twin = twins.find((twin) => twin.name === name && twin.place === place);
        if (twin && twin.deed !== deed)
            findings.push(`two of "${name}" do different things`);
        if (deed)
            twins.push({ name, place, deed });
    }
    return [...new Set(findings)];
}

// --- all checks ---

async function picture(page, name, { width }) {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await screenshot(page, name, { fullPage: true, caret: 'initial', clip: { x: 0, y: 0, width, height: Math.min(height, PICTURE_MAX_HEIGHT) } });
}

// All checks of a page in its present state, without a reload. number: the view to check it in, odd or even; all views
// when it is missing. Returns the findings.
export async function checkPage(page, name, number = null) {
    // The style sheets may come after the document.
    await page.waitForFunction(() => [...document.querySelectorAll('link[rel=stylesheet]')].every(({ sheet }) => sheet));
    const findings = await htmlFindings(await page.document);
    const chosen = number === null ? views : [views[number % views.length]];
    for (const [i, { colorScheme, ...size }] of chosen.entries()) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        if (isFull)
            await picture(page, `${name}-${size.width}-${colorScheme}`, size);
        const found = await axeFindings(page);
        await page.keyboard.press('Tab'); // the focus is shown after a key
        found.push(...await page.evaluate(inPage, { ...size, alike: alike.join() }));
        if (i === 0)
            found.push(...await treeFindings(page), ...await page.evaluate(namesakes));
        findings.push(...found.map((one) => `${size.width}-${colorScheme}: ${one}`));
    }
    await page.setViewportSize({ width: views[0].width, height: views[0].height });
    return [...findings, ...page.errors];
}

// --- single checks ---

export async function checkAxe(page, name) {
    assert.deepEqual(await axeFindings(page), [], name);
}

export async function checkWidth(page, name) {
    const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(width <= visible, `${name}: ${width} pixels wide in ${visible}`);
}
