# shellcheck shell=bash
# What the recipes share. Sourced by machines/build and by every recipe.

if [ -n "${QWD_CACHE:-}" ]; then cache=$QWD_CACHE
elif [ "$(id -u)" = 0 ]; then cache=/var/cache/qemu-web-desktop
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/qemu-web-desktop
fi

say() { printf '%s\n' "$*" >&2; }
die() { printf 'machines/build: %s\n' "$*" >&2; exit 1; }

# need PROGRAM-OR-FILE...: the host has all of these.
need() {
    local it
    for it; do
        command -v "$it" > /dev/null || [ -e "$it" ] ||
            die "$it is missing on this machine: run scripts/install-deps"
    done
}

# EXTRA as a sorted list, so that order and spaces do not make another machine.
normal_extra() { tr -s ' ,\t\n' '\n' <<< "${EXTRA:-}" | sed '/^$/d' | LC_ALL=C sort -u | paste -sd ' '; }

# Lines of a list file without comments and blank lines.
list() { sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$@"; }

# quietly NAME COMMAND...: the output goes to a file and is shown only if the command fails.
quietly() {
    local log=$WORK/$1.log
    shift
    "$@" > "$log" 2>&1 || { tail -n 40 "$log" >&2; die "failed: $*"; }
}

# apt as seen by a machine with nothing installed: the host's package lists, but a status file of
# its own. What that file calls installed is not pulled in. Needs no root, leaves the host alone.
guest_apt() {
    mkdir -p "$cache/apt/archives/partial"
    apt-get -q -y -o Dir::State::status="$WORK/dpkg-status" -o Dir::Cache="$cache/apt" \
        -o Debug::NoLocking=true -o APT::Sandbox::User="$(id -un)" \
        -o APT::Install-Recommends=false -o APT::Keep-Downloaded-Packages=true "$@"
}

# pretend_installed PACKAGE...: the machine does without these.
pretend_installed() {
    local package
    for package; do
        printf 'Package: %s\nStatus: install ok installed\nVersion: 9999\nArchitecture: %s\nMulti-Arch: foreign\nMaintainer: none\nDescription: left out\n\n' \
            "$package" "$(dpkg --print-architecture)"
    done > "$WORK/dpkg-status"
}

# fetch_packages PACKAGE...: downloads them with all they depend on, and prints the .deb files.
fetch_packages() {
    guest_apt -s install "$@" > "$WORK/closure" 2> "$WORK/apt.log" ||
        { cat "$WORK/closure" "$WORK/apt.log" >&2; die "apt cannot find the packages: run apt-get update as root"; }
    (flock 8 && guest_apt --download-only install "$@" && guest_apt autoclean) \
        8> "$cache/apt/.lock" > "$WORK/apt.log" 2>&1 ||
        { tail -n 20 "$WORK/apt.log" >&2; die "apt cannot download the packages: is its mirror reachable? (apt-get update)"; }
    # "Inst NAME (VERSION ORIGIN [ARCH])": apt writes the colon of a version as %3a in file names
    sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\([a-z0-9]*\)\]).*/\1_\2_\3.deb/p' "$WORK/closure" |
        sed "s/:/%3a/g; s|^|$cache/apt/archives/|"
}

# debian_sources SUITE: the host's own apt sources of that Debian release; nothing if it has none.
debian_sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        awk -v suite="$1" '$2 == suite || index($2, suite "-") == 1 { c[$1 " " $2] = c[$1 " " $2] " " $3 }
            END { for (r in c) print "deb " r c[r] }' | grep -v backports | LC_ALL=C sort || true
}

# merge_usr ROOT: /bin, /lib, ... are links into /usr, as on every Debian.
merge_usr() {
    local d
    for d in bin sbin lib lib64; do
        mkdir -p "$1/usr/$d"
        ln -s "usr/$d" "$1/$d"
    done
}

# unpack_packages ROOT < list of .deb files; ROOT has been made by merge_usr.
unpack_packages() {
    # shellcheck disable=SC2016
    xargs -P "$(nproc)" -I{} bash -c 'set -o pipefail
        dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
            --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale' - {} "$1" ||
        die "a package could not be unpacked"
}
