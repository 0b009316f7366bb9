// SPDX-License-Identifier: AGPL-3.0-or-later
// The record of a session as its readers take it: what is empty is left out when it is written (src/core/fields.h).

const each = (names, value) => Object.fromEntries(names.split(' ').map((name) => [name, value]));

const session = {
    ...each('owner email base language remote_host step reason note accelerator stop_by overrides image_version '
        + 'save_name save_state save_reason save_owner save_title', ''),
    ...each('created_at admitted_ms started_at ready_at ends_at ended_at stop_requested_at last_input_at touched_at extensions '
        + 'idle_stop_at unused_stop_at kept_until resumed_at save_percent', 0),
    save_standalone: false,
};
const plan = {
    ...each('title firmware disk display accel os script_method network gpu_name gpu_devices gpu_group', ''),
    ...each('lifetime_max_s sessions_max', 0),
    ...each('by_admin oneshot use_master clipboard gpu', false),
};
const script = { ...each('output', ''), ...each('exit_code duration_ms', 0) };
const folder = each('writable is_personal', false);

export function readRecord(text) {
    const record = JSON.parse(text);
    const filled = (list, empty) => list?.map((one) => ({ ...empty, ...one }));
    return {
        ...session, ...record, plan: { ...plan, ...record.plan },
        links: filled(record.links, { label: '', hash: '', expires_at: 0, is_own: false }),
        scripts: filled(record.scripts, script), folders: filled(record.folders, folder),
    };
}
