# shellcheck shell=sh
# What deploy/demo, deploy/test and deploy/install have in common; sourced by them, from the root
# of the checkout. POSIX sh: Debian's is dash.

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# --- system packages ---------------------------------------------------------------------------

# True if what Debian package $1 is wanted for is there, whoever put it there.
present() {
    case $1 in
        libportaudio2) library libportaudio.so.2 ;;
        libspeexdsp1) library libspeexdsp.so.1 ;;
        libasound2-plugins) alsa_plugin libasound_module_pcm_pulse.so ;;
        espeak-ng) command_there espeak-ng ;;
        mosquitto) command_there mosquitto ;;
        openssl) command_there openssl ;;
        pulseaudio) command_there pulseaudio ;;
        pulseaudio-utils) command_there pactl ;;
        systemd) command_there systemd-analyze ;;
        python3*-venv) "$python" -c 'import ensurepip, venv' 2>/dev/null ;; # by choose_venv
        *) die "setup.sh does not know how to find $1" ;;
    esac
}

library() {
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -qF "$1"
}

command_there() {
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

alsa_plugin() {
    for file in /usr/lib/*/alsa-lib/"$1" /usr/lib/alsa-lib/"$1" /usr/lib64/alsa-lib/"$1"; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# Of the Debian packages named, those that are missing, on one line.
missing_of() {
    list=
    for package in "$@"; do
        present "$package" || list="$list $package"
    done
    printf '%s' "${list# }"
}

# How this user becomes root: `as_root COMMAND...`; without a terminal nothing is asked.
may_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    [ -t 0 ] || sudo -n true 2>/dev/null
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" \
        </dev/null >"$apt_log" 2>&1
}

# Installs the Debian packages named that are missing, where the user may. Leaves in `missing`
# those that are still missing afterwards, having said how to get them.
need_packages() {
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    if command -v apt-get >/dev/null 2>&1 && may_be_root; then
        say "System packages: installing $missing"
        apt_log=$(mktemp)
        # The lists are refreshed only where they are missing or too old to be of use.
        # shellcheck disable=SC2086 # a list of words
        apt_get install -y --no-install-recommends $missing ||
            { apt_get update && apt_get install -y --no-install-recommends $missing; } ||
            sed 's/^/    /' "$apt_log" >&2
        rm -f "$apt_log"
        quiet_services "$missing"
        missing=$(missing_of "$@")
        [ -n "$missing" ] || return 0
    fi
    say "System packages: missing $missing"
    note "On Debian: sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
}

# Packages among $1 that were only just installed bring services that nobody here asked for:
# a broker on port 1883, a sound server beside the desktop's own.
quiet_services() {
    [ -d /run/systemd/system ] || return 0
    case " $1 " in
        *" mosquitto "*)
            as_root systemctl disable --quiet --now mosquitto.service || return 0
            note "mosquitto's own service is switched off again; the program alone is needed here"
            ;;
    esac
    case " $1 " in
        *" pulseaudio "*)
            as_root systemctl disable --quiet --global pulseaudio.service pulseaudio.socket || return 0
            note "pulseaudio's user service is switched off again; the program alone is needed here"
            ;;
    esac
}

# --- Python ------------------------------------------------------------------------------------

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Sets `python` to an interpreter that is new enough.
find_python() {
    for python in python3 python3.11 python3.12 python3.13 python; do
        if python=$(command -v "$python") && new_enough "$python"; then return 0; fi
    done
    die "no Python 3.11 or newer found. On Debian 12: apt-get install -y python3 python3-venv"
}

with_pip() {
    "$1" -c 'import pip' 2>/dev/null || "$1" -m ensurepip >/dev/null 2>&1
}

# Sets `venv` to the virtual environment to install into, the active one or else .venv, and
# `venv_package` to the Debian package that making it takes: empty if it is there already.
choose_venv() {
    venv_package=
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        venv=$VIRTUAL_ENV
        if ! new_enough "$venv/bin/python"; then
            note "the active virtual environment has no Python 3.11 or newer; using .venv instead"
        elif ! [ -w "$venv" ]; then
            note "the active virtual environment can't be written to; using .venv instead"
        elif ! with_pip "$venv/bin/python"; then
            note "the active virtual environment has no pip; using .venv instead"
        else
            return 0
        fi
    fi
    venv=$PWD/.venv
    if new_enough "$venv/bin/python" && with_pip "$venv/bin/python"; then return 0; fi
    find_python
    # Debian keeps the means in a package of its own, named after the interpreter.
    venv_package=$("$python" -c 'import sys
print("python3-venv" if sys.executable == "/usr/bin/python3"
      else "python3.%d-venv" % sys.version_info[1])')
}

# Makes `venv` if need be and enters it: sets `python` and PATH.
enter_venv() {
    if [ -n "$venv_package" ]; then
        present "$venv_package" ||
            die "$python can't make a virtual environment without $venv_package"
        say "Virtual environment: making $venv"
        "$python" -m venv --clear "$venv" || die "$python could not make $venv"
    fi
    python=$venv/bin/python
    PATH=$venv/bin:$PATH
    export PATH
    say "$("$python" -V) in $venv"
}

# pip as we use it: everything by hash, nothing built outside of our sight.
pip_install() {
    if [ -t 1 ]; then quiet=; else quiet=--quiet; fi
    # shellcheck disable=SC2086 # empty or one word
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        "$python" -m pip install --no-input $quiet "$@" ||
        die "pip could not install the Python packages; its message stands above. Run this again to go on"
}

# The locked packages of lock file $1 into the environment of `python`.
install_locked() {
    # First what installs and builds the rest, so that the rest needs no isolated builds.
    pip_install --require-hashes -r deploy/requirements-build.lock
    pip_install --require-hashes --no-build-isolation -r "$1"
}

# The checkout and the packages of lock file $1 into `venv`; nothing to do, and no network
# needed, where the same was installed before.
install_checkout() {
    stamp=$venv/mimo-voice.installed
    state="$1 $(cat pyproject.toml deploy/*.lock | sha256sum | cut -d' ' -f1) $PWD"
    # The development lock holds all that the other holds.
    if [ -r "$stamp" ]; then
        read -r installed <"$stamp"
        case $installed in
            "$state" | "deploy/requirements-dev.lock ${state#* }") return 0 ;;
        esac
    fi
    say "Python packages: $(grep -c '==' "$1") pinned in $1"
    rm -f "$stamp"
    install_locked "$1"
    pip_install --no-build-isolation --no-deps --editable .
    printf '%s\n' "$state" >"$stamp"
}
