# Functions that quickstart.sh and tests/run.sh share; ROOT is the checkout.
# shellcheck shell=bash

export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONNOUSERSITE=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say() { printf '== %s\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Print the first Python that is new enough.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer with its venv module is needed: install python3 and python3-venv, or Python from conda-forge."
}

# make_venv EXTRAS: make .venv and install the package with its extras; nothing where that has been done.
make_venv() {
    local extras="$1" python stamp state
    if ! "$ROOT/.venv/bin/python" -c '' 2>/dev/null; then
        python="$(find_python)"
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear "$ROOT/.venv"
    fi
    # what was installed is known by the files that decide it
    state="$extras $(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)"
    stamp="$ROOT/.venv/installed-$extras"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
        say "installing aiida-icsg3d[$extras]"
        "$ROOT/.venv/bin/python" -m pip install --quiet --constraint "$ROOT/constraints.txt" --editable "$ROOT[$extras]"
        printf '%s\n' "$state" >"$stamp"
    fi
    export PATH="$ROOT/.venv/bin:$PATH"
}

# install_packages WHAT ELSE PACKAGE...: install Debian packages; where there is no apt-get, say what else to do.
install_packages() {
    local what="$1" else="$2" sudo=()
    shift 2
    command -v apt-get >/dev/null || fail "$what is not there: $else."
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "$what is not there: have an administrator run \`apt-get install $*\`."
        sudo=(sudo)
    fi
    say "installing $*"
    "${sudo[@]}" apt-get -qq update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive ${RUNLEVEL:+RUNLEVEL="$RUNLEVEL"} apt-get -qq install --no-install-recommends -y "$@" >/dev/null
}

# Find pw.x, or install it where apt-get is there.
find_pw() {
    if ! command -v pw.x >/dev/null; then
        install_packages "pw.x of Quantum ESPRESSO" \
            "get it with \`conda install -c conda-forge qe\` and put it on the PATH" \
            quantum-espresso quantum-espresso-data libopenblas0-pthread
    fi
    PW="$(command -v pw.x)" || fail "pw.x was installed but is not on the PATH."
    export PW
}

# Find Slurm and munge, which the tests bring up, or install them where apt-get is there.
find_slurm() {
    if ! command -v sbatch >/dev/null || ! PATH="$PATH:/usr/sbin" command -v munged >/dev/null; then
        install_packages "Slurm with munge" "install both, slurmctld, slurmd and munged among them" slurm-wlm munge
    fi
}

# Find what else the tests bring up, an ssh server, RabbitMQ and PostgreSQL, or install them where apt-get is there.
find_services() {
    if ! PATH="$PATH:/usr/sbin" command -v sshd >/dev/null || ! PATH="$PATH:/usr/sbin" command -v rabbitmq-server >/dev/null ||
        ! { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1; then
        # RUNLEVEL 1: the packages start no servers; the tests start their own
        RUNLEVEL=1 install_packages "An ssh server, RabbitMQ or PostgreSQL" \
            "install openssh-server, rabbitmq-server and postgresql" openssh-server rabbitmq-server postgresql
    fi
}

# Find Chromium and its driver, in which the tests look at reports, or install them where apt-get is there.
find_chromium() {
    if ! command -v chromedriver >/dev/null ||
        ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then
        install_packages "Chromium with chromedriver" \
            "install Chromium or Chrome with the chromedriver of its version, and put both on the PATH" \
            chromium chromium-driver
    fi
}

# make_profile NAME: an AiiDA configuration inside the checkout, with localhost, codes, caching and pseudopotentials.
make_profile() {
    local name="$1"
    export AIIDA_PATH="$ROOT/.aiida"
    mkdir -p "$AIIDA_PATH"
    if ! verdi -p "$name" profile show "$name" >/dev/null 2>&1; then
        say "making the AiiDA profile $name in $AIIDA_PATH"
        verdi presto --use-zeromq -n -p "$name" >/dev/null 2>&1 ||
            fail "the AiiDA profile could not be made: look at \`AIIDA_PATH=$AIIDA_PATH verdi presto --use-zeromq -p $name\`."
    fi
    verdi profile set-default "$name" >/dev/null 2>&1
    verdi -p "$name" config set caching.default_enabled true >/dev/null 2>&1
    say "setting up computer, codes and pseudopotentials"
    aiida-icsg3d -p "$name" setup --pw "$PW" --workdir "$AIIDA_PATH/work"
}
