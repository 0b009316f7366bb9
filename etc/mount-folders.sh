#!/bin/sh
# Boot script for machines that have folders of their host: mounts each at /mnt/NAME. Those that the machine mounts
# itself, by its /etc/fstab, stay as they are. The personal folder belongs to the machine's first user (uid 1000).
modprobe -q -a 9pnet_virtio 9p
status=0
for tag in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag; do
    [ -e "$tag" ] || continue
    name=$(tr -d '\000' < "$tag")
    folder=/mnt/${name#host_}
    case $name in host_*) ;; *) continue ;; esac
    ! grep -q "^$name " /proc/mounts || continue
    mkdir -p "$folder"
    if ! mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,nosuid,nodev "$name" "$folder"; then
        status=1
        continue
    fi
    echo "$folder"
    [ "$name" = host_personal ] && grep -q '^[^:]*:[^:]*:1000:' /etc/passwd && chown 1000:1000 "$folder"
done
exit $status
