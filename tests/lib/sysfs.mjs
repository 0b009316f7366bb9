// SPDX-License-Identifier: AGPL-3.0-or-later
// Machines of tests/fixtures/sysfs as folders that stand for /, as the kernel shows them.

import fs from 'node:fs';
import path from 'node:path';
import { top } from './files.mjs';

const fixtures = path.join(top, 'tests/fixtures/sysfs');

class Tree {
    constructor(root) {
        this.root = root;
    }

    folder(...names) {
        const folder = path.join(this.root, 'sys', ...names);
        fs.mkdirSync(folder, { recursive: true });
        return folder;
    }

    device(...names) {
        return this.folder('devices/pci0000:00', ...names);
    }

    set(folder, word) {
        const [key, ...rest] = word.split('=');
        const value = rest.join('=');
        const links = { driver: `../../../bus/drivers/${value}`, physfn: `../${value}`, type: `../mdev_supported_types/${value}` };
        if (key === 'group') {
            fs.symlinkSync(`../../../kernel/iommu_groups/${value}`, path.join(folder, 'iommu_group'));
            fs.symlinkSync(folder, path.join(this.folder('kernel/iommu_groups', value, 'devices'), path.basename(folder)));
        } else if (links[key]) {
            fs.symlinkSync(links[key], path.join(folder, key === 'type' ? 'mdev_type' : key));
        } else {
            fs.writeFileSync(path.join(folder, key), `${key === 'name' ? value.replaceAll('.', ' ') : value}\n`);
        }
    }

    pci([address, model, code, ...words]) {
        const folder = this.device(address);
        const [vendor, device] = model.split(':');
        fs.symlinkSync(folder, path.join(this.folder('bus/pci/devices'), address));
        for (const word of [`vendor=0x${vendor}`, `device=0x${device}`, `class=0x${code}`, ...words])
            this.set(folder, word);
    }

    mdev([uuid, parent, ...words]) {
        const folder = this.device(parent, uuid);
        fs.symlinkSync(folder, path.join(this.folder('bus/mdev/devices'), uuid));
        words.filter((word) => !word.startsWith('name=')).forEach((word) => this.set(folder, word));
    }

    profile([parent, id, available, ...words]) {
        const folder = this.device(parent, 'mdev_supported_types', id);
        [`available_instances=${available}`, ...words].forEach((word) => this.set(folder, word));
    }
}

// Makes the machine `name` below `root`, with the devices of vfio and names of PCI devices.
export function makeSysfs(root, name) {
    const tree = new Tree(root);
    const lines = fs.readFileSync(path.join(fixtures, `${name}.txt`), 'utf8').split('\n').filter((line) => line && line[0] !== '#');
    for (const line of lines) {
        const [what, ...words] = line.split(' ');
        tree[what](words);
    }
    fs.mkdirSync(path.join(root, 'usr/share/misc'), { recursive: true });
    fs.copyFileSync(path.join(fixtures, 'pci.ids'), path.join(root, 'usr/share/misc/pci.ids'));
    const vfio = path.join(root, 'dev/vfio');
    fs.mkdirSync(vfio, { recursive: true });
    const groups = lines.flatMap((line) => line.match(/ group=(\d+)/)?.[1] ?? []);
    for (const device of ['vfio', ...new Set(groups)]) {
        fs.writeFileSync(path.join(vfio, device), '');
        fs.chmodSync(path.join(vfio, device), 0o666);
    }
    return root;
}
