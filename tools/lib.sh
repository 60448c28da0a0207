# Sourced by the commands of this directory: messages, Debian packages, CMake configurations. bash.

lib_started=$SECONDS

say() {
    printf '\n== %s\n' "$*"
}

note() {
    printf '   %s\n' "$*"
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Installed, and not merely known from an earlier installation
package_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# packages_need PACKAGE... : installs those that are missing; asks the network nothing when none is.
packages_need() {
    local missing=() name root=()

    command -v dpkg-query >/dev/null || {
        note "not a Debian system: needed are the equivalents of $*"
        return 0
    }
    for name in "$@"; do
        package_installed "$name" || missing+=("$name")
    done
    if [ ${#missing[@]} = 0 ]; then
        note "all $# Debian packages are installed"
        return 0
    fi
    note "missing Debian packages: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "neither root nor sudo; as root run: apt-get install ${missing[*]}"
        root=(sudo)
        note "installing them with sudo, which may ask for your password"
    fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >"$lib_apt_log" 2>&1 && return 0
    # The package lists may be missing or old
    note "updating the package lists"
    "${root[@]}" apt-get update -q >>"$lib_apt_log" 2>&1 || note "apt-get update failed, trying with the lists that are there"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$lib_apt_log" 2>&1 && return 0
    tail -n 20 "$lib_apt_log" >&2
    die "could not install: ${missing[*]} (see above); install them by hand: apt-get install ${missing[*]}"
}

# configure PRESET [CMAKE-OPTION...]
configure() {
    local preset=$1
    shift
    # a build directory of another place (a moved or copied checkout) cannot be used again
    if [ -f "build/$preset/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "build/$preset/CMakeCache.txt"; then
        rm -rf "build/$preset"
    fi
    quietly "build/$preset.configure.log" cmake --preset "$preset" "$@"
}

build() {
    quietly "build/$1.build.log" cmake --build "build/$1" --parallel "$(nproc)"
}

# quietly LOGFILE COMMAND... : its output only when it fails
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1; then
        printf '%s failed:\n' "$*" >&2
        tail -n 60 "$log" >&2
        return 1
    fi
}

seconds_since_start() {
    echo $((SECONDS - lib_started))
}

lib_apt_log=$(mktemp)
