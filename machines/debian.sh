# shellcheck shell=bash
# A Debian system on a disk, for the recipes that make one. mmdebstrap makes a tar of the system, which becomes an ext4
# file system, which gets a partition table and GRUB. No loop devices and no mounts; no root where user namespaces are
# allowed. A recipe sets name, here (its folder) and disk_mib, and calls make_debian.

suite=bookworm
grub=/usr/lib/grub/i386-pc

# The overlay goes in before the packages: their scripts then find our settings, and keep them.
make_system() {
    local packages
    packages=$({ list "$here/guest-packages"; normal_extra; } | paste -sd ' ')
    tar -C "$here/rootfs" --owner=0 --group=0 --mode=u=rwX,go=rX -cf "$WORK/overlay.tar" .
    mkdir -p "$debs" "$WORK/debs"
    debian_sources "$suite" > "$WORK/sources.list"
    # /tmp may be small. Without root, mmdebstrap works as other user ids, which may not see our folder.
    [ "$(id -u)" != 0 ] || export TMPDIR=$WORK
    # shellcheck disable=SC2016,SC2046
    quietly mmdebstrap mmdebstrap --variant=apt --format=tar --skip=essential/unlink \
        --include="$packages" \
        --aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-confold \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --setup-hook="mkdir -p \"\$1/var/cache/apt/archives\"" \
        --setup-hook="sync-in $debs /var/cache/apt/archives" \
        --essential-hook="tar-in $WORK/overlay.tar /" \
        --customize-hook='chroot "$1" apt-get -q autoclean' \
        --customize-hook="sync-out /var/cache/apt/archives $WORK/debs" \
        --customize-hook="upload $here/setup /setup" \
        --customize-hook='chroot "$1" sh /setup && rm "$1/setup"' \
        "$suite" "$WORK/root.tar" $([ ! -s "$WORK/sources.list" ] || echo "$WORK/sources.list")
    rm -rf "$debs"
    mv "$WORK/debs" "$debs"
}

# fakeroot keeps the owners that tar wants to set and mke2fs asks for. It has no file capabilities; the one
# file that has them, ping, does without: see rootfs/etc/sysctl.d.
make_filesystem() {
    # shellcheck disable=SC2016
    quietly mke2fs fakeroot sh -e -c '
        mkdir "$1/root"
        tar -C "$1/root" --numeric-owner -xf "$1/root.tar"
        rm "$1/root.tar"
        mke2fs -t ext4 -m 1 -L root -E root_owner=0:0,lazy_itable_init=0 -d "$1/root" "$1/fs" "$2"
        rm -rf "$1/root"
    ' - "$WORK" "$((disk_mib - 2))M"
}

# One bootable partition at 1 MiB; GRUB sits in the first sector and in the gap behind it.
make_disk() {
    local disk=$WORK/disk
    truncate -s "${disk_mib}M" "$disk"
    echo 'start=2048, type=83, bootable' | sfdisk -q "$disk"
    grub-mkimage -O i386-pc -d "$grub" -p '(hd0,msdos1)/boot/grub' -o "$WORK/core.img" \
        biosdisk part_msdos ext2 linux normal configfile
    dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$WORK/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
    dd if="$WORK/fs" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
    qemu-img convert -f raw -O qcow2 "$disk" "$OUT/$name.qcow2"
}

make_debian() {
    need mmdebstrap fakeroot mke2fs sfdisk grub-mkimage qemu-img "$grub/boot.img"
    debs=$cache/apt/$name       # the packages downloaded for the last build
    make_system
    make_filesystem
    make_disk
}
