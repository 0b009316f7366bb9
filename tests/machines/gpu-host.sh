#!/bin/sh
# What the machine gpu-host does for gpu.test.mjs, which reads the lines that begin with ==. The card is at its place by
# /sys alone: that the service's own means bind it, open it and give it away is what is tested.
gpu=0000:01:00.0
say() { echo "== $*"; }
run() { say "$1"; shift; "$@" 2>&1; echo "== status $?"; }
as_server() { sh -c 'ulimit -l 1200000; exec "$@"' sh "$@"; }

mkdir -p /var/lib/qemu-web-desktop/machines /run/qemu-web-desktop /usr/share/novnc
chown -R www-data:www-data /var/lib/qemu-web-desktop /run/qemu-web-desktop
touch /var/log/qemu-web-desktop.log
chown www-data:www-data /var/log/qemu-web-desktop.log
cp /test/boot.raw /var/lib/qemu-web-desktop/machines/

run list-before qwdctl gpu
run prepare qwdctl gpu 1234:1111 --yes
modprobe vfio-pci
modprobe vfio_iommu_type1
say "driver $(basename "$(readlink /sys/bus/pci/devices/$gpu/driver)")"
run list-closed qwdctl gpu
chgrp www-data /dev/vfio/[0-9]*     # as the rule for udev says
chmod 660 /dev/vfio/[0-9]*
run list-free qwdctl gpu

# What QEMU itself says when it may lock too little; the service says it first.
run qemu-limit su -s /bin/sh www-data -c 'ulimit -l 8192; exec timeout 300 qemu-system-x86_64 -nodefaults \
    -machine q35 -m 64 -display none -device vfio-pci,host=0000:01:00.0'
run limit sh -c 'ulimit -l 8192; exec qwdctl start boot.raw --gpu --snapshot_alloc_mem=64M'
run start as_server qwdctl start boot.raw --gpu --snapshot_alloc_mem=64M
run status qwdctl status
run list-used qwdctl gpu
session=$(ls /var/lib/qemu-web-desktop/snapshots | grep -E '^[0-9a-f]{32}$')
qemu=$(pidof qemu-system-x86_64)
say "user $(stat -c %U "/proc/$qemu")"
say "devices $(ls -l /proc/"$qemu"/fd | grep -c /dev/vfio/)"
say "seccomp $(sed -n 's/^Seccomp:[^0-9]*//p' "/proc/$qemu/status")"
run vnc /test/hear "/run/qemu-web-desktop/$session/vnc" 'RFB 003.008'
run guest /test/hear "/run/qemu-web-desktop/$session/serial" BOOTED
run second as_server qwdctl start boot.raw --gpu --snapshot_alloc_mem=64M
run stop qwdctl stop --all --yes
run list-after qwdctl gpu
cat /var/log/qemu-web-desktop.log
say end
