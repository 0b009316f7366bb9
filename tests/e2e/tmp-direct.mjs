import { test } from 'node:test';
import { Desktop, openBrowser, openContext, screenshot } from './browser.mjs';
import { Service, eventually } from './service.mjs';
test('loop', async (t) => {
    const service = await Service.start(t, 'qwd-server', { service_path: '' });
    const browser = await openBrowser(t);
    for (let i = 0; i < 14; i++) {
        const id = JSON.parse((await service.create({memory: '128M'})).text).session.id;
        const state = await service.ready(id);
        const context = await openContext(t, browser);
        context.setDefaultTimeout(60000);
        const page = await context.newPage();
        const pend = new Map();
        page.on('request', r => pend.set(r.url(), 'pending'));
        page.on('requestfinished', r => pend.delete(r.url()));
        page.on('requestfailed', r => pend.set(r.url(), 'failed ' + r.failure()?.errorText));
        page.on('console', m => console.log(i, 'console', m.type(), m.text()));
        page.on('pageerror', e => console.log(i, 'pageerror', e.message));
        const begin = Date.now();
        try {
            await page.goto(state.ready.url);
            await page.locator('html.noVNC_connected').waitFor({ state: 'attached' });
            console.log(i, 'ok', Date.now() - begin);
        } catch (e) {
            console.log(i, 'FAILED', e.message.split('\n')[0], [...pend].map(String));
            await page.screenshot({ path: `/tmp/direct-${i}.png` });
            const ps = (await import('node:child_process')).execSync('ps -eo pid,ppid,stat,etimes,args | grep websockify | grep -v grep | cut -c1-150').toString();
            console.log(ps);
        }
        await context.close();
        await service.stop(id);
        await service.assertNothingLeft();
    }
});
